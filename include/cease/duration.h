/* SPDX-License-Identifier: MIT
 *
 * cease/duration.h: durations as text, in the syntax of Go's time.ParseDuration. Part of
 * libcease-http.
 */
#ifndef CEASE_DURATION_H
#define CEASE_DURATION_H

#include <cease/attr.h>
#include <cease/error.h>
#include <cease/time.h>
#include <stddef.h>

CEASE_BEGIN_DECLS

/* The longest text that cease_dur_format writes, its NUL included: "-2562047h47m16.854775808s". */
#define CEASE_DUR_SIZE 32

/* Reads a duration such as "300ms", "-1.5h", "1h2m3s", ".5s", or "0": a sign, then numbers with an
 * optional fraction and a unit each, added up. Units: ns, us, µs (U+00B5 or U+03BC in UTF-8), ms,
 * s, m, h. Digits beyond the nanosecond are cut off. The whole text must fit, without space. (Go's
 * rule: time.ParseDuration, same results.)
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_EPARSE (not such a text), CEASE_ERANGE (more than 2^63 ns).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_dur_parse(const char *text, cease_dur *ret);

/* Writes a duration as Go's Duration.String does: "1h2m3s", "1.5s", "300ms", "1µs", "0s", so that
 * cease_dur_parse gives it back. CEASE_FOREVER is "forever". Cut to fit.
 *
 * Parks: never.
 * Callers: any.
 * Owns: nothing.
 * Errors: CEASE_ERANGE (cut).
 * Since: 0.1
 */
CEASE_PUBLIC cease_error cease_dur_format(cease_dur d, char *ret, size_t size);

CEASE_END_DECLS

#endif
