/*
 * servers.h: real servers for the tests of adapters.
 *
 *     SERVERS("pg");
 *
 * once in a test program lets it run itself again below with_servers.py, which starts the servers, unless
 * they run already (CEASE_TEST_PG and the like say so). So the program may be started by hand, too.
 */
#ifndef SERVERS_H
#define SERVERS_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where the server is; "" when it is not installed. */
static inline const char *servers_where(const char *name)
{
    char variable[64] = "CEASE_TEST_";
    size_t size = 11;
    for (; *name && size < sizeof variable - 1; name++)
        variable[size++] = (char)toupper((unsigned char)*name);
    variable[size] = '\0';
    return getenv(variable);
}

/* Before main, because main runs each case by executing the program once more. */
static inline void servers_start(const char *name, int argc, char **argv)
{
    if (servers_where(name))
        return;
    char **words = calloc((size_t)argc + 5, sizeof *words);
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (!words || size <= 0)
        return;
    self[size] = '\0';
    words[0] = SERVERS_SCRIPT;
    words[1] = (char *)(unsigned long)name;
    words[2] = "--";
    words[3] = self;
    for (int i = 1; i < argc; i++)
        words[i + 3] = argv[i];
    execv(words[0], words);
    perror(words[0]);
    _exit(1);
}

#define SERVERS(name)                                                                   \
    __attribute__((constructor)) static void servers_constructor(int argc, char **argv) \
    {                                                                                   \
        servers_start(name, argc, argv);                                                \
    }                                                                                   \
    _Static_assert(1, "")

#endif
