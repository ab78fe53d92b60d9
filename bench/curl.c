/* SPDX-License-Identifier: MIT
 *
 * curl.c: client.c's question for libcurl: its multi interface with epoll by curl_multi_poll, CALLERS
 * handles that are used again and again, each with a timeout of 1 s.
 *
 *     curl PORT CALLERS REQUESTS
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    *(size_t *)arg += size * count;
    return size * count;
}

static double used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Checks what came, and asks again while some are left. Whether it has. */
static bool finish(CURLM *multi, CURLMsg *message, long *left)
{
    size_t *got;
    long status = 0;
    CURL *easy = message->easy_handle;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &got);
    if (message->data.result != CURLE_OK || status != 200 || *got != 13) {
        fprintf(stderr, "curl: %s, status %ld\n", curl_easy_strerror(message->data.result), status);
        exit(1);
    }
    *got = 0;
    curl_multi_remove_handle(multi, easy);
    if (*left == 0)
        return false;
    --*left;
    curl_multi_add_handle(multi, easy);
    return true;
}

static void run(CURLM *multi, CURL **easy, int callers, long requests)
{
    long left = requests;
    int asking =
        0; /* not yet finished, whatever curl's own count says: it forgets those added again */
    for (; asking < callers && left > 0; asking++, left--)
        curl_multi_add_handle(multi, easy[asking]);
    while (asking > 0) {
        CURLMsg *message;
        int ignored;
        bool again = false;
        curl_multi_perform(multi, &ignored);
        while ((message = curl_multi_info_read(multi, &ignored))) {
            if (message->msg != CURLMSG_DONE)
                continue;
            if (finish(multi, message, &left))
                again = true;
            else
                asking--;
        }
        if (asking > 0 && !again) /* what was added again is sent first */
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: curl PORT CALLERS REQUESTS\n");
        return 2;
    }
    char url[64];
    int callers = (int)strtol(argv[2], NULL, 10);
    long requests = strtol(argv[3], NULL, 10);
    snprintf(url, sizeof url, "http://127.0.0.1:%s/", argv[1]);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)callers);
    CURL **easy = calloc((size_t)callers, sizeof *easy);
    size_t *got = calloc((size_t)callers, sizeof *got);
    for (int i = 0; i < callers; i++) {
        easy[i] = curl_easy_init();
        curl_easy_setopt(easy[i], CURLOPT_URL, url);
        curl_easy_setopt(easy[i], CURLOPT_PROXY, "");
        curl_easy_setopt(easy[i], CURLOPT_TIMEOUT_MS, 1000L);
        curl_easy_setopt(easy[i], CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy[i], CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy[i], CURLOPT_WRITEDATA, &got[i]);
        curl_easy_setopt(easy[i], CURLOPT_PRIVATE, &got[i]);
    }
    run(multi, easy, callers, requests / 10 + 1); /* warm */
    double before = used_ns();
    run(multi, easy, callers, requests);
    printf("%.1f\n", (used_ns() - before) / (double)requests);
    for (int i = 0; i < callers; i++)
        curl_easy_cleanup(easy[i]);
    curl_multi_cleanup(multi);
    free(easy);
    free(got);
    return 0;
}
