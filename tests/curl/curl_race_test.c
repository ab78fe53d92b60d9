/*
 * Breaks the promise that no transfer's bytes go to another: see race.h. One client for all.
 */
#include "curl_common.h"
#include "race.h"

SERVERS("nginx");

static cease_error ask(cease_ctx *ctx, void *client, struct racer *r)
{
    static const char *const paths[] = {"/hello", "/files/big", "/slow/big", "/moved"};
    uint64_t kind = race_random(r) % 4;
    cease_curl_body body = {0};
    char url[256];
    snprintf(url, sizeof url, "%s", url_of(paths[kind]));
    cease_error e = cease_curl_get(ctx, client, url, 2 << 20, &body);
    if (e == CEASE_OK)
        CHECK_EQ(body.size, kind % 3 == 0 ? 13 : 1 << 20);
    cease_curl_body_deinit(&body);
    return e;
}

static void *take(struct racer *r)
{
    return r->race->arg;
}

static void check(void *client)
{
    check_alive(client);
}

TEST(race_of_cancels_never_gives_an_answer_to_another_transfer)
{
    warm_up();
    cease_curl_opts opts = {.size = sizeof opts, .transfers_max = 3};
    cease_curl *client = cease_curl_new(&opts);
    race_run(&(struct race){.what = "transfers",
                            .rounds = race_rounds(1000),
                            .time_max_us = 2000,
                            .take = take,
                            .ask = ask,
                            .check = check,
                            .arg = client});
    puts("");
    cease_curl_free(client);
}
