#!/usr/bin/env python3
"""Lets tasks make mistakes under AddressSanitizer, ThreadSanitizer and Valgrind: out to find one that they do not
see, or tell of without the task's frames, and reports where there is no mistake.

    faults_test.py PROGRAM COMPILER SANITIZERS

SANITIZERS is what the program was built with (meson's b_sanitize); with 'none' it runs under Valgrind.
"""
import os
import re
import shutil
import subprocess
import sys

# What is switched between stacks without Valgrind being told, it believes to be one.
NOISE = ('switching stacks', 'stack switch', 'possibly lost')

# case: (exit status, the kind of report, frames that it must show in this order)
ADDRESS = {
    'stack_buffer': (1, 'stack-buffer-overflow', ['writes_beyond_its_array', 'overflowing_task']),
    'ended_scope': (1, 'stack-use-after-scope', ['scoping_task']),
    'ended_function': (1, 'stack-use-after-return', ['returning_task', 'keeps_its_own']),
    'heap_buffer': (1, 'heap-buffer-overflow', ['writes_beyond', 'writing_task', 'malloc', 'writing_task']),
    'use_after_free': (1, 'heap-use-after-free',
                       ['uses_the_block', 'using_task', 'frees_the_block', 'freeing_task', 'malloc']),
    'lost': (1, '1234 byte', ['malloc', 'loses_a_block', 'losing_task']),
    'kept_by_a_parked_task': (0, None, []),
    'no_race': (0, None, []),
    'nothing': (0, None, []),
}
THREAD = {
    'race': (66, 'data race', ['counts_without_a_lock', 'racing_task', 'counts_without_a_lock', 'racing_task']),
    'use_after_free': (66, 'heap-use-after-free', ['uses_the_block', 'using_task', 'frees_the_block', 'freeing_task']),
    'no_race': (0, None, []),
    'nothing': (0, None, []),
}
VALGRIND = {
    'uninitialised': (99, 'depends on uninitialised value', ['branches_on', 'reading_task']),
    'heap_buffer': (99, 'Invalid write of size 1', ['writes_beyond', 'writing_task', 'malloc', 'writing_task']),
    'use_after_free': (99, 'Invalid write of size 1',
                       ['uses_the_block', 'using_task', 'free', 'frees_the_block', 'freeing_task']),
    'lost': (99, '1,234 bytes in 1 blocks are definitely lost', ['malloc', 'loses_a_block', 'losing_task']),
    'kept_by_a_parked_task': (0, None, []),
    'nothing': (0, None, []),
}
REPORT = re.compile(r'Sanitizer|runtime error|^==\d+==', re.M)


def skip(why):
    print('0 passed, 0 failed, 1 skipped')
    print('skipped: ' + why)
    sys.exit(77)


def choose(compiler, sanitizers):
    """The cases, and the words before the program."""
    if 'address' in sanitizers:
        return ADDRESS, []
    if 'thread' in sanitizers:
        # As for all tests: its shadow wants addresses that are not too random.
        plain = subprocess.run(['setarch', '-R', 'true'], check=False, stderr=subprocess.DEVNULL).returncode == 0
        return THREAD, ['setarch', '-R'] if plain else []
    if sanitizers != 'none':
        skip('no mistakes for ' + sanitizers)
    if 'valgrind' not in os.environ.get('HARNESS_EMULATOR', 'valgrind'):
        skip('under an emulator')
    if compiler != 'gcc':
        skip('not every Valgrind reads the debug information of ' + compiler)
    if not shutil.which('valgrind'):
        skip('there is no valgrind, and the program was built without sanitizers')
    return VALGRIND, ['valgrind', '-q', '--error-exitcode=99', '--leak-check=full', '--errors-for-leak-kinds=definite']


def problem(text, status, wanted, kind, frames):
    """What is wrong with a run; None when nothing is."""
    if status != wanted:
        return 'status %d and not %d' % (status, wanted)
    for noise in NOISE:
        if noise in text:
            return 'it says "%s"' % noise
    if kind is None:
        return 'it tells of something' if REPORT.search(text) else None
    if kind not in text:
        return 'it does not say "%s"' % kind
    at = text.index(kind)
    for frame in frames:
        found = re.compile(r'\b(?:__interceptor_)?%s\b' % frame).search(text, at)
        if not found:
            return 'it does not show the frame of %s, or not in this place' % frame
        at = found.end()
    return None


def main():
    cases, words = choose(sys.argv[2], sys.argv[3])
    env = {**os.environ, 'CEASE_WORKERS': '2', 'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1',
           'TSAN_OPTIONS': 'exitcode=66', 'LSAN_OPTIONS': 'exitcode=1'}
    failures = 0
    for name, (wanted, kind, frames) in cases.items():
        done = subprocess.run(words + [sys.argv[1], name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=env, timeout=300, check=False)
        text = done.stdout.decode(errors='replace')
        wrong = problem(text, done.returncode, wanted, kind, frames)
        failures += wrong is not None
        print('%-5s faults_%s%s' % ('FAIL' if wrong else 'ok', name, ': %s\n%s' % (wrong, text) if wrong else ''))
    print('%d passed, %d failed, 0 skipped' % (len(cases) - failures, failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
