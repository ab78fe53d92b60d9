/* SPDX-License-Identifier: MIT
 *
 * http_chat.c: a chat. Who listens holds a stream of server-sent events open; who speaks posts. In between
 * is one task, which alone knows the listeners and hears of everything by channels, so nothing needs a lock.
 *
 *     curl -N http://127.0.0.1:8080/events          with an address as its argument it just serves
 *     curl -d 'good evening' http://127.0.0.1:8080/say
 */
#include <cease/cease.h>
#include <cease/http.h>
#include <stdio.h>
#include <string.h>

enum { LISTENERS = 100, BEHIND = 16 };

struct message {
    char text[256];
};

struct chat {
    cease_chan *joins, *leaves; /* of cease_chan *: a listener's own */
    cease_chan *messages;
};

/* The hub's listeners. */
struct listeners {
    cease_chan *list[LISTENERS];
    size_t count;
};

static void drop(struct listeners *all, const cease_chan *ch)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i] == ch) {
            cease_chan_unref(all->list[i]);
            all->list[i--] = all->list[--all->count];
        }
}

/* Hears who comes, who goes and what is said, and tells everybody. A listener that is too far behind
 * misses something: one slow reader must not hold up the others. */
static cease_error run_hub(cease_ctx *ctx, void *arg)
{
    struct chat *chat = arg;
    struct listeners all = {.count = 0};
    cease_chan *came = NULL, *gone = NULL;
    struct message said;
    for (;;) {
        cease_case cases[] = {CEASE_RECV(chat->joins, &came), CEASE_RECV(chat->leaves, &gone),
                              CEASE_RECV(chat->messages, &said)};
        size_t fired;
        if (cease_select(ctx, cases, 3, &fired) != CEASE_OK)
            break;
        if (fired == 0 && all.count == LISTENERS)
            cease_chan_close(came); /* the house is full */
        if (fired == 0 && all.count < LISTENERS)
            all.list[all.count++] = cease_chan_ref(came);
        if (fired == 1)
            drop(&all, gone);
        for (size_t i = 0; fired == 2 && i < all.count; i++)
            (void)cease_chan_try_send(all.list[i], &said);
    }
    while (all.count > 0)
        cease_chan_unref(all.list[--all.count]);
    return CEASE_OK;
}

/* GET /events: until the client goes, or the server stops. */
static cease_error listen_in(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                             void *arg)
{
    struct chat *chat = arg;
    struct message said;
    (void)req;
    cease_chan *own = cease_chan_new(sizeof said, BEHIND);
    cease_error e = cease_chan_send(ctx, chat->joins, &own);
    bool joined = e == CEASE_OK;
    if (e == CEASE_OK)
        e = cease_http_response_event(ctx, res, NULL, NULL, NULL); /* the stream has begun */
    while (e == CEASE_OK && (e = cease_chan_recv(ctx, own, &said)) == CEASE_OK)
        e = cease_http_response_event(ctx, res, "message", NULL, said.text);
    if (joined) {
        /* ctx has ended: what must be done all the same gets a little time of its own */
        CEASE_AUTO_END cease_canceler *stop = NULL;
        cease_ctx *grace = cease_with_grace(ctx, cease_sec(1), &stop);
        (void)cease_chan_send(grace, chat->leaves, &own);
    }
    cease_chan_unref(own);
    return e;
}

/* POST /say: the body is the message. */
static cease_error say(cease_ctx *ctx, cease_http_request *req, cease_http_response *res, void *arg)
{
    struct chat *chat = arg;
    struct message said = {0};
    size_t size = 0, n;
    cease_error e = CEASE_OK;
    while (e == CEASE_OK && size < sizeof said.text - 1) {
        n = 0;
        e = cease_http_request_read(ctx, req, said.text + size, sizeof said.text - 1 - size, &n);
        size += n;
    }
    if (e == CEASE_OK)
        return cease_http_response_status(res, 413);
    if (e == CEASE_EOF)
        e = cease_chan_send(ctx, chat->messages, &said);
    return e == CEASE_OK ? cease_http_response_status(res, 204) : e;
}

/* ---- the program ---- */

struct service {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct service *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

/* Reads from a stream of events until `wanted` has come. */
static bool hears(cease_conn *conn, const char *wanted)
{
    char text[4096] = "";
    size_t size = 0, n;
    while (!strstr(text, wanted)) {
        if (size == sizeof text - 1 || cease_conn_read(cease_background(), conn, text + size,
                                                       sizeof text - 1 - size, &n) != CEASE_OK)
            return false;
        size += n;
        text[size] = '\0';
    }
    return true;
}

static cease_conn *join(const char *address)
{
    static const char request[] = "GET /events HTTP/1.1\r\nHost: chat\r\n\r\n";
    cease_conn *conn = NULL;
    if (cease_dial(cease_background(), address, NULL, &conn) != CEASE_OK ||
        cease_conn_write(cease_background(), conn, request, sizeof request - 1, NULL) != CEASE_OK ||
        !hears(conn, ":\n\n"))
        return NULL;
    return conn;
}

static bool post(const char *address, const char *text)
{
    char url[128];
    cease_http_reply reply = {0};
    snprintf(url, sizeof url, "http://%s/say", address);
    const cease_http_call call = {
        .size = sizeof call, .url = url, .body = text, .body_size = strlen(text)};
    bool fine = cease_http_do(cease_background(), &call, &reply) == CEASE_OK && reply.status == 204;
    cease_http_reply_deinit(&reply);
    return fine;
}

int main(int argc, char **argv)
{
    char address[CEASE_ADDRESS_SIZE];
    struct chat chat = {.joins = cease_chan_new(sizeof(cease_chan *), 0),
                        .leaves = cease_chan_new(sizeof(cease_chan *), 0),
                        .messages = cease_chan_new(sizeof(struct message), 0)};
    const cease_http_server_opts opts = {.size = sizeof opts, .grace = cease_ns(-1)};
    struct service s = {.server = cease_http_server_new(&opts)};
    const cease_http_route events = {.size = sizeof events,
                                     .method = "GET",
                                     .pattern = "/events",
                                     .fn = listen_in,
                                     .arg = &chat,
                                     .request_timeout = CEASE_FOREVER};
    if (cease_http_server_add(s.server, &events) != CEASE_OK ||
        cease_http_server_route(s.server, "POST", "/say", say, &chat) != CEASE_OK ||
        cease_listen(cease_background(), argc > 1 ? argv[1] : "127.0.0.1:0", NULL, &s.listener) !=
            CEASE_OK ||
        cease_listener_address(s.listener, address, sizeof address) != CEASE_OK)
        return 1;
    cease_group *hub = cease_group_new(cease_background(), NULL);
    cease_group *group = cease_group_new(cease_background(), NULL);
    bool fine = cease_group_go(hub, run_hub, &chat) == CEASE_OK &&
                cease_group_go(group, serve, &s) == CEASE_OK;
    if (argc > 1)
        return cease_group_wait(group) != CEASE_OK;

    cease_conn *ann = join(address);
    cease_conn *ben = join(address);
    fine = fine && ann && ben && post(address, "good evening");
    fine =
        fine && hears(ann, "event: message\ndata: good evening\n\n") && hears(ben, "good evening");
    cease_conn_close(ann); /* her handler ends, the chat goes on */
    fine = fine && post(address, "two\nlines") && hears(ben, "data: two\ndata: lines\n\n");
    cease_group_stop(group); /* ben's stream ends with the server */
    char byte;
    size_t n;
    while (ben && cease_conn_read(cease_background(), ben, &byte, 1, &n) == CEASE_OK)
        continue;
    cease_conn_close(ben);
    cease_group_stop(hub);
    cease_group_free(group);
    cease_group_free(hub);
    cease_http_server_free(s.server);
    cease_chan_unref(chat.joins);
    cease_chan_unref(chat.leaves);
    cease_chan_unref(chat.messages);
    puts(fine ? "said and heard" : "failed");
    return !fine;
}
