/* redirect_test.c: out to break the pure parts of the client: where a Location leads (RFC 3986, 5.4), what goes
 * along, and which hosts a proxy is for. */
#include "harness.h"
#include "http/proxy.h"
#include "http/redirect.h"

#include <stdlib.h>
#include <string.h>

static void check_resolve(const char *base, const char *location, const char *expected)
{
    struct ceasei_text t;
    ceasei_text_init(&t);
    bool ok = ceasei_redirect_resolve(base, location, &t);
    if (expected) {
        CHECK_STR(ok ? t.data : location, expected);
    }
    CHECK_EQ(ok, expected != NULL);
    ceasei_text_deinit(&t);
}

TEST(resolve_theExamplesOfTheRfc_givesWhatItSays)
{
    static const char *const rows[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_resolve("http://a/b/c/d;p?q", rows[i][0], rows[i][1]);
    }
}

TEST(resolve_whatServersSend_isMadeSafeOrRefused)
{
    check_resolve("http://a", "x", "http://a/x");
    check_resolve("http://a?q", "?r", "http://a/?r");
    check_resolve("http://a/b", "HTTPS://B.example:8443/c", "https://B.example:8443/c");
    check_resolve("https://a/b", "//c/d", "https://c/d");
    check_resolve("http://a/b", "//c?d", "http://c/?d");
    check_resolve("http://a/", "/a b\tc\xc3\xa9\"<>\\", "http://a/a%20b%09c%C3%A9%22%3C%3E%5C");
    check_resolve("http://a/", "/x?next=http://b/", "http://a/x?next=http://b/");
    check_resolve("http://a/", "ftp://a/", NULL);
    check_resolve("http://a/", "javascript:alert(1)", NULL);
    check_resolve("http://a/", "http:/b", NULL);
    check_resolve("http://a/", "http:///b", NULL);
    check_resolve("http://a/", "http://user:pw@b/", NULL);
    check_resolve("http://a/", "http://b c/", NULL);
    check_resolve("http://a/", "http://:80/", NULL);
    check_resolve("gopher://a/", "/b", NULL);
}

TEST(redirect_byStatusAndMethod_keepsOrDropsTheBody)
{
    static const struct {
        int status;
        const char *method;
        bool drops;
    } rows[] = {
        {301, "GET", false},  {301, "POST", true},  {301, "PUT", false}, {302, "POST", true},
        {302, "HEAD", false}, {303, "POST", true},  {303, "PUT", true},  {303, "HEAD", false},
        {307, "POST", false}, {308, "POST", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(ceasei_redirect_is(rows[i].status));
        CHECK_EQ(ceasei_redirect_drops_body(rows[i].status, rows[i].method), rows[i].drops);
    }
    CHECK(!ceasei_redirect_is(300) && !ceasei_redirect_is(304) && !ceasei_redirect_is(305));
    CHECK(ceasei_redirect_hides("authorization", true, false));
    CHECK(ceasei_redirect_hides("COOKIE", true, false));
    CHECK(ceasei_redirect_hides("Host", true, false));
    CHECK(!ceasei_redirect_hides("Authorization", false, false));
    CHECK(!ceasei_redirect_hides("Accept", true, true));
    CHECK(ceasei_redirect_hides("content-type", false, true));
    CHECK(!ceasei_redirect_hides("Content-Type", true, false));
}

static bool no_proxy(const char *list, const char *host, const char *port)
{
    return ceasei_no_proxy_has(list, host, strlen(host), port);
}

TEST(noProxy_lists_matchHostsDomainsAndPorts)
{
    CHECK(no_proxy("*", "a.example", "80"));
    CHECK(no_proxy("x, a.example", "a.example", "80"));
    CHECK(no_proxy("example", "a.example", "80"));
    CHECK(no_proxy(".example", "a.example", "80"));
    CHECK(no_proxy("*.example", "a.example", "80"));
    CHECK(no_proxy("A.EXAMPLE", "a.example", "80"));
    CHECK(no_proxy("a.example:80", "a.example", "80"));
    CHECK(no_proxy("[::1]:80", "::1", "80"));
    CHECK(no_proxy("::1", "::1", "80"));
    CHECK(no_proxy("192.0.2.1", "192.0.2.1", "80"));
    CHECK(no_proxy("192.0.2.1:80", "192.0.2.1", "80"));
    CHECK(no_proxy("x,192.0.2.0/24", "192.0.2.255", "80"));
    CHECK(no_proxy("192.0.2.8/29 x", "192.0.2.15", "80"));
    CHECK(no_proxy("0.0.0.0/0", "192.0.2.15", "80"));
    CHECK(no_proxy("192.0.2.15/32", "192.0.2.15", "80"));
    CHECK(no_proxy("2001:DB8:0::1", "2001:db8::1", "80"));
    CHECK(no_proxy("2001:db8::/33", "2001:db8:7fff::1", "80"));
    CHECK(no_proxy("10.0.0.0/8", "::ffff:10.1.2.3", "80"));
    CHECK(!no_proxy("", "a.example", "80"));
    CHECK(!no_proxy(" , ,", "a.example", "80"));
    CHECK(!no_proxy("a.example:81", "a.example", "80"));
    CHECK(!no_proxy("ample", "a.example", "80"));
    CHECK(!no_proxy("b.a.example", "a.example", "80"));
    CHECK(!no_proxy(".", "a.example", "80"));
    CHECK(!no_proxy("[::1", "::1", "80"));
    CHECK(!no_proxy("2.1", "192.0.2.1", "80")); /* an address has no domains */
    CHECK(!no_proxy("192.0.2.8/29", "192.0.2.16", "80"));
    CHECK(!no_proxy("192.0.2.0/33", "192.0.2.1", "80"));
    CHECK(!no_proxy("192.0.2.0/", "192.0.2.0", "80"));
    CHECK(!no_proxy("192.0.2.0/2x", "192.0.2.0", "80"));
    CHECK(!no_proxy("192.0.2.1:81", "192.0.2.1", "80"));
    CHECK(!no_proxy("2001:db8::/33", "2001:db8:8000::1", "80"));
    CHECK(!no_proxy("::/0", "192.0.2.1", "80"));
    CHECK(!no_proxy("10.0.0.0/8", "10.0.0.example", "80"));
}

TEST(proxy_texts_areParsedOrRefused)
{
    struct ceasei_proxy p;
    CHECK(ceasei_proxy_parse("http://p.example:3128/", &p));
    CHECK_STR(p.address, "p.example:3128");
    CHECK_STR(p.auth, "");
    CHECK(ceasei_proxy_parse("p.example", &p));
    CHECK_STR(p.address, "p.example:80");
    CHECK(ceasei_proxy_parse("http://Aladdin:open%20sesame@[::1]:1", &p));
    CHECK_STR(p.address, "[::1]:1");
    CHECK_STR(p.auth, "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    CHECK(!ceasei_proxy_parse("", &p));
    CHECK(!ceasei_proxy_parse("socks5://p", &p));
    CHECK(!ceasei_proxy_parse("https://p", &p));
    CHECK(!ceasei_proxy_parse("http://a b", &p));
    CHECK(!ceasei_proxy_parse("http://u%zz@p", &p));
    char text[600];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK(!ceasei_proxy_parse(text, &p));
    text[400] = '@';
    CHECK(!ceasei_proxy_parse(text, &p));
}

TEST(proxies_fromTheEnvironment_areForEverybodyButLoopbackAndTheExcepted)
{
    struct ceasei_proxies p;
    setenv("http_proxy", "http://p:1", 1);
    setenv("HTTP_PROXY", "http://evil:1", 1);
    setenv("HTTPS_PROXY", "http://s:2", 1);
    setenv("no_proxy", "direct.example", 1);
    unsetenv("https_proxy");
    harness_mark(); /* the environment is the C library's */
    CHECK_OK(ceasei_proxies_init(&p, NULL, NULL));
    CHECK_STR(ceasei_proxy_for(&p, false, "a", 1, "80")->address, "p:1");
    CHECK_STR(ceasei_proxy_for(&p, true, "a", 1, "443")->address, "s:2");
    CHECK_PTR(ceasei_proxy_for(&p, false, "direct.example", 14, "80"), NULL);
    CHECK_PTR(ceasei_proxy_for(&p, false, "localhost", 9, "80"), NULL);
    CHECK_PTR(ceasei_proxy_for(&p, false, "127.1.2.3", 9, "80"), NULL);
    CHECK_PTR(ceasei_proxy_for(&p, false, "::1", 3, "80"), NULL);
    CHECK_STR(ceasei_proxy_for(&p, false, "127.evil.example", 16, "80")->address, "p:1");
    ceasei_proxies_deinit(&p);
    unsetenv("http_proxy");
    CHECK_OK(ceasei_proxies_init(&p, NULL, NULL));
    CHECK_PTR(ceasei_proxy_for(&p, false, "a", 1, "80"), NULL); /* never the upper-case one */
    ceasei_proxies_deinit(&p);
    CHECK_OK(ceasei_proxies_init(&p, "q:1", "x"));
    CHECK_STR(ceasei_proxy_for(&p, false, "localhost", 9, "80")->address, "q:1");
    CHECK_PTR(ceasei_proxy_for(&p, false, "x", 1, "80"), NULL);
    ceasei_proxies_deinit(&p);
    CHECK_OK(ceasei_proxies_init(&p, "", NULL));
    CHECK_PTR(ceasei_proxy_for(&p, true, "a", 1, "443"), NULL);
    ceasei_proxies_deinit(&p);
    CHECK_ERR(ceasei_proxies_init(&p, "socks5://x", NULL), CEASE_EINVAL);
}
