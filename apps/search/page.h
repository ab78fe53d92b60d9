/* SPDX-License-Identifier: MIT
 *
 * page.h: what people see. Every function adds to a text; nothing is sent here, and everything
 * foreign is escaped.
 */
#ifndef SEARCH_PAGE_H
#define SEARCH_PAGE_H

#include "backend.h"
#include "index.h"
#include "search.h"
#include "text.h"

/* What stands around every page. NULL texts are empty. */
struct shell {
    const char *title;
    const char *query;   /* in the box */
    const char *timeout; /* in its field: what the user wrote */
    const struct indexes *indexes;
    const struct backends *backends;
};

void page_home(struct text *t, const struct shell *shell);
void page_results(struct text *t, const struct shell *shell, const struct result *result,
                  cease_dur timeout);
/* `status` with a sentence; backends' answers if there are any. */
void page_error(struct text *t, const struct shell *shell, int status, const char *message,
                const struct result *result, cease_dur timeout);
void page_document(struct text *t, const struct shell *shell, const struct backend *backend,
                   const struct page *page);

/* The same as JSON. */
void json_results(struct text *t, const char *query, const struct result *result, cease_dur timeout,
                  const char *error);
void json_error(struct text *t, const char *message);
void json_document(struct text *t, const struct backend *backend, const struct page *page);

/* The sentence for a search that nobody answered. */
const char *status_sentence(int status);

#endif
