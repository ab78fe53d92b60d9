/* SPDX-License-Identifier: MIT */
#include <cease/error.h>

#include <stddef.h>
#include <string.h>

static const struct {
    int number;
    const char *name;
    const char *text;
} errors[] = {
#define ROW(name, number, text) {number, "CEASE_" #name, text},
    CEASE_ERRORS(ROW)
#undef ROW
};

const char *cease_strerror(cease_error e)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].number == (int)e)
            return errors[i].text;
    const char *text = strerrordesc_np(-(int)e);
    /* not taken: a text for -e when e > 0: no errno is negative */
    return text != NULL && (int)e < 0 ? text : "unknown error";
}

const char *cease_error_name(cease_error e)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].number == (int)e)
            return errors[i].name;
    const char *name = strerrorname_np(-(int)e);
    /* not taken: a name for -e when e > 0: no errno is negative */
    return name != NULL && (int)e < 0 ? name : "unknown";
}
