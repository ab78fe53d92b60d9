/* identity_test.c: out to break servers with several certificates and clients with one: names that pick the
 * wrong certificate, wildcards, no name at all; clients without a certificate, with one that nobody trusts,
 * with one that is taken up again with its session; reloads; files that are missing. */
#include "../https/certificate.h"

#include <cease/cease.h>
#include <cease/tls.h>
#include <string.h>

static char other_cert[256], other_key[256], alice_cert[256], alice_key[256], all_file[256];
static cease_tls_config *server_config;
static cease_listener *listener;
static char address[CEASE_ADDRESS_SIZE];

/* What the server has seen of one connection. */
static struct {
    cease_error error;
    bool has_subject, resumed;
    char subject[64], why[256];
} seen;

static cease_ctx *root(void)
{
    return cease_background();
}

static void append(const char *to, const char *from)
{
    char text[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "a");
    CHECK(in != NULL && out != NULL);
    size_t size = fread(text, 1, sizeof text, in);
    CHECK_EQ(fwrite(text, 1, size, out), size);
    fclose(in);
    fclose(out);
}

/* The server's two certificates and the client's; all_file: the server's, for clients to trust. */
static void make_files(void)
{
    make_certificate();
    const char *dir = harness_temp_dir();
    snprintf(other_cert, sizeof other_cert, "%s/other.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other-key.pem", dir);
    snprintf(alice_cert, sizeof alice_cert, "%s/alice.pem", dir);
    snprintf(alice_key, sizeof alice_key, "%s/alice-key.pem", dir);
    snprintf(all_file, sizeof all_file, "%s/all.pem", dir);
    write_certificate(other_cert, other_key, "other", "DNS:other.test,DNS:*.wild.test");
    write_certificate(alice_cert, alice_key, "alice", "email:alice@example.org");
    append(all_file, cert_file);
    append(all_file, other_cert);
}

static void start(cease_tls_server_opts opts)
{
    opts.size = sizeof opts;
    opts.certificate_file = cert_file;
    opts.key_file = key_file;
    CHECK_OK(cease_tls_server_new(&opts, &server_config));
    CHECK_OK(cease_listen(root(), "127.0.0.1:0", NULL, &listener));
    CHECK_OK(cease_listener_address(listener, address, sizeof address));
}

static void stop(void)
{
    cease_listener_close(listener);
    cease_tls_config_unref(server_config);
    CHECK_OK(cease_runtime_stop()); /* OpenSSL frees what it keeps for a thread when it ends */
    OPENSSL_cleanup();
}

/* Says one byte to a client that it accepts. */
static cease_error serve_one(cease_ctx *ctx, void *arg)
{
    cease_conn *conn;
    (void)arg;
    CHECK_OK(cease_listener_accept(ctx, listener, &conn));
    cease_tls *t = cease_tls_server(server_config, conn);
    seen.error = cease_tls_handshake(ctx, t);
    const char *subject = cease_tls_peer_subject(t);
    seen.has_subject = subject != NULL;
    seen.resumed = cease_tls_resumed(t);
    snprintf(seen.subject, sizeof seen.subject, "%s", subject ? subject : "");
    snprintf(seen.why, sizeof seen.why, "%s", cease_tls_why(t));
    if (seen.error == CEASE_OK &&
        (seen.error = cease_tls_write(ctx, t, "x", 1, NULL)) == CEASE_OK) {
        seen.error = cease_tls_shutdown(ctx, t);
    }
    cease_tls_close(t);
    return CEASE_OK;
}

/* Connects as that host and reads the byte; why it failed, if it has. */
static cease_error meet(cease_tls_config *config, const char *host, char why[256], char subject[64])
{
    cease_group *group = cease_group_new(root(), NULL);
    cease_conn *conn;
    char byte;
    size_t n;
    CHECK_OK(cease_group_go(group, serve_one, NULL));
    CHECK_OK(cease_dial(root(), address, NULL, &conn));
    cease_tls *t = cease_tls_client(config, conn, host);
    CHECK(t != NULL);
    cease_error e = cease_tls_read(root(), t, &byte, 1, &n);
    snprintf(why, 256, "%s", cease_tls_why(t));
    snprintf(subject, 64, "%s", cease_tls_peer_subject(t) ? cease_tls_peer_subject(t) : "");
    if (e == CEASE_OK) {
        CHECK_ERR(cease_tls_read(root(), t, &byte, 1, &n),
                  CEASE_EOF); /* and the session's ticket */
    }
    cease_tls_close(t);
    CHECK_OK(cease_group_wait(group));
    cease_group_free(group);
    return e;
}

static cease_tls_config *client(const char *certificate, const char *key)
{
    const cease_tls_client_opts opts = {
        .size = sizeof opts, .ca_file = all_file, .certificate_file = certificate, .key_file = key};
    cease_tls_config *config = cease_tls_client_new(&opts);
    CHECK(config != NULL);
    return config;
}

/* ---- several certificates ---- */

static void check_names(void)
{
    static const struct {
        const char *host, *subject; /* "": refused, since the first certificate is not for it */
    } cases[] = {
        {"localhost", "CN=test"},    {"LOCALHOST", "CN=test"}, {"other.test", "CN=other"},
        {"a.wild.test", "CN=other"}, {"a.b.wild.test", ""},    {"wild.test", ""},
        {"unknown.test", ""},        {"127.0.0.1", ""}, /* a number is no name to ask for */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[256], subject[64];
        cease_tls_config *config = client(NULL, NULL);
        cease_error e = meet(config, cases[i].host, why, subject);
        CHECK_STR(subject, cases[i].subject);
        CHECK_ERR(e, cases[i].subject[0] ? CEASE_OK : CEASE_ETLS);
        if (e != CEASE_OK) {
            CHECK(strstr(why, "it is for localhost") != NULL);
        }
        cease_tls_config_unref(config);
    }
}

TEST(identity_nameThatIsAskedFor_picksTheCertificate)
{
    make_files();
    const cease_tls_identity more[] = {{other_cert, other_key}};
    start((cease_tls_server_opts){.more = more, .more_count = 1});
    check_names();
    CHECK_OK(cease_tls_config_reload(server_config)); /* which must read all of them again */
    check_names();
    stop();
}

TEST(identity_sessionOfAnotherName_isTakenUpAgain)
{
    char why[256], subject[64];
    make_files();
    const cease_tls_identity more[] = {{other_cert, other_key}};
    start((cease_tls_server_opts){.more = more, .more_count = 1});
    cease_tls_config *config = client(NULL, NULL);
    CHECK_OK(meet(config, "other.test", why, subject));
    CHECK(!seen.resumed);
    CHECK_OK(meet(config, "other.test", why, subject));
    CHECK(seen.resumed);
    CHECK_STR(subject, "CN=other");
    cease_tls_config_unref(config);
    stop();
}

TEST(identity_filesThatAreMissingOrDoNotFit_areRefused)
{
    make_files();
    cease_tls_config *config = NULL;
    cease_tls_identity more[] = {{other_cert, other_key}, {other_cert, "/nonexistent"}};
    cease_tls_server_opts opts = {.size = sizeof opts,
                                  .certificate_file = cert_file,
                                  .key_file = key_file,
                                  .more = more,
                                  .more_count = 2};
    CHECK_ERR(cease_tls_server_new(&opts, &config), CEASE_ENOENT);
    more[1].key_file = key_file; /* not its own */
    CHECK_ERR(cease_tls_server_new(&opts, &config), CEASE_ETLS);
    more[1].key_file = NULL;
    CHECK_ERR(cease_tls_server_new(&opts, &config), CEASE_EINVAL);
    opts.more_count = 0;
    opts.client_ca_file = "/nonexistent";
    CHECK_ERR(cease_tls_server_new(&opts, &config), CEASE_ENOENT);
    opts.client_ca_file = other_key; /* holds no certificate */
    CHECK_ERR(cease_tls_server_new(&opts, &config), CEASE_ETLS);
    CHECK_PTR(config, NULL);
    cease_tls_client_opts own = {.size = sizeof own, .certificate_file = alice_cert};
    CHECK_PTR(cease_tls_client_new(&own), NULL); /* half of it */
    own.key_file = other_key;
    CHECK_PTR(cease_tls_client_new(&own), NULL);
    OPENSSL_cleanup();
}

/* ---- clients with certificates ---- */

TEST(identity_clientWithACertificate_isKnownByItsSubject)
{
    char why[256], subject[64];
    make_files();
    start((cease_tls_server_opts){.client_ca_file = alice_cert});
    cease_tls_config *config = client(alice_cert, alice_key);
    for (int i = 0; i < 2;
         i++) { /* also when its session is taken up again, without the certificate */
        CHECK_OK(meet(config, "localhost", why, subject));
        CHECK_OK(seen.error);
        CHECK_STR(seen.subject, "CN=alice");
        CHECK_EQ(seen.resumed, i > 0);
    }
    CHECK_OK(cease_tls_config_reload(server_config)); /* whom it trusts may have changed */
    CHECK_OK(meet(config, "localhost", why, subject));
    CHECK(!seen.resumed);
    CHECK_STR(seen.subject, "CN=alice");
    cease_tls_config_unref(config);
    stop();
}

TEST(identity_clientWithoutOneOrWithAStrangers_isRefused)
{
    char why[256], subject[64];
    make_files();
    start((cease_tls_server_opts){.client_ca_file = alice_cert});
    cease_tls_config *config = client(NULL, NULL);
    CHECK_ERR(meet(config, "localhost", why, subject), CEASE_ETLS);
    CHECK_ERR(seen.error, CEASE_ETLS);
    CHECK(!seen.has_subject && seen.why[0] != '\0');
    CHECK(strstr(why, "the peer says: ") == why);
    cease_tls_config_unref(config);
    config = client(other_cert, other_key); /* trusted as a server, not as a client */
    CHECK_ERR(meet(config, "localhost", why, subject), CEASE_ETLS);
    CHECK_ERR(seen.error, CEASE_ETLS);
    CHECK(!seen.has_subject);
    CHECK(strstr(seen.why, "certificate: ") == seen.why);
    cease_tls_config_unref(config);
    stop();
}

TEST(identity_optional_letsNobodyInAsNobodyAndNoStranger)
{
    char why[256], subject[64];
    make_files();
    start((cease_tls_server_opts){.client_ca_file = alice_cert, .client_optional = true});
    cease_tls_config *config = client(NULL, NULL);
    CHECK_OK(meet(config, "localhost", why, subject));
    CHECK(!seen.has_subject);
    cease_tls_config_unref(config);
    config = client(alice_cert, alice_key);
    CHECK_OK(meet(config, "localhost", why, subject));
    CHECK_STR(seen.subject, "CN=alice");
    cease_tls_config_unref(config);
    config = client(other_cert, other_key);
    CHECK_ERR(meet(config, "localhost", why, subject), CEASE_ETLS);
    CHECK(!seen.has_subject);
    cease_tls_config_unref(config);
    stop();
}
