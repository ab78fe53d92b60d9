/* SPDX-License-Identifier: MIT
 *
 * redirect.h: where a redirect leads, and what of the request goes along. Pure functions.
 */
#ifndef CEASE_HTTP_REDIRECT_H
#define CEASE_HTTP_REDIRECT_H

#include "http/growing.h"

#include <stdbool.h>

/* Resolves a Location against an "http://" or "https://" URL (RFC 3986, 5.2), without a fragment; bytes that
 * may not stand in a request are percent-encoded. The result is NUL-terminated. False: not http, or no
 * URL; or t->failed. */
bool ceasei_redirect_resolve(const char *base, const char *location, struct ceasei_text *t);

/* Whether the status sends a client elsewhere. */
bool ceasei_redirect_is(int status);

/* Whether the next request is a GET without a body. */
bool ceasei_redirect_drops_body(int status, const char *method);

/* Whether a field of the caller's is left out: `foreign`: another origin is asked; `dropped`: without
 * the body. */
bool ceasei_redirect_hides(const char *name, bool foreign, bool dropped);

#endif
