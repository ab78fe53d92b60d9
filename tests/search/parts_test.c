/*
 * Breaks the parts of the search that need no server: escaping, addresses, control files, rendered
 * pages, the HTML filter, query expressions, log lines. What they are given here is what a hostile
 * page, package, client or user would send.
 */
#include "harness.h"

#include "accesslog.h"
#include "backend.h"
#include "control.h"
#include "render.h"
#include "text.h"
#include "userip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK_TEXT(t, expected)                \
    do {                                       \
        CHECK_STR(text_str(&(t)), (expected)); \
        text_deinit(&(t));                     \
    } while (0)

/* ---- escaping ---- */

TEST(html_escapes_markup_quotes_controls_and_bad_utf8)
{
    struct text t = {0};
    text_html(&t, "<a href=\"x\" b='y'>&amp;\x01\xff\xc3\xa4\xed\xa0\x80\x7f\n");
    CHECK_TEXT(t,
               "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4"
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
}

TEST(marks_become_balanced_tags_and_nothing_else_does)
{
    struct text t = {0};
    text_html_marked(&t, "a \x02<b>\x03 \x03\x02\x02"
                         "c");
    CHECK_TEXT(t, "a <mark>&lt;b&gt;</mark> <mark>c</mark>");
}

TEST(json_escapes_quotes_controls_and_bad_utf8)
{
    struct text t = {0};
    text_json(&t, "\"\\\n\t\x1f</\x02x\x03\xff\xf0\x9f\x98\x80");
    text_json(&t, NULL);
    CHECK_TEXT(t, "\"\\\"\\\\\\n\\u0009\\u001f\\u003c/x\xef\xbf\xbd\xf0\x9f\x98\x80\"null");
}

TEST(url_encodes_all_but_the_unreserved)
{
    struct text t = {0};
    text_url(&t, "a-b._~/c?d#e%f@g \xc3\xa4");
    CHECK_TEXT(t, "a-b._~%2Fc%3Fd%23e%25f%40g%20%C3%A4");
}

TEST(milliseconds_keep_what_counts)
{
    struct text t = {0};
    text_ms(&t, cease_ns(1));
    text_puts(&t, " ");
    text_ms(&t, cease_sec(1));
    text_puts(&t, " ");
    text_ms(&t, cease_us(1500));
    text_puts(&t, " ");
    text_ms(&t, cease_ns(-5));
    CHECK_TEXT(t, "0.000001 1000 1.5 0");
}

TEST(text_remembers_that_memory_was_short)
{
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        struct text t = {0};
        for (int i = 0; i < 2000; i++)
            text_printf(&t, "%d,", i);
        if (!harness_alloc_failed() && harness_heap_is_ours())
            CHECK(!t.failed);
        if (harness_alloc_failed())
            CHECK(t.failed);
        text_deinit(&t);
    }
}

/* ---- addresses ---- */

static void check_ip(const char *peer, const char *expected)
{
    struct userip ip;
    char message[200] = "";
    cease_error e = userip_parse(peer, &ip, message, sizeof message);
    if (expected) {
        CHECK_OK(e);
        CHECK_STR(ip.text, expected);
        return;
    }
    char sentence[200];
    snprintf(sentence, sizeof sentence, "userip: \"%s\" is not IP:port", peer);
    CHECK_ERR(e, CEASE_EPARSE);
    CHECK_STR(message, sentence);
}

TEST(userip_takes_the_address_of_ip_and_port_only)
{
    check_ip("192.0.2.1:80", "192.0.2.1");
    check_ip("[2001:DB8::1]:65535", "2001:db8::1");
    check_ip("[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1");
    const char *bad[] = {"",
                         "192.0.2.1",
                         "192.0.2.1:",
                         "192.0.2.1:x",
                         "192.0.2.256:1",
                         "2001:db8::1:80",
                         "[::1]",
                         "[192.0.2.1]:1",
                         "host:80",
                         ":80",
                         "192.0.2.1:123456",
                         "unix:",
                         "[::1:80",
                         "192.0.2.1:8 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_ip(bad[i], NULL);
}

TEST(userip_travels_with_its_context_only)
{
    struct userip ip = {"192.0.2.7"};
    CHECK(userip_from(cease_background()) == NULL);
    cease_ctx *ctx = userip_with(cease_background(), &ip);
    cease_canceler *stop;
    cease_ctx *child = cease_with_cancel(ctx, &stop);
    CHECK_STR(userip_from(child)->text, "192.0.2.7");
    cease_end(stop);
    cease_unref(ctx);
}

/* ---- control files ---- */

TEST(control_reads_fields_in_any_order_and_case)
{
    const char input[] =
        "\n\npackage: a\nDescription: one\n two\n .\n  three\n four\nOther: x\n y\nVersion: 1 \n\n"
        "Package: b\nDescription-en: last, without a newline";
    const char *at = input;
    const char *end = input + sizeof input - 1;
    struct stanza s;
    struct text t = {0};
    CHECK(control_next(&at, end, &s));
    CHECK(piece_is(s.package, "a") && piece_is(s.version, "1") && !s.status.data);
    CHECK(piece_is(control_summary(s.description), "one"));
    control_long_text(&t, s.description);
    CHECK_TEXT(t, "two\n\n three\nfour");
    CHECK(control_next(&at, end, &s));
    CHECK(piece_is(s.package, "b") &&
          piece_is(control_summary(s.description), "last, without a newline"));
    CHECK(!control_next(&at, end, &s));
}

TEST(control_survives_what_is_no_control_file)
{
    const char *inputs[] = {"",
                            "\n",
                            ":",
                            "no colon",
                            " continuation first\nPackage: x",
                            "Package:\n\n:\n\n",
                            "Description:\n .\n ."};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const char *at = inputs[i];
        struct stanza s;
        struct text t = {0};
        for (int n = 0; control_next(&at, inputs[i] + strlen(inputs[i]), &s); n++) {
            CHECK(n < 10);
            control_long_text(&t, s.description);
        }
        text_deinit(&t);
    }
}

/* ---- rendered pages ---- */

static void check_digest(const char *page, const char *names, const char *summary, const char *body)
{
    struct rendered r;
    CHECK_OK(render_digest(page, strlen(page), &r));
    CHECK_STR(r.names, names);
    CHECK_STR(r.summary, summary);
    CHECK_STR(r.body, body);
    rendered_deinit(&r);
}

TEST(digest_takes_name_and_body_out_of_a_page)
{
    check_digest("PRINTF(3)   Manual   PRINTF(3)\n\nN\bNA\bAM\bME\bE\n     printf, _\bf_\bp - "
                 "formatted\n     output\n\nDESC\n"
                 "     Does \xc2\xa0 it.\n\nDebian   2026   PRINTF(3)\n",
                 "printf, fp", "formatted output", "DESC Does it.");
    check_digest("X(1) X(1)\n\nNOM\n     x \xe2\x80\x93 un - deux\n\nX(1)\n", "x", "un - deux", "");
}

TEST(digest_survives_what_is_no_page)
{
    check_digest("", "", "", "");
    check_digest("\n\n\n", "", "", "");
    check_digest("one line", "", "", "");
    check_digest("head\n\b\b\b\nfoot", "", "", "");
    check_digest("head\n\xc3\xa4\b\b\bx\nfoot\n", "", "", "x");
    check_digest("head\n     only indented\nfoot\n", "", "", "only indented");
}

/* ---- the HTML filter ---- */

static void check_html(const char *in, const char *out)
{
    char *html = render_sanitize(in);
    CHECK_STR(html, out);
    free(html);
}

TEST(sanitize_keeps_what_is_harmless)
{
    check_html("<p class=\"Pp\">a &amp; <b>b</b><br/>", "<p class=\"Pp\">a &amp; <b>b</b><br>");
    check_html("<a class=\"Lk\" href=\"https://x/?a&amp;b\">x</a>",
               "<a class=\"Lk\" href=\"https://x/?a&amp;b\">x</a>");
    check_html("<a href=\"#NAME\">x</a><a href=\"/doc/manual/x.1\">y</a>",
               "<a href=\"#NAME\">x</a><a href=\"/doc/manual/x.1\">y</a>");
}

TEST(sanitize_drops_what_could_act)
{
    check_html("<script>alert(1)</script>x", "x");
    check_html("<SCRIPT>alert(1)</SCRIPT>", "&lt;SCRIPT>alert(1)&lt;/SCRIPT>");
    check_html("a<style>p{}</style>b<script>never closed", "ab");
    check_html("<img src=\"x\" onerror=\"alert(1)\">y<iframe src=\"z\"></iframe>", "y");
    check_html("<a href=\"javascript:alert(1)\" onclick=\"x\">y</a>", "<a>y</a>");
    check_html("<a href=\"//evil\">y</a><a href=\"/\\evil\">z</a><a href=\" javascript:x\">w</a>",
               "<a>y</a><a>z</a><a>w</a>");
    check_html("<p style=\"x\" class=\"a<b\">", "<p class=\"a&lt;b\">");
    check_html("<p class='x'>y", "&lt;p class='x'>y");
    check_html("<p class=\"never closed", "&lt;p class=\"never closed");
    check_html("a <!-- <b> --> c <!-- never", "a  c ");
    check_html("1 < 2 <", "1 &lt; 2 &lt;");
    check_html("", "\n");
}

TEST(sanitize_makes_references_links)
{
    check_html("see <b>kill</b>(2), <i>g++</i>(1)",
               "see <a href=\"/doc/manual/kill.2\"><b>kill</b>(2)</a>, "
               "<a href=\"/doc/manual/g++.1\"><i>g++</i>(1)</a>");
    check_html("<a href=\"#x\"><b>kill</b>(2)</a>", "<a href=\"#x\"><b>kill</b>(2)</a>");
    check_html("<b>f</b>(x) <b>f</b>() <b>a b</b>(1) <b>f</i>(1)",
               "<b>f</b>(x) <b>f</b>() <b>a b</b>(1) <b>f</i>(1)");
}

/* ---- expressions ---- */

static void check_expression(const char *query, bool any, const char *expected)
{
    struct text t = {0};
    embedded_expression(&t, query, any);
    CHECK_TEXT(t, expected);
}

TEST(expression_quotes_every_word)
{
    check_expression("signal", false, "\"signal\"");
    check_expression("  a OR b* NEAR( ", false, "\"b*\" AND \"NEAR(\"");
    check_expression("say \"hi\"", false, "\"say\" AND \"\"\"hi\"\"\"");
    check_expression("pthread_create ls", true, "\"pthread_create\"* OR \"ls\"");
    check_expression("how to catch a signal", false, "\"catch\" AND \"signal\"");
    check_expression("which", false, "\"which\"");
    check_expression("&& || ()", false, "");
    check_expression("", true, "");
}

/* ---- the log ---- */

static void check_line(const cease_http_log_entry *entry, const char *expected)
{
    struct text t = {0};
    accesslog_line(&t, entry, INT64_C(1795386820123));
    CHECK_TEXT(t, expected);
}

TEST(log_line_has_the_cause_and_cannot_be_forged)
{
    gmtime_r(&(time_t){0}, &(struct tm){0}); /* libc reads the time zone once and keeps it */
    harness_mark();
    cease_http_log_entry entry = {.peer = "192.0.2.1:5",
                                  .method = "GET",
                                  .target = "/search?q=x\" 200\n\\\x7f\xc3",
                                  .status = 499,
                                  .elapsed = cease_us(203412),
                                  .cause_code = CEASE_EPEERGONE,
                                  .cause_text = "the client went away"};
    check_line(&entry, "2026-11-22T22:33:40.123Z 192.0.2.1 \"GET /search?q=x\\x22 "
                       "200\\x0a\\x5c\\x7f\\xc3\" 499 0 203.412ms "
                       "\"the client went away\"");
    entry = (cease_http_log_entry){.peer = "unix:",
                                   .method = "-",
                                   .target = "",
                                   .status = 200,
                                   .bytes = 12,
                                   .elapsed = cease_ms(2),
                                   .cause_code = CEASE_ERETURNED,
                                   .cause_text = "x"};
    check_line(&entry, "2026-11-22T22:33:40.123Z - \"- \" 200 12 2ms -");
}
