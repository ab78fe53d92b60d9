#!/usr/bin/env python3
"""Looks at tasks with a real gdb, out to find a task that
cease-gdb.py does not list, a wait that it tells wrongly, and a backtrace that does not reach the task's
own function.

    gdb_test.py PROGRAM SCRIPT
"""
import os
import re
import shutil
import subprocess
import sys

failures = 0
cases = 0


def check(name, condition, detail=''):
    global failures, cases
    cases += 1
    if not condition:
        failures += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %s' % detail))


def skip(why):
    print('0 passed, 0 failed, 1 skipped')
    print('skipped: ' + why)
    sys.exit(77)


def gdb(*commands):
    words = ['gdb', '-nx', '-batch', '-ex', 'set debuginfod enabled off', '-ex', 'source ' + sys.argv[2]]
    for command in commands:
        words += ['-ex', command]
    words.append(sys.argv[1])
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240,
                          env={**os.environ, 'CEASE_WORKERS': '1'})
    return done.stdout.decode(errors='replace')


def number_of(text, what):
    found = re.search(r'^ *(\d+)  started at \S*gdb_program\.c:\d+ in main: ' + what, text, re.M)
    return found.group(1) if found else '0'


def check_tasks(where, text):
    check(where + ' lists the five tasks', '\n5 tasks\n' in text, text)
    check(where + ' tells who has not begun',
          re.search(r'gdb_program\.c:\d+ in runner: not begun$', text, re.M) is not None, text)
    check(where + ' tells the receiver', number_of(text, 'waits to receive from channel 0x') != '0', text)
    check(where + ' tells the sleeper', number_of(text, 'sleeps until ') != '0', text)
    check(where + ' tells what has a name', number_of(text, 'waits for a semaphore') != '0', text)
    check(where + ' tells the runner', number_of(text, 'runs on worker 0') != '0', text)


def check_backtrace(where, text):
    part = text[text.index('BACKTRACE'):] if 'BACKTRACE' in text else ''
    frames = re.findall(r'^#\d+ .*?\b(\w+) \(', part, re.M)
    # The library's own frames come first; which of them there are is for the compiler to say.
    check(where + ' goes from the wait to the task', frames.count('receives_deep_down') == 4 and
          'receiver' in frames and 0 < frames.index('receives_deep_down') < frames.index('receiver'), text)
    check(where + ' shows arguments', 'depth=3' in part and 'depth=0' in part, text)


def main():
    if not shutil.which('gdb'):
        skip('there is no gdb')
    if os.environ.get('HARNESS_EMULATOR'):
        skip('gdb cannot trace an emulated program')
    text = gdb('break everything_stands', 'run', 'cease tasks')
    if 'ould not trace' in text or 'ptrace: ' in text:
        skip('no process may be traced here')
    check_tasks('a running program', text)
    receiver = number_of(text, 'waits to receive')
    text = gdb('break everything_stands', 'run', 'echo BACKTRACE\\n', 'cease bt ' + receiver)
    check_backtrace('a backtrace of a running program', text)
    text = gdb('break everything_stands', 'run', 'cease bt all', 'cease bt 999', 'bt 1', 'delete', 'continue')
    check('all backtraces', text.count('task ') >= 4 and 'sleeper (' in text and 'runner (' in text,
          text)
    check('an unknown number is said to be one', 'no task has the number 999' in text, text)
    check('the program goes on afterwards', 'exited normally' in text, text)
    print('%d passed, %d failed, 0 skipped' % (cases - failures, failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
