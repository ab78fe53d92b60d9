/* SPDX-License-Identifier: MIT
 *
 * place.c: the URL of a server, taken apart.
 *
 *     redis://[[user]:password@]host[:port][/database]
 *     rediss:// the same, over TLS
 *     unix:///path[?db=database]        (also unix:/path)
 *     host[:port]
 */
#include "connection.h"

#include <cease/block.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A copy with %xx decoded; an escape that is none, or of NUL, fails with CEASE_EINVAL. */
static cease_error decode(const char *text, size_t size, char **ret_text)
{
    char *copy = malloc(size + 1), *to = copy;
    if (!copy)
        return CEASE_ENOMEM;
    for (size_t i = 0; i < size; i++) {
        int high = text[i] == '%' && i + 2 < size ? hex_of(text[i + 1]) : -1;
        int low = high >= 0 ? hex_of(text[i + 2]) : -1;
        if (text[i] != '%') {
            *to++ = text[i];
        } else if (low >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            i += 2;
        } else {
            free(copy);
            return CEASE_EINVAL;
        }
    }
    *to = '\0';
    *ret_text = copy;
    return CEASE_OK;
}

static bool number_of(const char *text, int64_t *ret_number)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number > INT32_MAX)
        return false;
    *ret_number = number;
    return true;
}

static cease_error parse_unix(struct ceasei_redis_place *place, const char *path)
{
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    size_t size = strcspn(path, "?");
    if (size == 0)
        return CEASE_EINVAL;
    if (path[size]) {
        const char *query = path + size + 1;
        if (strncmp(query, "db=", 3) != 0 || !number_of(query + 3, &place->database))
            return CEASE_EINVAL;
    }
    if (asprintf(&place->address, "unix:%.*s", (int)size, path) < 0) {
        place->address = NULL;
        return CEASE_ENOMEM;
    }
    return CEASE_OK;
}

/* "user:password", either of which may be empty. */
static cease_error parse_user(struct ceasei_redis_place *place, const char *text, size_t size)
{
    const char *colon = memchr(text, ':', size);
    if (!colon)
        return CEASE_EINVAL;
    size_t user_size = (size_t)(colon - text);
    cease_error e = decode(colon + 1, size - user_size - 1, &place->password);
    if (e == CEASE_OK && user_size > 0)
        e = decode(text, user_size, &place->user);
    return e;
}

static cease_error parse_host(struct ceasei_redis_place *place, const char *host, size_t size)
{
    if (size == 0)
        return CEASE_EINVAL;
    const char *bracket = memchr(host, ']', size); /* of an IPv6 address */
    const char *from = bracket ? bracket : host;
    bool has_port = memchr(from, ':', size - (size_t)(from - host)) != NULL;
    if (asprintf(&place->address, "%.*s%s", (int)size, host, has_port ? "" : ":6379") < 0) {
        place->address = NULL;
        return CEASE_ENOMEM;
    }
    /* Without the port. */
    place->host = bracket ? strndup(host + 1, (size_t)(bracket - host) - 1)
                          : strndup(host, strcspn(place->address, ":"));
    return place->host ? CEASE_OK : CEASE_ENOMEM;
}

static cease_error parse(struct ceasei_redis_place *place, const char *url)
{
    if (strncmp(url, "unix:", 5) == 0)
        return parse_unix(place, url + 5);
    if (!place->tls && strncmp(url, "redis://", 8) != 0)
        return strstr(url, "://") ? CEASE_EINVAL : parse_host(place, url, strlen(url));
    url += place->tls ? 9 : 8;
    size_t size = strcspn(url, "/?");
    const char *slash = url + size;
    if (slash[0] == '?' || (slash[0] && slash[1] && !number_of(slash + 1, &place->database)))
        return CEASE_EINVAL;
    const char *at = memrchr(url, '@', size);
    cease_error e = CEASE_OK;
    if (at) {
        e = parse_user(place, url, (size_t)(at - url));
        size -= (size_t)(at + 1 - url);
        url = at + 1;
    }
    return e == CEASE_OK ? parse_host(place, url, size) : e;
}

bool ceasei_redis_wants_tls(const char *url)
{
    return strncmp(url, "rediss://", 9) == 0;
}

static void trust_run(void *arg)
{
    *(cease_tls_config **)arg = cease_tls_client_new(NULL);
}

cease_error ceasei_redis_place_init(struct ceasei_redis_place *place, const char *url)
{
    *place = (struct ceasei_redis_place){.tls = ceasei_redis_wants_tls(url)};
    cease_error e = parse(place, url);
    if (e != CEASE_OK)
        ceasei_redis_place_deinit(place);
    return e;
}

/* What the system trusts is a file that takes a while to read. */
cease_error ceasei_redis_place_trust(cease_ctx *ctx, struct ceasei_redis_place *place,
                                     cease_tls_config *trust)
{
    if (!place->tls)
        return CEASE_OK;
    place->trust = cease_tls_config_ref(trust);
    cease_error e = trust ? CEASE_OK : cease_block(ctx, trust_run, NULL, &place->trust);
    return e != CEASE_OK || place->trust ? e : CEASE_ENOMEM;
}

void ceasei_redis_place_deinit(struct ceasei_redis_place *place)
{
    cease_tls_config_unref(place->trust);
    free(place->host);
    free(place->address);
    free(place->user);
    free(place->password);
    *place = (struct ceasei_redis_place){0};
}
