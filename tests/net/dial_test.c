/* SPDX-License-Identifier: MIT
 *
 * dial_test.c: out to break the race of a dial: addresses that swallow packets, that refuse, that are
 * none, cancels at every moment, also that in which a connection is made, and descriptors running out.
 * Below the resolver, whose answers a test cannot choose.
 *
 * What swallows packets is a listener whose queue is full: the kernel drops what comes then.
 */
#include "net/dial.h"

#include "harness.h"

#include <arpa/inet.h>
#include <cease/cease.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static cease_ctx *root(void)
{
    return cease_background();
}

static const cease_dial_opts no_opts;

static struct ceasei_address address_of(const char *text)
{
    struct ceasei_address_text parsed;
    CHECK(ceasei_address_parse(text, &parsed));
    return parsed.address;
}

static cease_listener *open_at(struct ceasei_address *ret)
{
    char text[CEASE_ADDRESS_SIZE];
    cease_listener *l = NULL;
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &l));
    CHECK_OK(cease_listener_address(l, text, sizeof text));
    *ret = address_of(text);
    return l;
}

/* An address that refuses: a port that was open a moment ago. */
static struct ceasei_address refusing(void)
{
    struct ceasei_address a;
    cease_listener_close(open_at(&a));
    return a;
}

/* An address where nothing answers. */
struct hole {
    int listener;
    int client; /* fills the queue */
    struct ceasei_address address;
};

static void hole_open(struct hole *h)
{
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    h->address = address_of("127.0.0.1:0");
    CHECK_EQ(bind(h->listener, &h->address.u.any, h->address.size), 0);
    CHECK_EQ(listen(h->listener, 0), 0);
    CHECK_EQ(getsockname(h->listener, &h->address.u.any, &h->address.size), 0);
    h->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(h->client, &h->address.u.any, h->address.size), 0);
}

static void hole_close(struct hole *h)
{
    close(h->listener);
    close(h->client);
}

/* Dials, and says a word over what came of it. */
static cease_error dial_and_talk(const struct ceasei_address *addresses, int count,
                                 cease_listener *l)
{
    cease_conn *c = NULL;
    cease_conn *server = NULL;
    char byte = 0;
    size_t n = 0;
    cease_error e = ceasei_dial_any(root(), addresses, count, &no_opts, &c);
    if (e != CEASE_OK) {
        CHECK_PTR(c, NULL);
        return e;
    }
    CHECK_OK(cease_listener_accept(root(), l, &server));
    CHECK_OK(cease_conn_write(root(), server, "x", 1, NULL));
    CHECK_OK(cease_conn_read(root(), c, &byte, 1, &n));
    CHECK_EQ(byte, 'x');
    cease_conn_close(server);
    cease_conn_close(c);
    return CEASE_OK;
}

/* ---- order ------------------------------------------------------------------------------------- */

static void check_order(const char *from, const char *want)
{
    struct ceasei_address a[CEASEI_ADDRESSES_MAX] = {{0}};
    int count = (int)strlen(from) / 2;
    for (int i = 0; i < count; i++) { /* "6a" is an address of IPv6 that is called a */
        a[i].u.any.sa_family = from[2 * i] == '6' ? AF_INET6 : AF_INET;
        a[i].size = (socklen_t)from[2 * i + 1];
    }
    ceasei_dial_order(a, count);
    char got[2 * CEASEI_ADDRESSES_MAX + 1] = "";
    for (int i = 0; i < count; i++) {
        got[2 * i] = a[i].u.any.sa_family == AF_INET6 ? '6' : '4';
        got[2 * i + 1] = (char)a[i].size;
    }
    CHECK_STR(got, want);
}

TEST(dial_order_lets_families_take_turns)
{
    check_order("", "");
    check_order("4a", "4a");
    check_order("4a4b4c", "4a4b4c");
    check_order("6a6b6c4d4e", "6a4d6b4e6c");
    check_order("4a4b4c6d", "4a6d4b4c");
    check_order("6a4b6c4d", "6a4b6c4d");
    check_order("6a6b6c6d6e6f6g6h6i6j6k6l6m6n6o4p", "6a4p6b6c6d6e6f6g6h6i6j6k6l6m6n6o");
}

TEST(dial_stagger_is_the_part_of_the_time_that_is_left)
{
    CHECK_EQ(ceasei_dial_stagger(root(), 3).ns, 250 * 1000 * 1000);
    cease_canceler *stop;
    cease_ctx *ctx = cease_with_timeout(root(), cease_ms(300), &stop);
    CHECK(ceasei_dial_stagger(ctx, 2).ns <= 100 * 1000 * 1000);
    CHECK(ceasei_dial_stagger(ctx, 14).ns <= 20 * 1000 * 1000);
    cease_end(stop);
    ctx = cease_with_timeout(root(), cease_min(1), &stop);
    CHECK_EQ(ceasei_dial_stagger(ctx, 15).ns, 250 * 1000 * 1000);
    cease_end(stop);
}

/* ---- races ------------------------------------------------------------------------------------- */

static cease_error race_task(cease_ctx *ctx, void *arg)
{
    struct hole hole;
    struct ceasei_address a[3];
    (void)ctx;
    (void)arg;
    cease_listener *l = open_at(&a[2]);
    hole_open(&hole);
    a[0] = hole.address;
    a[1] = refusing();
    CHECK_OK(dial_and_talk(a, 3, l)); /* the hole is given its while, the second none */
    hole_close(&hole);
    cease_listener_close(l);
    return CEASE_OK;
}

TEST(dial_race_past_a_hole_and_a_refusal_connects)
{
    CHECK_OK(race_task(root(), NULL));
    cease_group *g = cease_group_new(root(), NULL);
    CHECK_OK(cease_group_go(g, race_task, NULL));
    CHECK_OK(cease_group_wait(g));
    cease_group_free(g);
}

/* Whether the kernel sends requests to that port that nobody answers. */
static bool is_dialled(const struct hole *h)
{
    char line[256];
    unsigned port, state;
    bool found = false;
    FILE *f = fopen("/proc/net/tcp", "re");
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f)) {
        found |= sscanf(line, " %*[^:]: %*[^:]:%*x %*[^:]:%x %x", &port, &state) == 2 &&
                 port == ntohs(h->address.u.v4.sin_port) && state == 2; /* SYN_SENT */
    }
    fclose(f);
    return found;
}

static void *open_first(void *arg)
{
    struct hole *holes = arg;
    CHECK_EVENTUALLY(is_dialled(&holes[1]));
    /* there is room in its queue now: the kernel tries again after a second */
    close(holes[0].client);
    holes[0].client = accept4(holes[0].listener, NULL, NULL, SOCK_CLOEXEC);
    return NULL;
}

TEST(dial_race_is_won_by_the_first_after_the_second_has_joined)
{
    struct hole holes[2];
    struct ceasei_address a[2];
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        hole_open(&holes[i]);
        a[i] = holes[i].address;
    }
    CHECK_EQ(pthread_create(&thread, NULL, open_first, holes), 0);
    cease_conn *c = NULL;
    CHECK_OK(ceasei_dial_any(root(), a, 2, &no_opts, &c));
    pthread_join(thread, NULL);
    char peer[CEASE_ADDRESS_SIZE];
    char want[CEASE_ADDRESS_SIZE];
    CHECK_OK(cease_conn_peer(c, peer, sizeof peer));
    ceasei_address_format(&a[0], want, sizeof want);
    CHECK_STR(peer, want);
    cease_conn_close(c);
    hole_close(&holes[0]);
    hole_close(&holes[1]);
}

TEST(dial_race_that_all_lose_gives_the_first_ones_error)
{
    struct ceasei_address a[3] = {refusing(), address_of("255.255.255.255:9"), refusing()};
    CHECK_ERR(dial_and_talk(a, 3, NULL), CEASE_ECONNREFUSED);
    struct ceasei_address b[2] = {address_of("255.255.255.255:9"), refusing()};
    cease_error e = dial_and_talk(b, 2, NULL);
    CHECK(e != CEASE_OK && e != CEASE_ECONNREFUSED);
}

static size_t open_fds(void)
{
    size_t count = 0;
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds != NULL);
    while (readdir(fds)) {
        count++;
    }
    closedir(fds);
    return count;
}

struct cancelling {
    cease_canceler *stop;
    size_t fds; /* before the race */
};

static void *cancel_when_it_connects(void *arg)
{
    struct cancelling *c = arg;
    CHECK_EVENTUALLY(open_fds() > c->fds);
    cease_cancel(c->stop);
    return NULL;
}

TEST(dial_race_ends_with_its_context_and_leaves_no_socket)
{
    struct hole holes[2];
    struct ceasei_address a[2];
    for (int i = 0; i < 2; i++) {
        hole_open(&holes[i]);
        a[i] = holes[i].address;
    }
    cease_canceler *stop;
    cease_conn *c = NULL;
    pthread_t thread;
    cease_ctx *ctx = cease_with_cancel(root(), &stop);
    struct cancelling cancelling = {stop, open_fds()};
    CHECK_EQ(pthread_create(&thread, NULL, cancel_when_it_connects, &cancelling), 0);
    CHECK_ERR(ceasei_dial_any(ctx, a, 2, &no_opts, &c), CEASE_ECANCELED);
    pthread_join(thread, NULL);
    cease_end(stop);
    ctx = cease_with_timeout(root(), cease_ms(20), &stop);
    CHECK_ERR(ceasei_dial_any(ctx, a, 2, &no_opts, &c), CEASE_EDEADLINE);
    CHECK_ERR(ceasei_dial_any(ctx, a, 1, &no_opts, &c), CEASE_EDEADLINE);
    CHECK_PTR(c, NULL);
    cease_end(stop);
    hole_close(&holes[0]);
    hole_close(&holes[1]);
}

/* ---- a cancel in the moment of success --------------------------------------------------------- */

struct moment {
    struct ceasei_address address;
    int yields; /* of the other task before its cancel */
    cease_canceler *stop;
    bool cancelled; /* one worker: no two of these run at once */
    int won, lost;
};

static cease_error dial_at_the_moment(cease_ctx *ctx, void *arg)
{
    struct moment *m = arg;
    cease_conn *c = NULL;
    cease_error e = ceasei_dial_any(ctx, &m->address, 1, &no_opts, &c);
    CHECK_ERR(e, m->cancelled ? CEASE_ECANCELED : CEASE_OK);
    m->won += e == CEASE_OK;
    m->lost += e != CEASE_OK;
    cease_conn_close(c);
    return CEASE_OK;
}

static cease_error cancel_at_the_moment(cease_ctx *ctx, void *arg)
{
    struct moment *m = arg;
    (void)ctx;
    for (int i = 0; i < m->yields; i++) {
        cease_yield();
    }
    m->cancelled = true;
    cease_cancel(m->stop);
    return CEASE_OK;
}

/* The other task cancels after so many of its turns: before the connection is made, between its being
 * noticed and the dial's return, or too late. */
TEST(dial_cancelled_in_the_moment_of_success_fails)
{
    struct moment m = {0};
    CHECK_EQ(setenv("CEASE_WORKERS", "1", 1), 0);
    harness_mark(); /* libc keeps what setenv allocates */
    cease_listener *l = open_at(&m.address);
    for (m.yields = 0; m.yields < 300; m.yields++) {
        cease_ctx *ctx = cease_with_cancel(root(), &m.stop);
        m.cancelled = false;
        cease_group *g = cease_group_new(root(), NULL);
        cease_group *dialling = cease_group_new(ctx, NULL);
        CHECK_OK(cease_group_go(dialling, dial_at_the_moment, &m));
        CHECK_OK(cease_group_go(g, cancel_at_the_moment, &m));
        CHECK_OK(cease_group_wait(g));
        (void)cease_group_wait(dialling);
        cease_group_free(g);
        cease_group_free(dialling);
        cease_end(m.stop);
    }
    CHECK_EQ(m.won + m.lost, 300);
    CHECK(m.lost > 0);
    cease_listener_close(l);
}

/* From another thread, where only what is left behind can be checked. */
TEST(dial_cancelled_by_a_thread_at_any_time_leaves_nothing)
{
    struct ceasei_address a[2];
    cease_listener *l = open_at(&a[0]);
    a[1] = a[0];
    for (int i = 0; i < (harness_is_slow() ? 40 : 400); i++) {
        cease_canceler *stop;
        cease_conn *c = NULL;
        cease_ctx *ctx = cease_with_timeout(root(), cease_us(i % 40 * 5), &stop);
        cease_error e = ceasei_dial_any(ctx, a, 1 + i % 2, &no_opts, &c);
        CHECK(e == CEASE_OK || e == CEASE_EDEADLINE);
        CHECK((e == CEASE_OK) == (c != NULL));
        cease_conn_close(c);
        cease_end(stop);
    }
    cease_listener_close(l);
}

/* ---- want of memory and descriptors ------------------------------------------------------------ */

TEST(dial_race_every_allocation_failing_leaves_nothing)
{
    struct ceasei_address a[2];
    a[0] = refusing();
    cease_listener *l = open_at(&a[1]);
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        cease_conn *c = NULL;
        cease_error e = ceasei_dial_any(root(), a, 2, &no_opts, &c);
        CHECK(e == CEASE_OK || e == CEASE_ENOMEM);
        cease_conn_close(c);
    }
    cease_listener_close(l);
}

TEST(dial_race_without_descriptors_says_so)
{
    struct ceasei_address a[2];
    a[0] = refusing();
    cease_listener *l = open_at(&a[1]);
    for (int free_fds = 0; free_fds < 4; free_fds++) {
        struct rlimit limit;
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
        int top = dup(0);
        close(top);
        const struct rlimit low = {.rlim_cur = (rlim_t)(top + free_fds),
                                   .rlim_max = limit.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        cease_conn *c = NULL;
        cease_error e = ceasei_dial_any(root(), a, 2, &no_opts, &c);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        /* the race's own, and one attempt after the other */
        CHECK_ERR(e, free_fds < 2 ? CEASE_EMFILE : CEASE_OK);
        cease_conn_close(c);
    }
    cease_listener_close(l);
}
