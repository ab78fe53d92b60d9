#include "harness.h"

/* [example] */
#include <cease/tls.h>
#include <stdio.h>

/* Connects to a host and says why when it cannot be trusted. */
static cease_error connect_to(cease_ctx *ctx, cease_tls_config *config, const char *address,
                              const char *host, cease_tls **ret_tls)
{
    cease_conn *conn;
    cease_error err = cease_dial(ctx, address, NULL, &conn);
    if (err != CEASE_OK)
        return err;
    cease_tls *tls = cease_tls_client(config, conn, host);
    err = cease_tls_handshake(ctx, tls);
    if (err != CEASE_OK) {
        fprintf(stderr, "%s: %s\n", host,
                err == CEASE_ETLS ? cease_tls_why(tls) : cease_strerror(err));
        cease_tls_close(tls);
        return err;
    }
    const char *protocol = cease_tls_alpn(tls);
    printf("%s speaks %s%s\n", host, protocol ? protocol : "nothing in particular",
           cease_tls_resumed(tls) ? ", and knows us" : "");
    *ret_tls = tls;
    return CEASE_OK;
}

/* One for the whole program: it keeps the sessions. */
static cease_tls_config *trust_system(void)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    const cease_tls_client_opts opts = {.size = sizeof opts, .alpn = protocols};
    return cease_tls_client_new(&opts);
}
/* [end] */

#include <cease/runtime.h>
#include <openssl/crypto.h>

TEST(example_tls_client)
{
    char address[CEASE_ADDRESS_SIZE];
    cease_listener *l;
    cease_tls *tls = NULL;
    CHECK_OK(cease_listen(cease_background(), "127.0.0.1:0", NULL, &l));
    CHECK_OK(cease_listener_address(l, address, sizeof address));
    CEASE_AUTO_END cease_canceler *stop = NULL;
    cease_ctx *ctx = cease_with_timeout(cease_background(), cease_ms(20), &stop);
    cease_tls_config *config = trust_system();
    CHECK_ERR(connect_to(ctx, config, address, "localhost", &tls), CEASE_EDEADLINE);
    CHECK_PTR(tls, NULL);
    cease_listener_close(l);
    cease_tls_config_unref(config);
    CHECK_OK(cease_runtime_stop());
    OPENSSL_cleanup(); /* what it keeps for the life of a process */
}
