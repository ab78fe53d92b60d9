#!/usr/bin/env python3
"""Checks that every case and file that tests/README.md names is there."""
import pathlib
import re
import sys

here = pathlib.Path(__file__).resolve().parent
readme = (here / 'README.md').read_text(encoding='utf-8')
cases = set()
for source in here.glob('*/*_test.c'):
    text = source.read_text(encoding='utf-8')
    cases |= set(re.findall(r'^TEST(?:_ABORTS|_DIES)?\((\w+)', text, re.M))
    for name in re.findall(r'^BOTH\((\w+)', text, re.M):
        cases |= {name + '_on_thread', name + '_in_task'}

missing, named = [], 0
for name in re.findall(r'`([^`]+)`', readme):
    if re.fullmatch(r'(?!cease_)[a-z][A-Za-z]*_\w+_\w+', name):
        named += 1
        if name not in cases:
            missing.append('no such case: ' + name)
    elif re.fullmatch(r'(examples|tests|tools)/\S+', name) and not (here.parent / name).exists():
        missing.append('no such file: ' + name)
go = set(re.findall(r'^\| (Test\w+) \|', readme, re.M))
if len(go) != 39:
    missing.append('%d of Go\'s tests are in the table, not 39' % len(go))
for line in missing:
    print(line)
print('%d passed, %d failed, 0 skipped' % (named + len(go) - len(missing), len(missing)))
sys.exit(1 if missing else 0)
