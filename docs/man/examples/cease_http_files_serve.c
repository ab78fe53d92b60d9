#include "harness.h"

#include <stdlib.h>
#include <string.h>

/* [example] */
#include <cease/cease.h>
#include <cease/http_files.h>
#include <stdio.h>

/* One file of the folder, whatever the path says. */
static cease_error terms(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    cease_error err = cease_http_response_header(res, "Content-Language", "en");
    return err == CEASE_OK ? cease_http_files_send(ctx, arg, req, res, "terms.txt") : err;
}

/* Serves a folder below /static/, in gzip to who takes it. */
static cease_error add_files(cease_http_server *server, const char *folder,
                             cease_http_files **ret_files)
{
    const cease_http_files_opts opts = {.size = sizeof opts, .cache_control = "max-age=3600"};
    cease_http_files *files = cease_http_files_new(folder, &opts);
    if (!files)
        return CEASE_ENOENT;
    cease_error err = cease_http_server_use(server, cease_http_compress, NULL);
    if (err == CEASE_OK)
        err = cease_http_server_route(server, NULL, "/static/{path...}", cease_http_files_serve,
                                      files);
    if (err == CEASE_OK)
        err = cease_http_server_route(server, NULL, "/terms", terms, files);
    if (err != CEASE_OK)
        cease_http_files_free(files);
    else
        *ret_files = files; /* cease_http_files_free after cease_http_server_free */
    return err;
}
/* [end] */

struct serving {
    cease_http_server *server;
    cease_listener *listener;
};

static cease_error serve(cease_ctx *ctx, void *arg)
{
    struct serving *s = arg;
    return cease_http_server_serve(ctx, s->server, s->listener);
}

TEST(example_http_files_serve)
{
    struct serving s = {.server = cease_http_server_new(NULL)};
    char address[CEASE_ADDRESS_SIZE], path[300], url[CEASE_ADDRESS_SIZE + 40];
    cease_http_files *files = NULL;
    cease_http_reply reply = {0};
    snprintf(path, sizeof path, "%s/terms.txt", harness_temp_dir());
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fputs("none\n", f) >= 0 && fclose(f) == 0);
    CHECK_OK(add_files(s.server, harness_temp_dir(), &files));
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &s.listener));
    CHECK_OK(cease_listener_address(s.listener, address, sizeof address));
    cease_group *group = cease_group_new(cease_background(), NULL);
    CHECK_OK(cease_group_go(group, serve, &s));
    static const char *const paths[] = {"/static/terms.txt", "/terms"};
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "http://%s%s", address, paths[i]);
        CHECK_OK(cease_http_get(cease_background(), url, NULL, &reply));
        CHECK_STR(reply.body, "none\n");
        cease_http_reply_deinit(&reply);
    }
    cease_group_free(group);
    cease_http_server_free(s.server);
    cease_http_files_free(files);
}
