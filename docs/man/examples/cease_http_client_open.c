#include "harness.h"
#include "served.h"

/* [example] */
#include <cease/http_client.h>
#include <stdio.h>

/* Writes a page to a file as it comes, however long it is. */
static cease_error save(cease_ctx *ctx, cease_http_client *client, const char *url, FILE *file)
{
    const cease_http_call call = {.size = sizeof call, .url = url};
    cease_http_answer *answer;
    char piece[4096];
    size_t size;
    cease_error err = cease_http_client_open(ctx, client, &call, &answer);
    if (err != CEASE_OK)
        return err;
    printf("%d %s, %s\n", cease_http_answer_status(answer), cease_http_answer_reason(answer),
           cease_http_answer_url(answer));
    const char *type = cease_http_answer_header(answer, "Content-Type");
    printf("%s\n", type ? type : "of no type");
    while ((err = cease_http_answer_read(ctx, answer, piece, sizeof piece, &size)) == CEASE_OK)
        fwrite(piece, 1, size, file);
    const char *sum = cease_http_answer_trailer(answer, "Digest"); /* which comes behind the body */
    printf("%s\n", sum ? sum : "without a sum");
    cease_http_answer_close(answer);
    return err == CEASE_EOF ? CEASE_OK : err;
}
/* [end] */

TEST(example_http_client_open)
{
    const char *url = served_start();
    cease_http_client *client = cease_http_client_new(NULL);
    FILE *file = tmpfile();
    CHECK(file != NULL);
    CHECK_OK(save(cease_background(), client, url, file));
    CHECK_EQ(ftell(file), 5);
    fclose(file);
    cease_http_client_free(client);
    served_stop();
}
