/* SPDX-License-Identifier: MIT
 *
 * content.h: what conditions and ranges of a request mean for one representation. Pure functions.
 */
#ifndef CEASE_HTTP_CONTENT_H
#define CEASE_HTTP_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" in seconds since 1970; -1: not such a date. The obsolete forms are none:
 * what depends on them is then answered whole. */
int64_t ceasei_date_parse(const char *text);

/* Whether a list of entity tags ("*", or quoted ones, W/ before weak ones) has the tag; weak ones too, when
 * `weak` says so. */
bool ceasei_etags_have(const char *list, const char *tag, bool weak);

/* The fields of a request, NULL where it has none, and what is there. */
struct ceasei_conditions {
    const char *if_match, *if_none_match, *if_modified_since, *if_unmodified_since;
    const char *range, *if_range;
    const char *tag;  /* of the representation, strong */
    int64_t modified; /* seconds since 1970 */
    uint64_t size;
};

/* 200, 206, 304, 412 or 416; for 206 the bytes [*ret_begin, *ret_end). Of several ranges none is given:
 * 200 is always right. */
int ceasei_conditions_decide(const struct ceasei_conditions *c, uint64_t *ret_begin,
                             uint64_t *ret_end);

/* The media type for a name's ending. */
const char *ceasei_media_type(const char *name);

#endif
