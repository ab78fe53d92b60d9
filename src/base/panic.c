/* SPDX-License-Identifier: MIT */
#include "base/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void ceasei_panic_at(const char *file, int line, const char *function, const char *format,
                               ...)
{
    /* One write, so that lines of several threads do not mix, and no stdio lock, which may be held.
     */
    char text[1024];
    int used = file != NULL
                   ? snprintf(text, sizeof text, "cease: %s:%d: %s: ", file, line, function)
                   : snprintf(text, sizeof text, "cease: ");
    size_t at = used < 0 ? 0 : (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;

    va_list args;
    va_start(args, format);
    used = vsnprintf(text + at, sizeof text - at, format, args);
    va_end(args);
    if (used > 0)
        at += (size_t)used < sizeof text - at ? (size_t)used : sizeof text - at - 1;
    text[at < sizeof text - 1 ? at : sizeof text - 1] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, at + 1 < sizeof text ? at + 1 : sizeof text);
    (void)ignored;
    abort();
}
