/* rig.h: a server under test, its log, and clients that write raw bytes. */
#ifndef CEASE_TESTS_HTTP_RIG_H
#define CEASE_TESTS_HTTP_RIG_H

#include "harness.h"

#include <cease/cease.h>
#include <cease/http.h>
#include <pthread.h>

enum { RIG_LOG_MAX = 4096 };

struct rig_log {
    int status;
    uint64_t bytes;
    cease_dur elapsed;
    cease_error error;
    int cause_code;
    char cause_text[96];
    char method[16];
    char target[64];
};

struct rig {
    cease_http_server *server;
    cease_listener *listener;
    cease_canceler *stop;
    cease_ctx *ctx;
    cease_group *group;
    cease_error served; /* what serve returned, once it has */
    int port;
    char url[64]; /* "http://127.0.0.1:port" */
    pthread_mutex_t lock;
    struct rig_log log[RIG_LOG_MAX]; /* under lock */
    int log_count;                   /* under lock */
};

/* Makes a server (opts may be NULL), ready for routes. */
void rig_init(struct rig *r, const cease_http_server_opts *opts);
/* On a free port of the loopback, unless r->listener is set by now. */
void rig_start(struct rig *r);
/* Cancels, joins, frees; every connection must be over for it by then. */
void rig_stop(struct rig *r);
/* The first half of that, for tests that watch the phases. */
void rig_cancel(struct rig *r);
void rig_join(struct rig *r);

/* Waits until the log has `count` entries; gives the last of them. */
struct rig_log rig_logged(struct rig *r, int count);
cease_http_server_counts rig_counts(struct rig *r);

/* A raw client: a blocking socket. */
int rig_connect(struct rig *r);
void rig_send(int fd, const char *text);
/* Reads one response, head and body; to be freed. `head`: the response to a HEAD request. */
char *rig_response(int fd, bool head);
/* Reads until the end; to be freed. */
char *rig_rest(int fd);
/* The next thing on this socket is its end. */
void rig_check_end(int fd);
/* Connects, sends, reads one response, closes; to be freed. */
char *rig_ask(struct rig *r, const char *request);

/* Evaluates once; both texts on failure. */
#define CHECK_HAS(text, part)     rig_check_has(__FILE__, __LINE__, (text), (part), true)
#define CHECK_HAS_NOT(text, part) rig_check_has(__FILE__, __LINE__, (text), (part), false)
void rig_check_has(const char *file, int line, const char *text, const char *part, bool has);

#endif
