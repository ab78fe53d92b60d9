/* SPDX-License-Identifier: MIT
 *
 * gunzip.h: unpacking gzip as it comes.
 */
#ifndef CEASE_HTTP_GUNZIP_H
#define CEASE_HTTP_GUNZIP_H

#include <cease/error.h>
#include <stdbool.h>
#include <stddef.h>

struct ceasei_gunzip;

/* NULL when out of memory. */
struct ceasei_gunzip *ceasei_gunzip_new(void);
void ceasei_gunzip_free(struct ceasei_gunzip *g);

/* Unpacks from *in, which is moved over what was used, into out; *ret_count says how much came out,
 * which may be nothing. CEASE_EPROTO: this is no gzip. Never writes more than out_size, so a bomb costs
 * its reader what it reads. */
cease_error ceasei_gunzip_next(struct ceasei_gunzip *g, const char **in, size_t *in_size, void *out,
                               size_t out_size, size_t *ret_count);

/* Whether the input may end here: after a whole member, not in the middle of one. */
bool ceasei_gunzip_is_whole(const struct ceasei_gunzip *g);

#endif
