/* SPDX-License-Identifier: MIT
 *
 * TLS on both sides of a connection: a server that sends back what it gets, and a client.
 *
 *     tls_echo serve CERTIFICATE KEY          prints its address, and serves until SIGINT or SIGTERM
 *     tls_echo ask ADDRESS NAME TRUST TEXT    prints what comes back, and how it was sent
 *
 * Each client has a task and five minutes. A signal ends the context that all of them wait under, so the
 * server is gone as soon as they have said goodbye.
 */
#include <cease/cease.h>
#include <cease/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server {
    cease_tls_config *config;
    cease_listener *listener;
    cease_group *clients;
};

struct client {
    struct server *server;
    cease_conn *conn;
};

static cease_error echo(cease_ctx *parent, void *arg)
{
    struct client client = *(struct client *)arg;
    char buf[4096];
    size_t count;
    free(arg);
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(parent, cease_min(5), &stop);
    cease_tls *tls = cease_tls_server(client.server->config, client.conn);
    cease_error e;
    while ((e = cease_tls_read(ctx, tls, buf, sizeof buf, &count)) == CEASE_OK) {
        if ((e = cease_tls_write(ctx, tls, buf, count, NULL)) != CEASE_OK) {
            break;
        }
    }
    if (e == CEASE_ETLS) {
        fprintf(stderr, "%s\n", cease_tls_why(tls));
    } else {
        CEASE_AUTO_END cease_canceler *last = NULL; /* a goodbye must not take long */
        (void)cease_tls_shutdown(cease_with_grace(ctx, cease_sec(1), &last), tls);
    }
    cease_tls_close(tls);
    return CEASE_OK;
}

static cease_error accept_all(cease_ctx *ctx, struct server *server)
{
    cease_conn *conn;
    cease_error e;
    while ((e = cease_listener_accept(ctx, server->listener, &conn)) == CEASE_OK) {
        struct client *client = malloc(sizeof *client);
        if (client) {
            *client = (struct client){server, conn};
        }
        if (!client || cease_group_go(server->clients, echo, client) != CEASE_OK) {
            cease_conn_close(conn); /* no memory: it may try again */
            free(client);
        }
    }
    return e;
}

static int serve(const char *certificate, const char *key)
{
    static const char *const protocols[] = {"echo/1", NULL};
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = certificate, .key_file = key, .alpn = protocols};
    const cease_group_opts group = {.size = sizeof group, .supervise = true};
    struct server server = {0};
    char address[CEASE_ADDRESS_SIZE];
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_signals(cease_background(), &stop);
    cease_error e = cease_tls_server_new(&opts, &server.config);
    if (e == CEASE_OK) {
        e = cease_listen(ctx, "127.0.0.1:0", NULL, &server.listener);
    }
    if (e == CEASE_OK) {
        cease_listener_address(server.listener, address, sizeof address);
        printf("%s\n", address);
        fflush(stdout);
        server.clients = cease_group_new(ctx, &group);
        e = accept_all(ctx, &server);
    }
    cease_listener_close(server.listener);
    cease_group_free(server.clients); /* joins them */
    cease_tls_config_unref(server.config);
    fprintf(stderr, "%s\n", cease_done(ctx) ? cease_cause_of(ctx)->text : cease_strerror(e));
    return cease_done(ctx) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Sends a line and waits for one. */
static cease_error talk(cease_ctx *ctx, cease_tls *tls, const char *text)
{
    char buf[1000];
    size_t size = 0;
    size_t count;
    cease_error e = cease_tls_write(ctx, tls, text, strlen(text), NULL);
    if (e == CEASE_OK) {
        e = cease_tls_write(ctx, tls, "\n", 1, NULL);
    }
    while (e == CEASE_OK && !memchr(buf, '\n', size)) {
        e = size < sizeof buf ? cease_tls_read(ctx, tls, buf + size, sizeof buf - size, &count)
                              : CEASE_EMSGSIZE;
        size += e == CEASE_OK ? count : 0;
    }
    if (e == CEASE_OK) {
        printf("%.*s", (int)size, buf);
        e = cease_tls_shutdown(ctx, tls);
    }
    return e;
}

static int ask(const char *address, const char *name, const char *trust, const char *text)
{
    static const char *const protocols[] = {"echo/1", NULL};
    const cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = trust, .alpn = protocols};
    cease_tls_config *config = cease_tls_client_new(&opts);
    cease_conn *conn = NULL;
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_sec(20), &stop);
    cease_error e = cease_dial(ctx, address, NULL, &conn);
    cease_tls *tls = e == CEASE_OK ? cease_tls_client(config, conn, name) : NULL;
    if (e == CEASE_OK) {
        e = cease_tls_handshake(ctx, tls);
    }
    if (e == CEASE_OK) {
        const char *protocol = cease_tls_alpn(tls);
        printf("protocol: %s\n", protocol ? protocol : "none");
        e = talk(ctx, tls, text);
    }
    if (e != CEASE_OK) {
        fprintf(stderr, "%s\n", e == CEASE_ETLS ? cease_tls_why(tls) : cease_strerror(e));
    }
    cease_tls_close(tls);
    cease_tls_config_unref(config);
    return e == CEASE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], argv[3]);
    }
    if (argc == 6 && strcmp(argv[1], "ask") == 0) {
        return ask(argv[2], argv[3], argv[4], argv[5]);
    }
    fprintf(stderr, "usage: %s serve CERTIFICATE KEY | ask ADDRESS NAME TRUST TEXT\n", argv[0]);
    return EXIT_FAILURE;
}
