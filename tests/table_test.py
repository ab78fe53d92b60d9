#!/usr/bin/env python3
"""Checks that every case, model and file that tests/README.md names is there, and that its tables of Go's tests are whole."""
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
        cases |= {name, name + '_on_thread', name + '_in_task'}
for source in here.glob('interleave/*_models.c'):
    cases |= set(re.findall(r'^MODEL\((\w+)', source.read_text(encoding='utf-8'), re.M))

missing, named = [], 0
for name in re.findall(r'`([^`]+)`', readme):
    if re.fullmatch(r'(?!cease_)[a-z][A-Za-z]*_\w+_\w+', name):
        named += 1
        if name not in cases:
            missing.append('no such case: ' + name)
    elif re.fullmatch(r'(examples|tests|tools)/\S+', name) and not (here.parent / name).exists():
        missing.append('no such file: ' + name)

# Go 1.27's: the tests of package context; those of runtime/chan_test.go and the programs of test/chan/.
CONTEXT_TESTS = 39
CHAN_TESTS = set('''
    TestChan TestNonblockRecvRace TestNonblockSelectRace TestNonblockSelectRace2 TestSelfSelect TestSelectStress
    TestSelectFairness TestChanSendInterface TestPseudoRandomSend TestMultiConsumer TestShrinkStackDuringBlockedSend
    TestNoShrinkStackWhileParking TestSelectDuplicateChannel TestSelectStackAdjust
    doubleselect.go fifo.go goroutines.go nonblock.go perm.go powser1.go powser2.go select.go select2.go select3.go
    select4.go select5.go select6.go select7.go select8.go sendstmt.go sieve1.go sieve2.go zerosize.go
'''.split())


def rows(begin, end):
    """The names in the first column of the table between two headings."""
    text = readme.split(begin, 1)[1].split(end, 1)[0]
    return {name for cell in re.findall(r'^\| ([^|]*) \|', text, re.M)
            for name in re.findall(r'\b(?:Test\w+|\w+\.go)\b', cell)}


go = rows('## Go\'s tests of package context', '### The 23 subtests')
if len(go) != CONTEXT_TESTS:
    missing.append('%d of Go\'s tests are in the table, not %d' % (len(go), CONTEXT_TESTS))
chan = rows('## Go\'s tests of channels and select', '## Traps')
missing += ['not in the table of channels: ' + name for name in sorted(CHAN_TESTS ^ chan)]
go |= chan
for line in missing:
    print(line)
print('%d passed, %d failed, 0 skipped' % (named + len(go) - len(missing), len(missing)))
sys.exit(1 if missing else 0)
