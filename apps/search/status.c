/* SPDX-License-Identifier: MIT
 *
 * status.c: what the process holds at this moment, for /healthz, for the page's progress bars, and
 * for tests, which prove with it that an abandoned request leaves nothing behind.
 */
#include <cease/hooks.h>
#include <cease/runtime.h>
#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>

#include "server.h"
#include "text.h"

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    size_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 3; /* ".", "..", and the folder's own */
}

static void add_index(struct text *t, const struct index *index)
{
    struct index_status s = index_status(index);
    text_printf(t, "\"%s\":{\"state\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}",
                index->name, index_state_name(s.state), s.done, s.total);
}

void status_json(struct text *t, const struct app *app)
{
    struct cease_runtime_counts runtime = {.size = sizeof runtime};
    struct cease_sqlite_counts sqlite;
    cease_http_server_counts http;
    cease_runtime_count(&runtime);
    cease_sqlite_count(&sqlite);
    cease_http_server_count(app->server, &http);
    text_printf(t, "{\"status\":\"ok\",\"version\":\"%s\",\"uptime_ms\":", CEASE_VERSION);
    text_ms(t, cease_time_sub(cease_now(), app->started));
    text_puts(t, ",\"index\":{");
    for (int i = 0; i < INDEX_COUNT; i++) {
        if (i > 0)
            text_putc(t, ',');
        add_index(t, &app->indexes->of[i]);
    }
    text_printf(
        t, "},\"requests\":{\"running\":%" PRIu32 ",\"total\":%" PRIu64 ",\"refused\":%" PRIu64 "}",
        http.requests, http.requests_total, http.bad_total + http.busy_total);
    text_printf(t,
                ",\"connections\":{\"now\":%" PRIu32 ",\"idle\":%" PRIu32 ",\"total\":%" PRIu64 "}",
                http.connections, http.idle, http.connections_total);
    text_printf(t,
                ",\"statements\":{\"running\":%" PRIu64 ",\"interrupted\":%" PRIu64
                ",\"databases\":%" PRIu64 "}",
                sqlite.running, sqlite.interrupted, sqlite.connections);
    text_printf(t,
                ",\"tasks\":%zu,\"contexts\":%zu,\"block_jobs\":%zu,\"workers\":%zu,\"fds\":%zu,"
                "\"heap_bytes\":%zu}\n",
                runtime.tasks, cease_live_count(), runtime.block_jobs, runtime.workers, count_fds(),
                mallinfo2().uordblks);
}
