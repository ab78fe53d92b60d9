#include "harness.h"

/* [example] */
#include <cease/tls.h>

/* Sends back what a client says, until it says that this was all. */
static cease_error echo(cease_ctx *ctx, cease_tls_config *config, cease_conn *take_conn)
{
    char buf[4096];
    size_t count;
    cease_tls *tls = cease_tls_server(config, take_conn);
    cease_error err;
    while ((err = cease_tls_read(ctx, tls, buf, sizeof buf, &count)) == CEASE_OK)
        if ((err = cease_tls_write(ctx, tls, buf, count, NULL)) != CEASE_OK)
            break;
    if (err == CEASE_EOF)
        err = cease_tls_shutdown(ctx, tls);
    cease_tls_close(tls);
    return err;
}

/* Who the server is; with the same names again after its certificate was renewed. */
static cease_error identify(const char *certificate, const char *key, cease_tls_config **config)
{
    const cease_tls_server_opts opts = {
        .size = sizeof opts, .certificate_file = certificate, .key_file = key};
    if (*config)
        return cease_tls_config_reload(*config); /* connections that there are go on */
    return cease_tls_server_new(&opts, config);
}
/* [end] */

#include <openssl/crypto.h>

TEST(example_tls_server)
{
    cease_tls_config *config = NULL;
    CHECK_ERR(identify("/nonexistent", "/nonexistent", &config), CEASE_ENOENT);
    CHECK_ERR(echo(cease_background(), NULL, NULL), CEASE_ENOMEM);
    OPENSSL_cleanup(); /* what it keeps for the life of a process */
}
