/* SPDX-License-Identifier: MIT
 *
 * options.c: see options.h. A flag wins over the environment, CEASE_SEARCH_LISTEN over PORT.
 */
#include "options.h"

#include <cease/duration.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "postgres.h"

/* Backends that are there once at the most. */
enum { FIXED_COUNT = 2 };
static const char *const fixed[FIXED_COUNT] = {"replica", "postgres"};

const char *const index_names[INDEX_COUNT] = {"manual", "packages"};

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
    "  --budget NAME=DUR    the longest one backend may take, such as manual=300ms (the request's "
    "time)\n"
    "  --grace DURATION     how long running requests may go on after SIGTERM (5s)\n"
    "  --log FILE           the access log: - (standard output, the default), off, or a file to "
    "append to\n"
    "  --man DIR            a folder with man1, man2, ...; may be repeated; replaces the usual "
    "ones\n"
    "  --dpkg-status FILE   descriptions of installed packages (/var/lib/dpkg/status)\n"
    "  --apt-lists DIR      descriptions of other packages (/var/lib/apt/lists)\n"
    "  --backend [NAME=]URL ask this instance of cease-search as well; may be repeated\n"
    "  --replica URL        ask these instances for one answer: one, after --hedge the next, the "
    "first answer\n"
    "                       wins and the others are cancelled; may be repeated\n"
    "  --hedge DURATION     how long a replica may take before the next is asked, too (50ms)\n"
    "  --db URL             keep the documents in this PostgreSQL database, too, and ask it as "
    "well, "
    "such as\n"
    "                       postgres://user@host/name or postgres:///name?host=/run/postgresql\n"
    "  --cache URL          keep results in this Redis for a while, and share searches that many "
    "ask "
    "for at a time:\n"
    "                       redis://host:6379/0, rediss://:password@host (TLS), "
    "unix:///run/redis.sock\n"
    "  --cache-ttl DURATION how long (1m)\n"
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

static bool read_budget(struct options *o, const char *flag, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return complain(flag, value, "expected NAME=DURATION, such as manual=300ms");
    if (o->budget_count == BACKENDS_MAX)
        return complain(flag, value, "too many budgets");
    o->budgets[o->budget_count].name = value;
    return read_duration(flag, equals + 1, &o->budgets[o->budget_count++].time);
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

static bool add_root(struct options *o, const char *flag, const char *root)
{
    if (*root == '\0' || o->root_count == ROOTS_MAX)
        return complain(flag, root, *root ? "too many folders" : "needs a value");
    o->roots[o->root_count++] = root;
    return true;
}

/* ---- other instances ---- */

/* Of "host:port" or "host". */
static bool is_good_port(const char *host)
{
    const char *bracket = strrchr(host, ']'); /* of an IPv6 address */
    const char *colon = strchr(bracket ? bracket : host, ':');
    char *end = NULL;
    return !colon || (colon[1] >= '0' && colon[1] <= '9' && strtol(colon + 1, &end, 10) <= 65535 &&
                      *end == '\0');
}

/* "http://host[:port]", without a path; a slash at the end is cut off. */
static bool check_url(const char *flag, char *url)
{
    static const char scheme[] = "http://";
    const char *host = url + sizeof scheme - 1;
    size_t size = strlen(url);
    if (strncmp(url, scheme, sizeof scheme - 1) == 0 && *host && url[size - 1] == '/')
        url[size - 1] = '\0';
    if (strncmp(url, scheme, sizeof scheme - 1) != 0 || strcspn(host, "/?#@ :") == 0 ||
        strpbrk(host, "/?#@ ") || !is_good_port(host))
        return complain(flag, url,
                        "expected the URL of an instance, such as http://127.0.0.1:8081");
    return true;
}

static bool is_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

/* A name made of "host:port". */
static void name_of(const char *host, char ret[NAME_MAX_SIZE])
{
    size_t size = 0;
    for (; *host && size + 1 < NAME_MAX_SIZE; host++) {
        unsigned char c = (unsigned char)*host;
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool capital = c >= 'A' && c <= 'Z';
        ret[size++] = (char)(letter ? c : capital ? c - 'A' + 'a' : '-');
    }
    ret[size] = '\0';
}

static bool add_instance(struct options *o, const char *flag, char *value)
{
    if (o->instance_count == BACKENDS_MAX - INDEX_COUNT - FIXED_COUNT)
        return complain(flag, value, "too many backends");
    struct instance *instance = &o->instances[o->instance_count++];
    char *equals = strchr(value, '=');
    char *url = equals ? equals + 1 : value;
    if (!check_url(flag, url))
        return false;
    instance->url = url;
    if (!equals) {
        instance->title = url + strlen("http://");
        name_of(instance->title, instance->name);
        return true;
    }
    *equals = '\0';
    if (!is_name(value) || strlen(value) >= NAME_MAX_SIZE)
        return complain(flag, value, "expected a name of the letters a-z, digits and \"-\"");
    memcpy(instance->name, value, strlen(value) + 1);
    instance->title = instance->name;
    return true;
}

static bool add_replica(struct options *o, const char *flag, char *url)
{
    if (o->replica_count == REPLICAS_MAX)
        return complain(flag, url, "too many replicas");
    if (!check_url(flag, url))
        return false;
    o->replicas[o->replica_count++] = url;
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
        if (root[0] == '/' && !add_root(o, "MANPATH", root))
            return false;
    if (o->root_count == 0 &&
        !(add_root(o, "--man", "/usr/local/share/man") && add_root(o, "--man", "/usr/share/man")))
        return false;
    return !cache_folder(o->extra_root, sizeof o->extra_root, "manpages/usr/share/man") ||
           add_root(o, "--man", o->extra_root);
}

/* ---- flags ---- */

static bool set_listen(struct options *o, const char *flag, char *value)
{
    return copy(flag, value, o->listen, sizeof o->listen);
}

static bool set_data(struct options *o, const char *flag, char *value)
{
    return copy(flag, value, o->data, sizeof o->data);
}

static bool set_limit(struct options *o, const char *flag, char *value)
{
    return read_duration(flag, value, &o->limit);
}

static bool set_budget(struct options *o, const char *flag, char *value)
{
    return read_budget(o, flag, value);
}

static bool set_grace(struct options *o, const char *flag, char *value)
{
    return read_grace(flag, value, &o->grace);
}

static bool set_text(const char *flag, const char *value, const char **ret)
{
    if (*value == '\0')
        return complain(flag, value, "needs a value");
    *ret = value;
    return true;
}

static bool set_db(struct options *o, const char *flag, char *value)
{
    if (!postgres_is_there())
        return complain(flag, value, "this cease-search was built without PostgreSQL (libpq)");
    if (!set_text(flag, value, &o->db))
        return false;
    return postgres_url_is_good(value) ||
           complain(flag, value,
                    "expected a connection string such as postgres://user@host/name or "
                    "host=/run/postgresql dbname=name");
}

static bool set_cache(struct options *o, const char *flag, char *value)
{
    if (!cache_is_there())
        return complain(flag, value, "this cease-search was built without Redis (hiredis)");
    if (!set_text(flag, value, &o->cache))
        return false;
    return cache_url_is_good(value) ||
           complain(flag, value,
                    "expected a URL such as redis://host:6379/0 or unix:///run/redis.sock");
}

static bool set_cache_ttl(struct options *o, const char *flag, char *value)
{
    return read_duration(flag, value, &o->cache_ttl) &&
           (o->cache_ttl.ns >= 1000000 || complain(flag, value, "expected 1ms or more"));
}

static bool set_hedge(struct options *o, const char *flag, char *value)
{
    return read_duration(flag, value, &o->hedge);
}

/* What is named must be there: otherwise a wrong letter is an index without a page. */
static bool is_there(const char *flag, const char *value)
{
    return *value == '\0' || access(value, R_OK) == 0 || complain(flag, value, strerror(errno));
}

static bool set_man(struct options *o, const char *flag, char *value)
{
    return is_there(flag, value) && add_root(o, flag, value);
}

static bool set_log(struct options *o, const char *flag, char *value)
{
    return set_text(flag, value, &o->log);
}

static bool set_dpkg_status(struct options *o, const char *flag, char *value)
{
    return is_there(flag, value) && set_text(flag, value, &o->dpkg_status);
}

static bool set_apt_lists(struct options *o, const char *flag, char *value)
{
    return is_there(flag, value) && set_text(flag, value, &o->apt_lists);
}

/* Flags with a value. */
typedef bool set_fn(struct options *o, const char *flag, char *value);
static const struct flag {
    const char *name;
    set_fn *set;
} flags[] = {
    {"--listen", set_listen},
    {"--data", set_data},
    {"--limit", set_limit},
    {"--budget", set_budget},
    {"--grace", set_grace},
    {"--log", set_log},
    {"--man", set_man},
    {"--dpkg-status", set_dpkg_status},
    {"--apt-lists", set_apt_lists},
    {"--backend", add_instance},
    {"--replica", add_replica},
    {"--hedge", set_hedge},
    {"--db", set_db},
    {"--cache", set_cache},
    {"--cache-ttl", set_cache_ttl},
};

/* The flag at the start of an argument, "--flag" or "--flag=value"; NULL: it takes no value. */
static const struct flag *find_flag(const char *argument)
{
    size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strlen(flags[i].name) == length && strncmp(flags[i].name, argument, length) == 0)
            return &flags[i];
    return NULL;
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
    const struct flag *flag = find_flag(argv[0]);
    if (!flag)
        return read_switch(o, argv[0]);
    char *equals = strchr(argv[0], '=');
    if (equals)
        return flag->set(o, flag->name, equals + 1);
    if (!argv[1])
        return complain(flag->name, "", "needs a value");
    return flag->set(o, flag->name, argv[1]) ? 2 : 0;
}

static bool is_backend(const struct options *o, const char *name, size_t size)
{
    bool found = false;
    for (size_t i = 0; i < FIXED_COUNT; i++)
        found = found || (strlen(fixed[i]) == size && strncmp(name, fixed[i], size) == 0);
    for (size_t i = 0; i < INDEX_COUNT; i++)
        found =
            found || (strlen(index_names[i]) == size && strncmp(index_names[i], name, size) == 0);
    for (size_t i = 0; i < o->instance_count; i++)
        found = found || (strlen(o->instances[i].name) == size &&
                          strncmp(o->instances[i].name, name, size) == 0);
    return found;
}

cease_dur options_budget(const struct options *o, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < o->budget_count; i++)
        if (strncmp(o->budgets[i].name, name, size) == 0 && o->budgets[i].name[size] == '=')
            return o->budgets[i].time;
    return cease_ns(0);
}

/* Every name is one backend's, and every budget is of a backend. */
static bool check_names(struct options *o)
{
    size_t count = o->instance_count;
    for (size_t i = 0; i < count; i++) {
        const char *name = o->instances[i].name;
        o->instance_count = i; /* those before it */
        bool taken = is_backend(o, name, strlen(name));
        o->instance_count = count;
        if (taken)
            return complain("--backend", name, "two backends have this name: give it as NAME=URL");
    }
    for (size_t i = 0; i < o->budget_count; i++)
        if (!is_backend(o, o->budgets[i].name, strcspn(o->budgets[i].name, "=")))
            return complain("--budget", o->budgets[i].name,
                            "there is no such backend; expected manual, packages, or one of yours");
    return true;
}

static bool finish(struct options *o)
{
    if (!o->serve && !o->index)
        return complain("--index-only", "--no-index", "exclude each other");
    if (!check_names(o) || (o->root_count == 0 && !default_roots(o)))
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
                          .hedge = cease_ms(50),
                          .cache_ttl = cease_min(1),
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
