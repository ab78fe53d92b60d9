/* tls_test.c: out to break TLS over loopback: whole exchanges, both directions at once, names that do not
 * match, certificates that nobody trusts or that are out of date, sessions that are taken up again,
 * certificates that change, peers that are no TLS or cut the connection, contexts that end in the middle.
 * The certificate is made here. */
#include "harness.h"

#include <cease/cease.h>
#include <cease/tls.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

static char cert_file[256], key_file[256];

static int valid_from_s = -3600, valid_until_s = 3600; /* seconds from now */
static const char *names = "DNS:localhost,IP:127.0.0.1";

/* A certificate for "localhost" that signs itself, in the place of the one that was there before. */
static void write_certificate(void)
{
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", harness_temp_dir());
    snprintf(key_file, sizeof key_file, "%s/key.pem", harness_temp_dir());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), valid_from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), valid_until_s);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(cert_file, "w");
    CHECK(f != NULL && PEM_write_X509(f, x) == 1);
    fclose(f);
    f = fopen(key_file, "w");
    CHECK(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void make_certificate(void)
{
    tzset(); /* the C library keeps what it has read for gmtime_r, which OpenSSL calls */
    harness_mark();
    write_certificate();
}

/* Both ends of a connection: the server's end runs in a task. */
struct peer {
    cease_listener *l;
    cease_tls_config *config;
    cease_error error;
    size_t count; /* bytes that it has echoed */
    const char *alpn;
    char server_name[32];
    int connections; /* to serve, one after the other; 0: one */
    enum { ECHO, CUT } what;
};

static void serve_one(cease_ctx *ctx, struct peer *p)
{
    cease_conn *c = NULL;
    char buf[5000];
    size_t n = 0;
    CHECK_OK(cease_listener_accept(ctx, p->l, &c));
    cease_tls *t = cease_tls_server(p->config, c);
    p->error = cease_tls_handshake(ctx, t);
    p->alpn = cease_tls_alpn(t); /* valid as long as the configuration */
    const char *name = cease_tls_server_name(t);
    snprintf(p->server_name, sizeof p->server_name, "%s", name ? name : "none");
    while (p->error == CEASE_OK && p->what == ECHO) {
        p->error = cease_tls_read(ctx, t, buf, sizeof buf, &n);
        if (p->error == CEASE_OK) {
            p->error = cease_tls_write(ctx, t, buf, n, NULL);
            p->count += n;
        }
    }
    if (p->error == CEASE_EOF) {
        p->error = cease_tls_shutdown(ctx, t);
    }
    cease_tls_close(t);
}

static cease_error server_task(cease_ctx *ctx, void *arg)
{
    struct peer *p = arg;
    do {
        serve_one(ctx, p);
    } while (--p->connections > 0);
    return CEASE_OK;
}

static struct peer peer;
static cease_group *group;
static cease_tls_config *trust;
static const char *const *server_alpn, *const *client_alpn;

static char address[CEASE_ADDRESS_SIZE];

static cease_conn *begin(bool trusting)
{
    cease_conn *c = NULL;
    cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file, .alpn = client_alpn};
    make_certificate();
    const cease_tls_server_opts server = {.size = sizeof server,
                                          .certificate_file = cert_file,
                                          .key_file = key_file,
                                          .alpn = server_alpn};
    CHECK_OK(cease_tls_server_new(&server, &peer.config));
    trust = cease_tls_client_new(trusting ? &opts : NULL);
    CHECK(trust != NULL);
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &peer.l));
    CHECK_OK(cease_listener_address(peer.l, address, sizeof address));
    group = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(group, server_task, &peer));
    CHECK_OK(cease_dial(root(), address, NULL, &c));
    return c;
}

static void finish(void)
{
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    cease_listener_close(peer.l);
    cease_tls_config_unref(peer.config);
    cease_tls_config_unref(trust);
    CHECK_OK(cease_runtime_stop()); /* OpenSSL frees what it keeps for a thread when it ends */
    OPENSSL_cleanup();              /* what it keeps for the life of a process */
}

static cease_error handshake_task(cease_ctx *ctx, void *arg)
{
    return cease_tls_handshake(ctx, arg);
}

TEST(tls_exchange_of_large_data_comes_back_whole)
{
    enum { SIZE = 300 * 1000 };
    cease_tls *t = cease_tls_client(trust, NULL, "localhost");
    CHECK_PTR(t, NULL);
    cease_conn *c = begin(true);
    t = cease_tls_client(trust, c, "localhost");
    CHECK(t != NULL);
    char *data = malloc(SIZE);
    CHECK(data != NULL);
    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (char)(i * 13 + i / 255);
    }
    char back[7000];
    for (size_t at = 0; at < SIZE;) { /* in turns: the echo must not fill both directions */
        size_t piece = SIZE - at < 30000 ? SIZE - at : 30000;
        CHECK_OK(cease_tls_write(root(), t, data + at, piece, NULL));
        for (size_t end = at + piece; at < end;) {
            size_t n = 0;
            CHECK_OK(cease_tls_read(root(), t, back, sizeof back, &n));
            CHECK(memcmp(back, data + at, n) == 0);
            at += n;
        }
    }
    size_t n;
    CHECK_OK(cease_tls_shutdown(root(), t));
    CHECK_ERR(cease_tls_read(root(), t, back, sizeof back, &n), CEASE_EOF);
    CHECK_STR(cease_tls_why(t), "");
    cease_tls_close(t);
    free(data);
    finish();
    CHECK_OK(peer.error);
    CHECK_EQ(peer.count, SIZE);
}

TEST(tls_numeric_host_is_verified_too)
{
    cease_tls *t = cease_tls_client(trust, NULL, "x");
    cease_conn *c = begin(true);
    t = cease_tls_client(trust, c, "127.0.0.1");
    CHECK_OK(cease_tls_handshake(root(), t));
    CHECK_OK(cease_tls_shutdown(root(), t));
    cease_tls_close(t);
    finish();
}

TEST(tls_certificate_of_another_name_is_refused)
{
    cease_tls *t = cease_tls_client(NULL, begin(true), "example.com");
    CHECK_PTR(t, NULL);
    finish();
    CHECK_ERR(peer.error, CEASE_ETLS); /* cut off in the handshake */
}

static void check_refused(bool trusting, const char *host, const char *why)
{
    cease_conn *c = begin(trusting);
    cease_tls *t = cease_tls_client(trust, c, host);
    CHECK(t != NULL);
    CHECK_ERR(cease_tls_handshake(root(), t), CEASE_ETLS);
    CHECK_STR(cease_tls_why(t), why);
    cease_tls_close(t);
    finish();
    CHECK_ERR(peer.error, CEASE_ETLS);
}

TEST(tls_name_that_does_not_match_is_refused_in_words)
{
    check_refused(true, "example.com",
                  "certificate: hostname mismatch: it is for localhost, 127.0.0.1");
}

TEST(tls_address_that_does_not_match_is_refused_in_words)
{
    check_refused(true, "127.0.0.2",
                  "certificate: IP address mismatch: it is for localhost, 127.0.0.1");
}

TEST(tls_certificate_that_nobody_trusts_is_refused_in_words)
{
    check_refused(false, "localhost",
                  "certificate: self-signed certificate: it was issued by /CN=test");
}

TEST(tls_peer_that_cuts_the_connection_is_no_end_of_stream)
{
    peer.what = CUT;
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    char byte;
    size_t n;
    cease_error e = cease_tls_read(root(), t, &byte, 1, &n); /* does the handshake itself */
    CHECK(e == CEASE_ETLS || e == CEASE_ECONNRESET);
    cease_tls_close(t);
    finish();
}

TEST(tls_peer_that_is_no_tls_is_refused_in_words)
{
    cease_conn *c = begin(true);
    CHECK_OK(cease_conn_write(root(), c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 26, NULL));
    cease_conn_close(c);
    finish();
    CHECK(peer.error == CEASE_ETLS || peer.error == CEASE_ECONNRESET || peer.error == CEASE_EPIPE);
}

TEST(tls_read_ends_with_its_context_and_goes_on_under_another)
{
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    char buf[8];
    size_t n = 0;
    CHECK_OK(cease_tls_handshake(root(), t));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(20), &stop);
    CHECK_ERR(cease_tls_read(ctx, t, buf, sizeof buf, &n), CEASE_EDEADLINE);
    CHECK_ERR(cease_tls_write(ctx, t, "abc", 3, &n), CEASE_EDEADLINE);
    CHECK_EQ(n, 0);
    cease_end(stop);
    CHECK_OK(cease_tls_write(root(), t, "abc", 3, &n));
    CHECK_EQ(n, 3);
    CHECK_OK(cease_tls_read(root(), t, buf, sizeof buf, &n));
    CHECK_EQ(n, 3);
    CHECK_OK(cease_tls_shutdown(root(), t));
    cease_tls_close(t);
    finish();
}

static const char *const both[] = {"h2", "http/1.1", NULL};
static const char *const old_only[] = {"http/1.1", NULL};
static const char *const other_only[] = {"dot", NULL};

/* What both agree on, and what each side was told of it. */
static void check_alpn(const char *const *of_client, const char *const *of_server, const char *want)
{
    client_alpn = of_client;
    server_alpn = of_server;
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    CHECK_PTR(cease_tls_alpn(t), NULL);
    CHECK_PTR(cease_tls_conn(t), c);
    CHECK_OK(cease_tls_handshake(root(), t));
    const char *got = cease_tls_alpn(t);
    CHECK_STR(got ? got : "none", want);
    CHECK_OK(cease_tls_shutdown(root(), t));
    cease_tls_close(t);
    CHECK_OK(cease_group_wait(group));
    CHECK_STR(peer.alpn ? peer.alpn : "none", want);
    finish();
}

TEST(tls_alpn_takes_the_first_of_the_servers_that_the_client_offers)
{
    check_alpn(both, both, "h2");
}

TEST(tls_alpn_takes_what_the_client_has)
{
    check_alpn(old_only, both, "http/1.1");
}

TEST(tls_alpn_without_a_list_on_either_side_is_none)
{
    check_alpn(NULL, both, "none");
}

TEST(tls_alpn_that_the_server_does_not_know_is_ignored)
{
    check_alpn(both, NULL, "none");
}

TEST(tls_alpn_without_a_common_protocol_is_refused_in_words)
{
    client_alpn = other_only;
    server_alpn = both;
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    CHECK_ERR(cease_tls_handshake(root(), t), CEASE_ETLS);
    CHECK_STR(cease_tls_why(t), "the peer says: no application protocol");
    cease_tls_close(t);
    finish();
    CHECK_ERR(peer.error, CEASE_ETLS);
}

TEST(tls_alpn_names_that_are_no_names_are_refused)
{
    static char longest[257];
    memset(longest, 'x', 256);
    const char *const rows[][2] = {{"", NULL}, {longest, NULL}};
    make_certificate();
    for (size_t i = 0; i < 2; i++) {
        cease_tls_config *config = NULL;
        const cease_tls_client_opts client = {.size = sizeof client, .alpn = rows[i]};
        const cease_tls_server_opts server = {.size = sizeof server,
                                              .certificate_file = cert_file,
                                              .key_file = key_file,
                                              .alpn = rows[i]};
        CHECK_PTR(cease_tls_client_new(&client), NULL);
        CHECK_ERR(cease_tls_server_new(&server, &config), CEASE_EINVAL);
        CHECK_PTR(config, NULL);
    }
    OPENSSL_cleanup();
}

static cease_error server_from(const char *certificate, const char *key)
{
    cease_tls_config *config = NULL;
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = certificate, .key_file = key};
    cease_error e = cease_tls_server_new(&opts, &config);
    CHECK_PTR(config, NULL);
    return e;
}

TEST(tls_server_files_that_are_wrong_are_refused)
{
    make_certificate();
    CHECK_ERR(server_from("/nonexistent", key_file), CEASE_ENOENT);
    CHECK_ERR(server_from(key_file, key_file), CEASE_ETLS);
    CHECK_ERR(server_from(cert_file, cert_file), CEASE_ETLS);
    CHECK_ERR(server_from(cert_file, NULL), CEASE_EINVAL);
    cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = "/nonexistent"};
    CHECK_PTR(cease_tls_client_new(&opts), NULL);
    OPENSSL_cleanup();
}

/* ---- certificates and their times --------------------------------------------------------------- */

static void check_refused_with(const char *why)
{
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    CHECK_ERR(cease_tls_handshake(root(), t), CEASE_ETLS);
    CHECK(strncmp(cease_tls_why(t), why, strlen(why)) == 0);
    CHECK_ERR(cease_tls_write(root(), t, "x", 1, NULL), CEASE_ETLS); /* and stays refused */
    CHECK(strncmp(cease_tls_why(t), why, strlen(why)) == 0);
    cease_tls_close(t);
    finish();
    CHECK_ERR(peer.error, CEASE_ETLS);
}

TEST(tls_certificate_that_has_expired_is_refused_with_its_time)
{
    valid_until_s = -1800;
    check_refused_with("certificate: certificate has expired: it was valid until 20");
}

TEST(tls_certificate_of_the_future_is_refused_with_its_time)
{
    valid_from_s = 1800;
    check_refused_with("certificate: certificate is not yet valid: it is valid from 20");
}

TEST(tls_server_is_told_in_words_why_a_client_refuses)
{
    cease_conn *c = begin(false);
    cease_listener *l = peer.l;
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    CHECK_ERR(cease_tls_handshake(root(), t), CEASE_ETLS);
    cease_tls_close(t);
    CHECK_OK(cease_group_wait(group));
    /* once more, with the server's end in hand */
    cease_conn *server = NULL;
    CHECK_OK(cease_dial(root(), address, NULL, &c));
    CHECK_OK(cease_listener_accept(root(), l, &server));
    cease_tls *s = cease_tls_server(peer.config, server);
    t = cease_tls_client(trust, c, "localhost");
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, handshake_task, t));
    CHECK_ERR(cease_tls_handshake(root(), s), CEASE_ETLS);
    CHECK_STR(cease_tls_why(s), "the peer says: unknown CA");
    (void)cease_group_wait(g);
    cease_group_free(g);
    cease_tls_close(s);
    cease_tls_close(t);
    finish();
}

/* ---- names, sessions, reloads ------------------------------------------------------------------- */

/* One more connection: writes a byte, reads it back, and says goodbye. */
static bool exchange(bool *ret_resumed)
{
    cease_conn *c = NULL;
    char byte = 'x';
    size_t n = 0;
    CHECK_OK(cease_dial(root(), address, NULL, &c));
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    CHECK(!cease_tls_resumed(t));
    bool ok = cease_tls_write(root(), t, &byte, 1, NULL) == CEASE_OK &&
              cease_tls_read(root(), t, &byte, 1, &n) == CEASE_OK;
    *ret_resumed = cease_tls_resumed(t);
    if (ok) {
        CHECK_OK(cease_tls_shutdown(root(), t));
        CHECK_ERR(cease_tls_read(root(), t, &byte, 1, &n), CEASE_EOF);
    }
    cease_tls_close(t);
    return ok;
}

/* For several connections, all of them by exchange(). */
static void begin_several(int count)
{
    peer.connections = count + 1;
    cease_conn_close(begin(true)); /* the first, which is none */
}

TEST(tls_server_learns_the_name_that_was_asked_for)
{
    bool resumed;
    begin_several(1);
    CHECK(exchange(&resumed));
    finish();
    CHECK_STR(peer.server_name, "localhost");
}

TEST(tls_client_takes_up_its_session_again)
{
    bool resumed;
    begin_several(4);
    CHECK(exchange(&resumed));
    CHECK(!resumed);
    for (int i = 0; i < 2; i++) {
        CHECK(exchange(&resumed));
        CHECK(resumed);
    }
    CHECK_OK(cease_tls_config_reload(trust)); /* it may trust others now */
    CHECK(exchange(&resumed));
    CHECK(!resumed);
    finish();
}

TEST(tls_server_reloads_its_certificate_and_keeps_sessions)
{
    bool resumed;
    begin_several(5);
    CHECK(exchange(&resumed));
    FILE *f = fopen(cert_file, "w"); /* what cannot be used changes nothing */
    CHECK(f != NULL && fputs("nonsense", f) > 0);
    fclose(f);
    CHECK_ERR(cease_tls_config_reload(peer.config), CEASE_ETLS);
    CHECK_EQ(unlink(cert_file), 0);
    CHECK_ERR(cease_tls_config_reload(peer.config), CEASE_ENOENT);
    CHECK(exchange(&resumed));
    CHECK(resumed);
    write_certificate(); /* another key */
    CHECK_OK(cease_tls_config_reload(peer.config));
    CHECK(exchange(&resumed));
    CHECK(resumed);
    /* who begins anew sees the new certificate, and must trust it */
    cease_tls_config *old = trust;
    cease_tls_client_opts opts = {.size = sizeof opts, .ca_file = cert_file};
    trust = cease_tls_client_new(&opts);
    CHECK(exchange(&resumed));
    CHECK(!resumed);
    cease_tls_config_unref(trust);
    trust = old;
    exchange(&resumed); /* spends what is left of its sessions */
    finish();
    CHECK_ERR(cease_tls_config_reload(NULL), CEASE_ENOMEM);
}

/* ---- both directions at once -------------------------------------------------------------------- */

enum { MUCH = 3000000 };

static cease_error write_much(cease_ctx *ctx, void *arg)
{
    char *data = malloc(MUCH);
    CHECK(data != NULL);
    for (size_t i = 0; i < MUCH; i++) {
        data[i] = (char)(i * 13 + i / 255);
    }
    cease_error e = cease_tls_write(ctx, arg, data, MUCH, NULL);
    free(data);
    return e;
}

/* The echo fills both directions unless the client reads while it writes. */
TEST(tls_is_read_while_it_is_written)
{
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    char back[7000];
    size_t n = 0;
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, write_much, t)); /* and both begin with the handshake */
    for (size_t at = 0; at < MUCH; at += n) {
        CHECK_OK(cease_tls_read(root(), t, back, sizeof back, &n));
        for (size_t i = 0; i < n; i++) {
            if (back[i] != (char)((at + i) * 13 + (at + i) / 255)) {
                CHECK_EQ(back[i], (char)((at + i) * 13 + (at + i) / 255));
            }
        }
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    CHECK_OK(cease_tls_shutdown(root(), t));
    CHECK_ERR(cease_tls_read(root(), t, back, sizeof back, &n), CEASE_EOF);
    CHECK(!cease_tls_pending(t));
    cease_tls_close(t);
    finish();
    CHECK_EQ(peer.count, MUCH);
}

struct turn {
    cease_tls *tls;
    size_t count;
};

static cease_error read_a_part(cease_ctx *ctx, void *arg)
{
    struct turn *turn = arg;
    char buf[100];
    size_t n;
    while (cease_tls_read(ctx, turn->tls, buf, sizeof buf, &n) == CEASE_OK) {
        turn->count += n;
    }
    return CEASE_OK;
}

static cease_error write_a_part(cease_ctx *ctx, void *arg)
{
    struct turn *turn = arg;
    char buf[1000] = {0};
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cease_tls_write(ctx, turn->tls, buf, sizeof buf, NULL));
    }
    return CEASE_OK;
}

TEST(tls_readers_and_writers_take_turns)
{
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    struct turn turns[6];
    cease_group *readers = cease_group_new(root(), NULL);
    cease_group *writers = cease_group_new(root(), NULL);
    for (int i = 0; i < 6; i++) {
        turns[i] = (struct turn){.tls = t};
        CHECK_OK(cease_group_go(i < 3 ? readers : writers, i < 3 ? read_a_part : write_a_part,
                                &turns[i]));
    }
    CHECK_OK(cease_group_wait(writers));
    CHECK_OK(cease_tls_shutdown(root(), t));
    CHECK_OK(cease_group_wait(readers));
    CHECK_EQ(turns[0].count + turns[1].count + turns[2].count, 60000);
    cease_group_free(readers);
    cease_group_free(writers);
    cease_tls_close(t);
    finish();
}

/* ---- contexts ----------------------------------------------------------------------------------- */

TEST(tls_handshake_with_a_silent_peer_ends_with_its_context)
{
    cease_conn *ends[2];
    int fds[2];
    make_certificate();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(cease_conn_from_fd(fds[i], &ends[i]));
    }
    trust = cease_tls_client_new(NULL);
    cease_tls *t = cease_tls_client(trust, ends[0], "localhost");
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(20), &stop);
    CHECK_ERR(cease_tls_handshake(ctx, t), CEASE_EDEADLINE);
    char byte;
    size_t n = 5;
    CHECK_ERR(cease_tls_read(ctx, t, &byte, 1, &n), CEASE_EDEADLINE);
    CHECK_ERR(cease_tls_write(ctx, t, &byte, 1, &n), CEASE_EDEADLINE);
    CHECK_EQ(n, 0);
    CHECK_STR(cease_tls_why(t), "");
    cease_end(stop);
    cease_tls_close(t);
    cease_conn_close(ends[1]);
    cease_tls_config_unref(trust);
    CHECK_OK(cease_runtime_stop());
    OPENSSL_cleanup();
}

enum { TOO_MUCH = 16000000 }; /* bytes: more than the buffers of two connections take */

struct rest {
    cease_tls *tls;
    const char *data;
    size_t size;
};

static cease_error write_rest(cease_ctx *ctx, void *arg)
{
    struct rest *r = arg;
    return cease_tls_write(ctx, r->tls, r->data, r->size, NULL);
}

TEST(tls_write_cut_short_goes_on_where_it_was)
{
    cease_conn *c = begin(true);
    cease_tls *t = cease_tls_client(trust, c, "localhost");
    char *data = malloc(TOO_MUCH);
    static char back[70000];
    size_t done = 0;
    size_t n = 0;
    CHECK(data != NULL);
    for (size_t i = 0; i < TOO_MUCH; i++) {
        data[i] = (char)(i * 7 + i / 253);
    }
    CHECK_OK(cease_tls_handshake(root(), t));
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(30), &stop);
    CHECK_ERR(cease_tls_write(ctx, t, data, TOO_MUCH, &done), CEASE_EDEADLINE);
    cease_end(stop);
    CHECK(done < TOO_MUCH);
    cease_group *g = cease_group_new(root(), NULL);
    struct rest rest = {t, data + done, TOO_MUCH - done};
    CHECK_OK(cease_group_go(g, write_rest, &rest)); /* sends first what was left */
    for (size_t at = 0; at < TOO_MUCH; at += n) {
        CHECK_OK(cease_tls_read(root(), t, back, sizeof back, &n));
        CHECK(memcmp(back, data + at, n) == 0);
    }
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
    free(data);
    CHECK_OK(cease_tls_shutdown(root(), t));
    cease_tls_close(t);
    finish();
}

TEST(tls_without_memory_says_so)
{
    if (!harness_heap_is_ours()) {
        SKIP("malloc is the sanitizer's");
    }
    make_certificate();
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = cert_file, .key_file = key_file, .alpn = both};
    CHECK_OK(cease_tls_server_new(&opts, &peer.config));
    harness_mark(); /* what OpenSSL makes once, it keeps */
    /* our own allocations come first; to read a key takes OpenSSL thousands more */
    for (unsigned long k = 1; k < 40; k++) {
        cease_tls_config *config = NULL;
        harness_fail_alloc(k);
        cease_error e = cease_tls_server_new(&opts, &config);
        CHECK_EQ(e == CEASE_OK, config != NULL);
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM || e == CEASE_ETLS);
        cease_tls_config_unref(config);
    }
    harness_fail_alloc(0);
    HARNESS_EACH_ALLOC_FAILS(k)
    {
        cease_conn *ends[2] = {NULL, NULL};
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        for (int i = 0; i < 2; i++) {
            (void)cease_conn_from_fd(fds[i], &ends[i]);
        }
        cease_tls_close(cease_tls_server(peer.config, ends[0]));
        cease_tls_close(cease_tls_client(peer.config, ends[1], "localhost"));
    }
    cease_tls_config_unref(peer.config);
    OPENSSL_cleanup();
}
