#!/usr/bin/env python3
"""Reads the library's static probes as tracers do: out to find one that is missing, or has no arguments.

    probes_test.py LIBRARY
"""
import re
import shutil
import subprocess
import sys

WANTED = {'task__spawn': 1, 'task__begin': 1, 'task__park': 3, 'task__run': 1, 'task__wake': 1, 'task__end': 1}


def main():
    if not shutil.which('readelf'):
        print('0 passed, 0 failed, 1 skipped')
        print('skipped: there is no readelf')
        return 77
    text = subprocess.run(['readelf', '-n', sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout.decode()
    found = {}
    for name, arguments in re.findall(r'Provider: cease\n\s+Name: (\S+)\n.*\n\s+Arguments:(.*)', text):
        found.setdefault(name, []).append(len(arguments.split()))
    failed = 0
    for name, count in WANTED.items():
        good = name in found and all(n >= count for n in found[name])
        failed += not good
        print('%-5s probe %s%s' % ('ok' if good else 'FAIL', name, '' if good else ': %s' % found))
    print('%d passed, %d failed, 0 skipped' % (len(WANTED) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
