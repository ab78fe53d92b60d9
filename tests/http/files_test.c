/* files_test.c: out to break files that are served (what may be asked for, and what must not be found) and
 * responses that are compressed. */
#include "rig.h"

#include <cease/http_client.h>
#include <cease/http_files.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig rig;
static cease_http_files *files;
enum { BIG = 300 * 1000 };

static void write_file(const char *name, const char *data, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", harness_temp_dir(), name);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK_EQ(fwrite(data, 1, size, f), size);
    CHECK_EQ(fclose(f), 0);
}

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", harness_temp_dir(), name);
    return path;
}

/* Pieces with a flush behind each; the next one when the test says so. */
static cease_chan *live_go;

static cease_error live(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                        void *arg)
{
    char go;
    (void)req;
    cease_error e = cease_http_response_header(res, "Content-Type", "text/event-stream");
    for (int i = 0; e == CEASE_OK && i < 3; i++) {
        e = cease_chan_recv(ctx, *(cease_chan **)arg, &go);
        if (e == CEASE_OK) {
            e = cease_http_response_print(ctx, res, "data: %d\n\n", i);
        }
        if (e == CEASE_OK) {
            e = cease_http_response_flush(ctx, res);
        }
    }
    return e;
}

static cease_error fixed(cease_ctx *ctx, cease_http_request *req, cease_http_response *res,
                         void *arg)
{
    char text[2000];
    (void)req;
    (void)arg;
    memset(text, 'f', sizeof text);
    cease_http_response_header(res, "Content-Type", "text/plain");
    cease_http_response_header(res, "Cache-Control", "max-age=1, No-Transform");
    return cease_http_response_write(ctx, res, text, sizeof text);
}

static void start(const cease_http_files_opts *opts)
{
    char from[512];
    static char big[BIG];
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)('a' + i % 7 * (i % 11) % 26);
    }
    CHECK_EQ(mkdir(at("www"), 0755), 0);
    CHECK_EQ(mkdir(at("www/sub"), 0755), 0);
    write_file("secret", "secret", 6);
    write_file("www/a.txt", "0123456789", 10);
    write_file("www/.hidden", "hidden", 6);
    write_file("www/empty.css", "", 0);
    write_file("www/sub/index.html", "<p>index", 8);
    write_file("www/big.json", big, BIG);
    snprintf(from, sizeof from, "%s", at("www/out"));
    CHECK_EQ(symlink("../secret", from), 0);
    snprintf(from, sizeof from, "%s", at("www/up"));
    CHECK_EQ(symlink("..", from), 0);
    snprintf(from, sizeof from, "%s", at("www/abs"));
    CHECK_EQ(symlink(at("secret"), from), 0);
    CHECK_EQ(mkfifo(at("www/fifo"), 0644), 0);
    files = cease_http_files_new(at("www"), opts);
    CHECK(files != NULL);
    rig_init(&rig, NULL);
    CHECK_OK(cease_http_server_use(rig.server, cease_http_compress, NULL));
    CHECK_OK(
        cease_http_server_route(rig.server, "GET", "/{path...}", cease_http_files_serve, files));
    CHECK_OK(
        cease_http_server_route(rig.server, NULL, "/any/{path...}", cease_http_files_serve, files));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/live", live, &live_go));
    CHECK_OK(cease_http_server_route(rig.server, "GET", "/fixed", fixed, NULL));
    rig_start(&rig);
}

static void stop(void)
{
    rig_stop(&rig);
    cease_http_files_free(files);
}

/* The whole response; what is packed in it ends the text early. */
static char *ask(const char *method, const char *target, const char *fields)
{
    char request[6000];
    int fd = rig_connect(&rig);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
             method, target, fields);
    rig_send(fd, request);
    char *text = rig_rest(fd);
    close(fd);
    return text;
}

/* Checks the status and what must be in the response; "" for nothing. */
static void check(const char *target, const char *fields, int status, const char *part)
{
    char line[32];
    char *text = ask("GET", target, fields);
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(text, line, strlen(line)) != 0) {
        harness_fail(__FILE__, __LINE__, "%s: %.300s", target, text);
    }
    CHECK_HAS(text, part);
    free(text);
}

static void value_of(const char *text, const char *name, char ret[100])
{
    const char *p = strstr(text, name);
    CHECK(p != NULL);
    p += strlen(name);
    snprintf(ret, 100, "%.*s", (int)strcspn(p, "\r"), p);
}

TEST(files_thatAreThere_areServedWithTheirFields)
{
    const cease_http_files_opts opts = {.size = sizeof opts, .cache_control = "max-age=60"};
    start(&opts);
    check("/a.txt", "", 200, "Content-Type: text/plain; charset=utf-8\r\n");
    check("/a.txt", "", 200, "Cache-Control: max-age=60\r\n");
    check("/a.txt?query", "", 200, "\r\n\r\n0123456789");
    check("/a%2etxt", "", 200, "\r\n\r\n0123456789");
    check("/empty.css", "", 200, "Content-Length: 0\r\n");
    check("/sub/", "", 200, "\r\n\r\n<p>index");
    check("/sub", "", 301, "Location: ./sub/\r\n");
    check("/sub?a=b", "", 301, "Location: ./sub/?a=b\r\n");
    char *text = ask("HEAD", "/a.txt", "");
    CHECK_HAS(text, "Content-Length: 10\r\n");
    CHECK_HAS_NOT(text, "0123456789");
    free(text);
    stop();
}

TEST(files_otherMethods_areRefusedAndHeadHasNoRanges)
{
    start(NULL);
    char *text = ask("HEAD", "/a.txt", "Range: bytes=0-1\r\n");
    CHECK_HAS(text, "HTTP/1.1 200 ");
    CHECK_HAS(text, "Content-Length: 10\r\n");
    free(text);
    text = ask("POST", "/any/a.txt", "Content-Length: 0\r\n");
    CHECK_HAS(text, "HTTP/1.1 405 ");
    CHECK_HAS(text, "Allow: GET, HEAD\r\n");
    CHECK_HAS_NOT(text, "0123456789");
    free(text);
    stop();
}

TEST(files_thatAreNobodysBusiness_areNotFound)
{
    static const char *const rows[] = {"/nothing",
                                       "/out",
                                       "/abs",
                                       "/up/secret",
                                       "/fifo",
                                       "/.hidden",
                                       "/sub/../a.txt",
                                       "/%2e%2e/secret",
                                       "/..%2fsecret",
                                       "/sub%2f..%2f..%2fsecret",
                                       "//secret",
                                       "/sub//index.html",
                                       "/a.txt/",
                                       "/a.txt/x",
                                       "/",
                                       "/a.txt%00"};
    start(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = ask("GET", rows[i], "");
        CHECK(strncmp(text, "HTTP/1.1 404 ", 13) == 0 || strncmp(text, "HTTP/1.1 400 ", 13) == 0);
        CHECK_HAS_NOT(text, "secret");
        CHECK_HAS_NOT(text, "hidden");
        free(text);
    }
    char name[4200];
    memset(name, 'a', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    char *text = ask("GET", name, "");
    CHECK_HAS(text, "HTTP/1.1 404 ");
    free(text);
    stop();
    CHECK_PTR(cease_http_files_new(at("nowhere"), NULL), NULL);
    CHECK_PTR(cease_http_files_new(at("secret"), NULL), NULL);
    cease_http_files_free(NULL);
}

TEST(files_hidden_areServedWhenAsked)
{
    const cease_http_files_opts opts = {.size = sizeof opts, .hidden = true, .index = ""};
    start(&opts);
    check("/.hidden", "", 200, "\r\n\r\nhidden");
    check("/sub/", "", 404, "");
    check("/sub", "", 404, "");
    stop();
}

TEST(files_rangesAndConditions_areObeyed)
{
    char tag[100];
    char date[100];
    char fields[400];
    start(NULL);
    char *text = ask("GET", "/a.txt", "");
    value_of(text, "ETag: ", tag);
    value_of(text, "Last-Modified: ", date);
    free(text);
    check("/a.txt", "Range: bytes=2-4\r\n", 206, "\r\n\r\n234");
    check("/a.txt", "Range: bytes=2-4\r\n", 206, "Content-Range: bytes 2-4/10\r\n");
    check("/a.txt", "Range: bytes=-1\r\n", 206, "\r\n\r\n9");
    check("/a.txt", "Range: bytes=10-\r\n", 416, "Content-Range: bytes */10\r\n");
    check("/a.txt", "Range: bytes=0-1,4-5\r\n", 200, "\r\n\r\n0123456789");
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    check("/a.txt", fields, 304, tag);
    snprintf(fields, sizeof fields, "If-Modified-Since: %s\r\n", date);
    check("/a.txt", fields, 304, "");
    snprintf(fields, sizeof fields, "Range: bytes=0-0\r\nIf-Range: %s\r\n", tag);
    check("/a.txt", fields, 206, "");
    check("/a.txt", "Range: bytes=0-0\r\nIf-Range: \"x\"\r\n", 200, "");
    check("/a.txt", "If-Match: \"x\"\r\n", 412, "");
    write_file("www/a.txt", "changed", 7); /* another size: another tag */
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    check("/a.txt", fields, 200, "changed");
    stop();
}

/* Asks without an allocation of ours; gives what came, or nothing when the server had no memory for it. */
static size_t ask_somehow(const char *request, char *ret, size_t room)
{
    size_t size = 0;
    ssize_t n;
    int fd = rig_connect(&rig);
    rig_send(fd, request);
    while (size + 1 < room && (n = read(fd, ret + size, room - 1 - size)) > 0) {
        size += (size_t)n;
    }
    ret[size] = '\0';
    close(fd);
    return size;
}

TEST(files_everyAllocationFailing_giveAnAnswerOrTheEnd)
{
    static char text[BIG + 4096];
    start(NULL);
    HARNESS_EACH_ALLOC_FAILS(n)
    {
        size_t size = ask_somehow("GET /big.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                  "Accept-Encoding: gzip\r\n\r\n",
                                  text, sizeof text);
        CHECK(size == 0 || strncmp(text, "HTTP/1.1 200 ", 13) == 0 ||
              strncmp(text, "HTTP/1.1 500 ", 13) == 0 || strncmp(text, "HTTP/1.1 503 ", 13) == 0);
        size = ask_somehow("GET /sub/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", text,
                           sizeof text);
        CHECK(size == 0 || strncmp(text, "HTTP/1.1 ", 9) == 0);
    }
    stop();
}

/* ---- compression, with our client at the other end ---- */

TEST(compress_forWhoAcceptsIt_givesTheSameBytes)
{
    char url[100];
    start(NULL);
    snprintf(url, sizeof url, "%s/big.json", rig.url);
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    cease_http_client *c = cease_http_client_new(&opts);
    opts.no_gzip = true;
    cease_http_client *plain = cease_http_client_new(&opts);
    cease_http_reply a = {0};
    cease_http_reply b = {0};
    const cease_http_call call = {.size = sizeof call, .url = url};
    CHECK_OK(cease_http_client_do(cease_background(), c, &call, &a));
    CHECK_OK(cease_http_client_do(cease_background(), plain, &call, &b));
    CHECK_EQ(a.body_size, BIG);
    CHECK(b.body_size == BIG && memcmp(a.body, b.body, BIG) == 0);
    CHECK(strncmp(cease_http_reply_header(&a, "ETag"), "W/\"", 3) == 0);
    CHECK(cease_http_reply_header(&b, "ETag")[0] == '"');
    CHECK_STR(cease_http_reply_header(&a, "Vary"), "Accept-Encoding");
    CHECK_STR(cease_http_reply_header(&b, "Vary"), "Accept-Encoding");
    cease_http_reply_deinit(&a);
    cease_http_reply_deinit(&b);
    CHECK(rig_logged(&rig, 1).bytes < BIG / 2);
    CHECK_EQ(rig_logged(&rig, 2).bytes, BIG);
    cease_http_client_free(c);
    cease_http_client_free(plain);
    stop();
}

TEST(compress_flushed_arrivesPieceByPiece)
{
    char url[100];
    char piece[100];
    size_t n = 0;
    live_go = cease_chan_new(1, 1);
    start(NULL);
    cease_http_client_opts opts = {.size = sizeof opts, .proxy = ""};
    cease_http_client *c = cease_http_client_new(&opts);
    snprintf(url, sizeof url, "%s/live", rig.url);
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_answer *a = NULL;
    for (int i = 0; i < 3; i++) {
        char wanted[20];
        CHECK_OK(cease_chan_send(cease_background(), live_go, "g"));
        if (i == 0) {
            CHECK_OK(cease_http_client_open(cease_background(), c, &call, &a));
        }
        snprintf(wanted, sizeof wanted, "data: %d\n\n", i);
        CHECK_OK(cease_http_answer_read(cease_background(), a, piece, sizeof piece, &n));
        CHECK_EQ(n, strlen(wanted));
        CHECK_EQ(memcmp(piece, wanted, n), 0);
    }
    CHECK_ERR(cease_http_answer_read(cease_background(), a, piece, sizeof piece, &n), CEASE_EOF);
    CHECK_STR(cease_http_answer_header(a, "Vary"), "Accept-Encoding");
    CHECK(rig_logged(&rig, 1).bytes > 27 + 10); /* each piece was packed by itself */
    cease_http_answer_close(a);
    cease_http_client_free(c);
    stop();
    cease_chan_unref(live_go);
}

TEST(compress_head_saysWhatGetWouldSay)
{
    start(NULL);
    char *text = ask("HEAD", "/big.json", "Accept-Encoding: gzip\r\n");
    CHECK_HAS(text, "HTTP/1.1 200 ");
    CHECK_HAS(text, "Content-Encoding: gzip\r\n");
    CHECK_HAS(text, "ETag: W/\"");
    CHECK_HAS(text, "Vary: Accept-Encoding\r\n");
    CHECK_HAS_NOT(text, "Content-Length");
    free(text);
    text = ask("HEAD", "/a.txt", "Accept-Encoding: gzip\r\n"); /* too small */
    CHECK_HAS(text, "Content-Length: 10\r\n");
    CHECK_HAS_NOT(text, "Content-Encoding");
    free(text);
    text = ask("HEAD", "/big.json", "");
    CHECK_HAS(text, "Content-Length: 300000\r\n");
    CHECK_HAS(text, "ETag: \"");
    free(text);
    text = ask("HEAD", "/fixed", "Accept-Encoding: gzip\r\n");
    CHECK_HAS(text, "Content-Length: 2000\r\n");
    free(text);
    text = ask("GET", "/fixed", "Accept-Encoding: gzip\r\n");
    CHECK_HAS_NOT(text, "Content-Encoding");
    free(text);
    stop();
}

TEST(compress_byWhatIsSent_isLeftAlone)
{
    start(NULL);
    check("/a.txt", "Accept-Encoding: gzip\r\n", 200, "Content-Length: 10\r\n"); /* too small */
    char *text = ask("GET", "/big.json", "Accept-Encoding: gzip\r\nRange: bytes=0-9999\r\n");
    CHECK_HAS(text, "HTTP/1.1 206 ");
    CHECK_HAS_NOT(text, "Content-Encoding");
    free(text);
    static const char *const refused[] = {"identity",        "gzip;q=0", "br",
                                          "gzip; q=0.00, *", "*;q=0",    "gzipped"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char fields[100];
        snprintf(fields, sizeof fields, "Accept-Encoding: %s\r\n", refused[i]);
        text = ask("GET", "/big.json", fields);
        CHECK_HAS_NOT(text, "Content-Encoding");
        free(text);
    }
    static const char *const taken[] = {"gzip", "br, GZIP;q=0.5", "*", "x-gzip", "deflate , gzip"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char fields[100];
        snprintf(fields, sizeof fields, "Accept-Encoding: %s\r\n", taken[i]);
        text = ask("GET", "/big.json", fields);
        CHECK_HAS(text, "Content-Encoding: gzip\r\n");
        CHECK_HAS_NOT(text, "Content-Length: 300000");
        free(text);
    }
    stop();
}
