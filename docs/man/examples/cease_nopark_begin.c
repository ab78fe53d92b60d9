#include "harness.h"

/* [example] */
#include <cease/nopark.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t names_lock =
    PTHREAD_MUTEX_INITIALIZER; /* also taken by code that knows no tasks */
static char names[2][16] = {"alice", "bob"};

static void each_name(void (*visit)(const char *name, void *arg), void *arg)
{
    pthread_mutex_lock(&names_lock);
    cease_nopark scope;
    cease_nopark_begin(&scope); /* under CEASE_DEBUG, a visit that waits ends the process */
    for (int i = 0; i < 2; i++)
        visit(names[i], arg);
    cease_nopark_end(&scope);
    pthread_mutex_unlock(&names_lock);
}
/* [end] */

static void add_length(const char *name, void *arg)
{
    *(size_t *)arg += strlen(name);
}

TEST(example_nopark_begin)
{
    size_t sum = 0;
    each_name(add_length, &sum);
    CHECK_EQ(sum, 8);
}
