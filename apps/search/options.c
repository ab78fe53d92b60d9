/* SPDX-License-Identifier: MIT
 *
 * options.c: see options.h. A flag wins over the environment, CEASE_SEARCH_LISTEN over PORT.
 */
#include "options.h"

#include <cease/duration.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const backend_names[BACKEND_COUNT] = {"manual", "packages"};

static const char help[] =
    "Usage: cease-search [OPTION]...\n"
    "Searches this machine's manual pages and package descriptions, and serves the results over "
    "HTTP.\n"
    "\n"
    "  --listen ADDRESS     where to serve: 127.0.0.1:8080 (the default), [::1]:80, :8080 "
    "(everywhere), unix:/path\n"
    "  --data DIR           where the index lives (default: the user's cache folder)\n"
    "  --limit DURATION     the longest a request may take, and what it may take when it does not "
    "say (10s)\n"
    "  --budget NAME=DUR    the longest one backend may take, manual or packages (the request's "
    "time)\n"
    "  --grace DURATION     how long running requests may go on after SIGTERM (5s)\n"
    "  --log FILE           the access log: - (standard output, the default), off, or a file to "
    "append to\n"
    "  --man DIR            a folder with man1, man2, ...; may be repeated; replaces the usual "
    "ones\n"
    "  --dpkg-status FILE   descriptions of installed packages (/var/lib/dpkg/status)\n"
    "  --apt-lists DIR      descriptions of other packages (/var/lib/apt/lists)\n"
    "  --no-index           serve what is indexed already\n"
    "  --index-only         bring the index up to date and exit\n"
    "  --quiet              no progress on standard error\n"
    "  --help, --version\n"
    "\n"
    "A DURATION is a number with a unit, such as 300ms, 1.5s or 1h2m3s.\n"
    "Environment: CEASE_SEARCH_LISTEN (as --listen), PORT (the port on 127.0.0.1), MANPATH,\n"
    "CEASE_SEARCH_SLOW_MS (makes each backend so much slower, for tests and demonstrations).\n"
    "\n"
    "SIGTERM and SIGINT let running requests finish within the grace; a second one ends the "
    "program at once.\n";

static bool complain(const char *what, const char *value, const char *expected)
{
    fprintf(stderr, "cease-search: %s \"%s\": %s\n", what, value, expected);
    return false;
}

/* ---- values ---- */

static bool read_duration(const char *flag, const char *value, cease_dur *ret)
{
    if (cease_dur_parse(value, ret) != CEASE_OK)
        return complain(flag, value, "expected a duration such as 300ms, 1.5s or 1h2m3s");
    if (ret->ns <= 0)
        return complain(flag, value, "expected a duration greater than 0");
    return true;
}

static bool read_grace(const char *flag, const char *value, cease_dur *ret)
{
    if (cease_dur_parse(value, ret) != CEASE_OK || ret->ns < 0)
        return complain(flag, value, "expected a duration such as 5s, or 0");
    if (ret->ns == 0)
        ret->ns = -1; /* the server's word for "not at all" */
    return true;
}

static bool read_budget(const char *value, struct options *o)
{
    for (int i = 0; i < BACKEND_COUNT; i++) {
        size_t length = strlen(backend_names[i]);
        if (strncmp(value, backend_names[i], length) == 0 && value[length] == '=')
            return read_duration("--budget", value + length + 1, &o->budget[i]);
    }
    return complain("--budget", value, "expected manual=DURATION or packages=DURATION");
}

static bool read_port(const char *value, struct options *o)
{
    char *end;
    long port = strtol(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || port > 65535)
        return complain("PORT", value, "expected a port number from 0 to 65535");
    snprintf(o->listen, sizeof o->listen, "127.0.0.1:%ld", port);
    return true;
}

static bool copy(const char *flag, const char *value, char *ret, size_t size)
{
    if (*value == '\0' || strlen(value) >= size)
        return complain(flag, value, "empty or too long");
    memcpy(ret, value, strlen(value) + 1);
    return true;
}

static bool add_root(struct options *o, const char *root)
{
    if (o->root_count == ROOTS_MAX)
        return complain("--man", root, "too many folders");
    o->roots[o->root_count++] = root;
    return true;
}

/* ---- the environment ---- */

static bool cache_folder(char *ret, size_t size, const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache && cache[0] == '/')
        return (size_t)snprintf(ret, size, "%s/cease/%s", cache, name) < size;
    if (home && home[0] == '/')
        return (size_t)snprintf(ret, size, "%s/.cache/cease/%s", home, name) < size;
    return false;
}

static bool read_environment(struct options *o)
{
    const char *listen = getenv("CEASE_SEARCH_LISTEN");
    const char *port = getenv("PORT");
    const char *slow = getenv("CEASE_SEARCH_SLOW_MS");
    snprintf(o->listen, sizeof o->listen, "127.0.0.1:8080");
    if (listen && *listen) {
        if (!copy("CEASE_SEARCH_LISTEN", listen, o->listen, sizeof o->listen))
            return false;
    } else if (port && *port && !read_port(port, o)) {
        return false;
    }
    if (slow && *slow) {
        char *end;
        o->slow_ms = strtol(slow, &end, 10);
        if (*end != '\0' || o->slow_ms < 0 || o->slow_ms > 3600000)
            return complain("CEASE_SEARCH_SLOW_MS", slow, "expected a number of milliseconds");
    }
    return true;
}

/* The folders that man(1) would look into, and the one that tools/get-manpages fills. */
static bool default_roots(struct options *o)
{
    static char manpath[4096];
    const char *from = getenv("MANPATH");
    snprintf(manpath, sizeof manpath, "%s", from ? from : "");
    char *rest = manpath;
    for (char *root; (root = strsep(&rest, ":"));)
        if (root[0] == '/' && !add_root(o, root))
            return false;
    if (o->root_count == 0 &&
        !(add_root(o, "/usr/local/share/man") && add_root(o, "/usr/share/man")))
        return false;
    return !cache_folder(o->extra_root, sizeof o->extra_root, "manpages/usr/share/man") ||
           add_root(o, o->extra_root);
}

/* ---- flags ---- */

static bool read_value(struct options *o, const char *flag, const char *value)
{
    if (strcmp(flag, "--listen") == 0)
        return copy(flag, value, o->listen, sizeof o->listen);
    if (strcmp(flag, "--data") == 0)
        return copy(flag, value, o->data, sizeof o->data);
    if (strcmp(flag, "--limit") == 0)
        return read_duration(flag, value, &o->limit);
    if (strcmp(flag, "--budget") == 0)
        return read_budget(value, o);
    if (strcmp(flag, "--grace") == 0)
        return read_grace(flag, value, &o->grace);
    if (strcmp(flag, "--man") == 0)
        return add_root(o, value);
    if (*value == '\0')
        return complain(flag, value, "needs a value");
    if (strcmp(flag, "--log") == 0)
        o->log = value;
    else if (strcmp(flag, "--dpkg-status") == 0)
        o->dpkg_status = value;
    else
        o->apt_lists = value;
    return true;
}

static bool takes_value(const char *flag)
{
    static const char *const flags[] = {"--listen", "--data",        "--limit",
                                        "--budget", "--grace",       "--man",
                                        "--log",    "--dpkg-status", "--apt-lists"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flag, flags[i]) == 0)
            return true;
    return false;
}

static bool read_switch(struct options *o, const char *flag)
{
    if (strcmp(flag, "--no-index") == 0)
        o->index = false;
    else if (strcmp(flag, "--index-only") == 0)
        o->serve = false;
    else if (strcmp(flag, "--quiet") == 0)
        o->quiet = true;
    else
        return complain(flag[0] == '-' ? "unknown option" : "unexpected argument", flag,
                        "see cease-search --help");
    return true;
}

/* One flag, as "--flag value" or "--flag=value"; returns how many arguments it took, 0 when it is
 * wrong. */
static int read_flag(struct options *o, char **argv)
{
    char flag[32];
    const char *equals = strchr(argv[0], '=');
    size_t length = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    if (length >= sizeof flag)
        length = sizeof flag - 1;
    memcpy(flag, argv[0], length);
    flag[length] = '\0';
    if (!takes_value(flag))
        return read_switch(o, argv[0]);
    if (equals)
        return read_value(o, flag, equals + 1);
    if (!argv[1])
        return complain(flag, "", "needs a value");
    return read_value(o, flag, argv[1]) ? 2 : 0;
}

static bool finish(struct options *o)
{
    if (!o->serve && !o->index)
        return complain("--index-only", "--no-index", "exclude each other");
    if (o->root_count == 0 && !default_roots(o))
        return false;
    if (o->data[0] == '\0' && !cache_folder(o->data, sizeof o->data, "search")) {
        fputs("cease-search: no folder for the index: set HOME or XDG_CACHE_HOME, or give --data "
              "DIR\n",
              stderr);
        return false;
    }
    return true;
}

enum options_next options_read(int argc, char **argv, struct options *ret)
{
    struct options *o = ret;
    *o = (struct options){.dpkg_status = "/var/lib/dpkg/status",
                          .apt_lists = "/var/lib/apt/lists",
                          .log = "-",
                          .grace = cease_sec(5),
                          .limit = cease_sec(10),
                          .serve = true,
                          .index = true};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return fputs(help, stdout), OPTIONS_EXIT_OK;
        if (strcmp(argv[i], "--version") == 0)
            return puts("cease-search " CEASE_VERSION), OPTIONS_EXIT_OK;
    }
    if (!read_environment(o))
        return OPTIONS_EXIT_USAGE;
    for (int i = 1; i < argc;) {
        int taken = read_flag(o, argv + i);
        if (taken == 0)
            return OPTIONS_EXIT_USAGE;
        i += taken;
    }
    return finish(o) ? OPTIONS_RUN : OPTIONS_EXIT_USAGE;
}
