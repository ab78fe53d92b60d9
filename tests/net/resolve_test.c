/* SPDX-License-Identifier: MIT
 *
 * resolve_test.c: out to break name resolution: lookups that hang while their context ends, answers of both
 * families, failures of every kind, and a resolver that is dead for good. getaddrinfo() is this file's own.
 */
#include "harness.h"

#include <cease/cease.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cease_ctx *root(void)
{
    return cease_background();
}

/* ---- the resolver ------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool may_answer = true; /* under lock */
static atomic_int asked, answered;
static int status_to_give, error_to_give;
static const char *addresses = "4:127.0.0.1"; /* one a word; a 6 in front makes it IPv6 */

static struct addrinfo *entry_of(const char *text, const char *port, int socktype)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in6 address;
    } *e = calloc(1, sizeof *e);
    CHECK(e != NULL);
    if (text[0] == '6') {
        e->address.sin6_family = AF_INET6;
        e->address.sin6_addr = in6addr_loopback;
        e->address.sin6_port = htons((uint16_t)atoi(port));
        e->info.ai_addrlen = sizeof e->address;
    } else {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&e->address;
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        v4->sin_port = htons((uint16_t)atoi(port));
        e->info.ai_addrlen = sizeof *v4;
    }
    e->info.ai_family = e->address.sin6_family;
    e->info.ai_socktype = socktype;
    e->info.ai_addr = (struct sockaddr *)&e->address;
    return &e->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    CHECK_STR(name, "some.host");
    atomic_fetch_add(&asked, 1);
    pthread_mutex_lock(&lock);
    while (!may_answer) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    struct addrinfo **end = ret;
    for (const char *p = addresses; status_to_give == 0 && p; p = strchr(p, ' ')) {
        p += *p == ' ';
        *end = entry_of(p, service, hints->ai_socktype);
        end = &(*end)->ai_next;
    }
    atomic_fetch_add(&answered, 1);
    errno = error_to_give;
    return status_to_give;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void allow(bool answer)
{
    pthread_mutex_lock(&lock);
    may_answer = answer;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* The name with the port of a listener on 127.0.0.1. */
static cease_listener *listen_as(char ret_text[CEASE_ADDRESS_SIZE])
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &l));
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    snprintf(ret_text, CEASE_ADDRESS_SIZE, "some.host%s", strrchr(address, ':'));
    return l;
}

/* ---- cases -------------------------------------------------------------------------------------- */

TEST(resolve_of_both_families_connects_where_somebody_listens)
{
    char name[CEASE_ADDRESS_SIZE];
    char peer[CEASE_ADDRESS_SIZE];
    cease_conn *c = NULL;
    cease_listener *l = listen_as(name);
    addresses = "6:::1 6:::1 4:127.0.0.1"; /* nobody listens on ::1, or there is none */
    CHECK_OK(cease_dial(root(), name, NULL, &c));
    CHECK_OK(cease_conn_peer(c, peer, sizeof peer));
    CHECK(strncmp(peer, "127.0.0.1:", 10) == 0);
    CHECK_EQ(atomic_load(&asked), 1);
    cease_conn_close(c);
    cease_listener_close(l);
    CHECK_ERR(cease_dial(root(), name, NULL, &c), CEASE_ECONNREFUSED);
}

TEST(resolve_of_more_addresses_than_are_tried_takes_the_first)
{
    char name[CEASE_ADDRESS_SIZE];
    cease_conn *c = NULL;
    cease_listener *l = listen_as(name);
    addresses = "4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4";
    CHECK_OK(cease_dial(root(), name, NULL, &c));
    cease_conn_close(c);
    cease_listener_close(l);
}

static cease_error dial_task(cease_ctx *ctx, void *arg)
{
    cease_conn *c = NULL;
    cease_error e = cease_dial(ctx, arg, NULL, &c);
    CHECK_PTR(c, NULL);
    return e;
}

/* The lookup still runs when its caller has left, and gives everything back when it ends. */
static void check_left_behind(bool in_task)
{
    static char name[] = "some.host:80";
    cease_canceler *stop;
    allow(false);
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_group *g = cease_group_new(root(), NULL);
    cease_group *dialling = cease_group_new(ctx, NULL);
    if (in_task) {
        CHECK_OK(cease_group_go(dialling, dial_task, name));
        CHECK_EVENTUALLY(atomic_load(&asked) == 1);
        cease_cancel(stop);
        CHECK_ERR(cease_group_wait(dialling), CEASE_ECANCELED);
    } else {
        cease_canceler *end;
        CHECK_ERR(dial_task(cease_with_timeout(ctx, cease_ms(20), &end), name), CEASE_EDEADLINE);
        cease_end(end);
    }
    CHECK_EQ(atomic_load(&answered), 0);
    if (atomic_load(&asked) > 0) {
        CHECK_ERR(cease_runtime_stop(), CEASE_EBUSY); /* it counts */
    }
    allow(true);
    CHECK_EVENTUALLY(atomic_load(&answered) == atomic_load(&asked));
    CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK);
    cease_group_free(g);
    cease_group_free(dialling);
    cease_end(stop);
}

TEST(resolve_that_hangs_is_left_behind_by_a_cancel)
{
    check_left_behind(true);
}

TEST(resolve_that_hangs_is_left_behind_by_a_threads_deadline)
{
    check_left_behind(false);
}

/* A resolver that is dead for good holds a bounded number of threads, and nobody's time. */
TEST(resolve_with_a_dead_resolver_stays_bounded)
{
    static char name[] = "some.host:80";
    CHECK_EQ(setenv("CEASE_BLOCK_THREADS", "4", 1), 0);
    harness_mark(); /* libc keeps what setenv allocates */
    allow(false);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    cease_group *g = cease_group_new(ctx, NULL);
    for (int i = 0; i < 50; i++) {
        CHECK_OK(cease_group_go(g, dial_task, name));
    }
    CHECK_EVENTUALLY(atomic_load(&asked) == 4); /* the others queue */
    cease_cancel(stop);
    allow(true); /* beyond half of the threads, a lookup is joined */
    CHECK_ERR(cease_group_wait(g), CEASE_ECANCELED);
    CHECK(atomic_load(&asked) <= 8);
    cease_group_free(g);
    cease_end(stop);
    CHECK_EVENTUALLY(cease_runtime_stop() == CEASE_OK);
}

TEST(resolve_that_fails_says_so)
{
    static const struct {
        int status, error;
        cease_error want;
    } rows[] = {
        {EAI_NONAME, 0, CEASE_ERESOLVE},      {EAI_AGAIN, 0, CEASE_ERESOLVE},
        {EAI_FAIL, 0, CEASE_ERESOLVE},        {EAI_MEMORY, 0, CEASE_ENOMEM},
        {EAI_SYSTEM, EMFILE, CEASE_EMFILE},   {EAI_SYSTEM, ENFILE, CEASE_ENFILE},
        {EAI_SYSTEM, ENOENT, CEASE_ERESOLVE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cease_conn *c = NULL;
        cease_packet *p = NULL;
        cease_listener *l = NULL;
        cease_address a;
        status_to_give = rows[i].status;
        error_to_give = rows[i].error;
        CHECK_ERR(cease_dial(root(), "some.host:80", NULL, &c), rows[i].want);
        CHECK_ERR(cease_listen(root(), "some.host:0", NULL, &l), rows[i].want);
        CHECK_ERR(cease_packet_dial(root(), "some.host:80", NULL, &p), rows[i].want);
        CHECK_ERR(cease_packet_open(root(), "some.host:80", NULL, &p), rows[i].want);
        CHECK_ERR(cease_address_resolve(root(), "some.host:80", &a), rows[i].want);
    }
}

TEST(resolve_without_memory_says_so)
{
    cease_address a;
    CHECK_OK(cease_address_resolve(root(), "some.host:80", &a)); /* the pool has its thread */
    status_to_give = EAI_NONAME;
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_error e = cease_address_resolve(root(), "some.host:80", &a);
        CHECK(e == CEASE_ERESOLVE || e == CEASE_ENOMEM || e == CEASE_EAGAIN);
    }
}
