/* peer_service.h: a server for the tests with real peers: prints its address, serves until SIGTERM, logs to stderr,
 * and says at the end what it holds. */
#ifndef CEASE_TESTS_HTTP2_PEER_SERVICE_H
#define CEASE_TESTS_HTTP2_PEER_SERVICE_H

#include <cease/http.h>

/* Serves the listener, plain or with TLS. */
typedef cease_error peer_serve_fn(cease_ctx *ctx, cease_http_server *s,
                                  cease_listener *take_listener, void *arg);

/* The status for main. */
int peer_service_run(peer_serve_fn *fn, void *arg);

#endif
