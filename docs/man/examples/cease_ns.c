#include "harness.h"

/* [example] */
#include <cease/time.h>
#include <stdbool.h>

/* How long to wait before the next try: 5 ms, doubling, at most a minute. */
static cease_dur backoff(unsigned tries)
{
    const cease_dur longest = cease_min(1);
    if (tries > 20)
        return longest;
    cease_dur d = cease_ms(INT64_C(5) << tries);
    return d.ns < longest.ns ? d : longest;
}

/* Whether two events are closer together than a clock could tell. */
static bool same_time(cease_time a, cease_time b)
{
    cease_dur apart = cease_time_sub(a, b);
    return apart.ns < cease_us(1).ns && apart.ns > cease_us(-1).ns;
}

/* Hours and seconds from a configuration. The two types do not mix: adding two times, or passing 80
 * where cease_ms(80) is meant, does not compile. They saturate: too many hours are for ever. */
static cease_dur lifetime(int64_t hours, int64_t seconds)
{
    cease_dur h = cease_hour(hours), s = cease_sec(seconds);
    return h.ns == CEASE_FOREVER.ns ? h : cease_ns(h.ns + s.ns);
}
/* [end] */

TEST(example_ns)
{
    CHECK_EQ(backoff(0).ns, 5000000);
    CHECK_EQ(backoff(99).ns, cease_sec(60).ns);
    CHECK(same_time((cease_time){1000}, (cease_time){1999}));
    CHECK(!same_time((cease_time){1000}, (cease_time){2000}));
    CHECK_EQ(lifetime(1, 1).ns, INT64_C(3601) * 1000 * 1000 * 1000);
    CHECK_EQ(lifetime(INT64_MAX, 1).ns, CEASE_FOREVER.ns);
}
