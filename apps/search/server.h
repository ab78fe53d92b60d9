/* SPDX-License-Identifier: MIT
 *
 * server.h: the program's routes.
 *
 *     GET /                       the empty page
 *     GET /search?q=…&timeout=…   results; JSON for format=json or Accept: application/json
 *     GET /doc/{backend}/{id}     a page, under the same rules
 *     GET /healthz                JSON: that it lives, and what it is doing
 *     GET /style.css, /script.js, /icon.svg
 */
#ifndef SEARCH_SERVER_H
#define SEARCH_SERVER_H

#include <cease/http.h>

#include "backend.h"
#include "index.h"
#include "options.h"

struct app {
    const struct options *options;
    struct indexes *indexes;
    struct backends backends;
    struct cache *cache; /* before each of them; NULL: none */
    cease_http_server *server;
    cease_time started;
};

/* Adds the routes to app->server. */
cease_error server_routes(struct app *app);

/* What stands behind /healthz. */
struct text;
void status_json(struct text *t, const struct app *app);

#endif
