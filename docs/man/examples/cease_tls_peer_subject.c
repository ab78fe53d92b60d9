#include "harness.h"

/* [example] */
#include <cease/tls.h>
#include <stdio.h>
#include <string.h>

/* Two hosts behind one listener, for clients whom `staff_ca` has given a certificate. */
static cease_error make_config(cease_tls_config **ret_config)
{
    static const cease_tls_identity more[] = {{"/etc/b.example.pem", "/etc/b.example-key.pem"}};
    const cease_tls_server_opts opts = {.size = sizeof opts,
                                        .certificate_file = "/etc/a.example.pem",
                                        .key_file = "/etc/a.example-key.pem",
                                        .more = more,
                                        .more_count = 1,
                                        .client_ca_file = "/etc/staff_ca.pem"};
    return cease_tls_server_new(&opts, ret_config);
}

/* Who talks to which host, from where: "CN=alice for b.example from 192.0.2.1:50000". */
static void describe(const cease_tls *tls, char *ret, size_t size)
{
    char address[CEASE_ADDRESS_SIZE] = "?";
    const char *who = cease_tls_peer_subject(tls), *host = cease_tls_server_name(tls);
    (void)cease_conn_peer(cease_tls_conn(tls), address, sizeof address);
    snprintf(ret, size, "%s for %s from %s", who ? who : "nobody", host ? host : "any host",
             address);
}

/* Waits for a request without holding a buffer. What TLS has taken already, the socket knows nothing of. */
static cease_error wait_for_bytes(cease_ctx *ctx, cease_tls *tls)
{
    return cease_tls_pending(tls) ? CEASE_OK : cease_conn_wait_readable(ctx, cease_tls_conn(tls));
}

/* Each user of a configuration has a share, and gives it back. */
struct endpoint {
    cease_tls_config *config;
};

static void endpoint_init(struct endpoint *e, cease_tls_config *config)
{
    e->config = cease_tls_config_ref(config);
}

static void endpoint_deinit(struct endpoint *e)
{
    e->config = cease_tls_config_unref(e->config);
}
/* [end] */

#include <openssl/crypto.h>

TEST(example_tls_peer_subject)
{
    char text[256];
    struct endpoint endpoint;
    cease_tls_config *config = NULL;
    CHECK_ERR(make_config(&config), CEASE_ENOENT);
    describe(NULL, text, sizeof text);
    CHECK_STR(text, "nobody for any host from ?");
    CHECK_ERR(wait_for_bytes(cease_background(), NULL), CEASE_ENOMEM);
    config = cease_tls_client_new(NULL);
    endpoint_init(&endpoint, config);
    endpoint_deinit(&endpoint);
    cease_tls_config_unref(config);
    OPENSSL_cleanup(); /* what it keeps for the life of a process */
}
