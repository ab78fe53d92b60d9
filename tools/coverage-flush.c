/* coverage-flush.c: linked into the programs of tools/coverage only. The counters of a process are
 * written at exit(); here also when it aborts, as a case that expects a panic does, and when a
 * forked child leaves by _exit(). */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

static void dump(int number)
{
    (void)number;
    __gcov_dump();
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

__attribute__((constructor)) static void init(void)
{
    signal(SIGABRT, dump);
}

_Noreturn void _exit(int status)
{
    __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, status);
}
