#!/usr/bin/env python3
"""Drives the HTTP server with wrk and ab, the load generators that people measure servers with: out to find a
response that they count as failed, a request that is lost, and what is left when they have gone.

    load_test.py SERVER
"""
import os
import re
import shutil
import signal
import subprocess
import sys

failures = 0
cases = 0
skipped = 0


def check(name, condition, detail=''):
    global failures, cases
    cases += 1
    if not condition:
        failures += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %s' % detail))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                          text=True)
    return done.returncode, done.stdout


def with_wrk(url):
    code, out = run('wrk', '-t', '1', '-c', '32', '-d', '2s', url + '/hello')
    requests = re.search(r'(\d+) requests in', out)
    check('wrk ends well', code == 0 and requests and int(requests[1]) > 0, out)
    check('wrk sees neither errors nor other statuses',
          'Non-2xx' not in out and 'Socket errors' not in out, out)


def with_ab(url, *options):
    code, out = run('ab', '-q', '-n', '2000', '-c', '16', *options, url + '/hello')
    name = 'ab %s' % ' '.join(options) if options else 'ab'
    check(name + ' gets every answer', code == 0 and
          re.search(r'Complete requests:\s+2000\n', out), out)
    check(name + ' counts none as failed', re.search(r'Failed requests:\s+0\n', out) and
          'Non-2xx' not in out, out)
    if '-k' in options:
        kept = re.search(r'Keep-Alive requests:\s+(\d+)', out)
        check('HTTP/1.0 connections are kept when asked for', kept and int(kept[1]) > 1900, out)


def main():
    global skipped
    server = subprocess.Popen([*os.environ.get('HARNESS_EMULATOR', '').split(), sys.argv[1]],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    url = 'http://' + server.stdout.readline().decode().strip()
    for program, drive in [('wrk', lambda: with_wrk(url)),
                           ('ab', lambda: (with_ab(url), with_ab(url, '-k')))]:
        if shutil.which(program):
            drive()
        else:
            skipped += 1
            print('skip  there is no %s' % program)
    server.send_signal(signal.SIGTERM)
    check('the server stops with nothing left', server.wait(timeout=60) == 0,
          server.stdout.read().decode())
    print('%d passed, %d failed, %d skipped' % (cases - failures, failures, skipped))
    return 1 if failures else 0


sys.exit(main())
