#include "http_shown.h"

/* [example] */
#include <cease/http_protocol.h>
#include <stdatomic.h>

/* Who speaks SSH to a web server looks for doors: it is counted, and the connection closed. */
static void hang_up(void *self, const struct ceasei_http_seam *seam,
                    struct ceasei_http_connection *c, const void *data, size_t size)
{
    atomic_uint *count = self;
    (void)seam, (void)c, (void)data, (void)size;
    atomic_fetch_add(count, 1);
}

static cease_error count_ssh(cease_http_server *server, atomic_uint *count)
{
    static const char preface[] = "SSH-2.0-";
    const cease_http_protocol ssh = {.size = sizeof ssh,
                                     .seam = CEASE_HTTP_SEAM,
                                     .preface = preface,
                                     .preface_size = sizeof preface - 1,
                                     .run = hang_up,
                                     .self = count};
    return cease_http_server_protocol(server, &ssh);
}
/* [end] */

TEST(example_http_server_protocol)
{
    static atomic_uint count;
    char body[256];
    struct shown s;
    cease_conn *c;
    size_t n;
    cease_http_server *server = cease_http_server_new(NULL);
    CHECK_OK(count_ssh(server, &count));
    CHECK_EQ(count_ssh(server, &count), CEASE_EEXIST);
    shown_start(&s, server);
    CHECK_EQ(shown_ask(&s, "/", NULL, NULL, body), 404);
    CHECK_EQ(atomic_load(&count), 0);
    CHECK_OK(cease_dial(cease_background(), s.address, NULL, &c));
    CHECK_OK(cease_conn_write(cease_background(), c, "SSH-2.0-scan\r\n", 14, NULL));
    CHECK_EQ(cease_conn_read(cease_background(), c, body, sizeof body, &n), CEASE_EOF);
    CHECK_EQ(atomic_load(&count), 1);
    cease_conn_close(c);
    shown_stop(&s);
}
