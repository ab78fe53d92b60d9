/* SPDX-License-Identifier: MIT
 *
 * render.h: manual pages made readable by mandoc, which runs as a process under the context.
 */
#ifndef SEARCH_RENDER_H
#define SEARCH_RENDER_H

#include <cease/context.h>
#include <stddef.h>

enum { RENDER_MAX = 32 }; /* pages that one mandoc renders: starting it costs more than a page */

/* A page as text. Its memory is one allocation. */
struct rendered {
    char *memory;
    const char *summary; /* after the dash in NAME: "ANSI C signal handling" */
    const char *names;   /* before it: "printf, fprintf, dprintf" */
    const char *body;    /* the rest, every run of white space one space */
};

/* Renders up to RENDER_MAX pages. One that mandoc cannot read gives an entry with empty texts, and
 * spoils no other.
 *
 * Parks: until mandoc has ended.
 * Owns: each ret_pages[i] is yours: rendered_deinit.
 * Errors: CEASE_ENOENT (there is no mandoc), CEASE_ENOMEM, CEASE_EMFILE, the process's; the
 *     context's. */
cease_error render_texts(cease_ctx *ctx, const char *const *paths, size_t count,
                         struct rendered *ret_pages);
void rendered_deinit(struct rendered *r);

/* Renders one page as an HTML fragment, with only harmless tags and links in it, whose references
 * to other pages lead to /doc/manual/NAME.SECTION.
 *
 * Parks: until mandoc has ended.
 * Owns: *ret_html is yours: free.
 * Errors: as above; CEASE_EPARSE (mandoc made nothing of the file). */
cease_error render_html(cease_ctx *ctx, const char *path, char **ret_html);

/* For tests: the text side of render_texts, on what `mandoc -T utf8` wrote for one page, and the
 * filter of render_html. */
cease_error render_digest(const char *page, size_t size, struct rendered *ret);
char *render_sanitize(const char *html); /* NULL: out of memory */

#endif
