#!/usr/bin/env python3
"""Runs the harness's sample cases and compares each verdict, and what is said, with what must be.

    self_test.py SAMPLE_PROGRAM

A harness that lets a leak or a crash pass would make every other test worthless, so this one comes
first: it must see each kind of failure that the sample commits on purpose.
"""
import fnmatch
import os
import signal
import subprocess
import sys

# case: what the runner must print about it (after its verdict, or in its output)
EXPECTED = {
    'fail_check': 'CHECK(kept != NULL) is false',
    'fail_int': '-1 != 4294967295',
    'fail_str': '"left" != "right"',
    'fail_err': '-22 (',
    'fail_exits_early': 'ended the process',
    'fail_heap_leak': 'left behind: 1 heap blocks',
    'fail_fd_leak': '/dev/null',
    'fail_process_left': 'left behind: a process',
    'fail_hang': ('hangs: ended after 2 s', '" is in '),
    'fail_crash': 'died of SIGSEGV',
    'fail_abort': 'died of SIGABRT',
    'fail_abort_other_text': 'did not say "good reason"',
    'fail_should_have_aborted': 'should have died of SIGABRT',
    'skip_says_why': 'no moon tonight',
}


def run(program, *args, status):
    words = os.environ.get('HARNESS_EMULATOR', '').split()
    done = subprocess.run([*words, program, *args], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500)
    text = done.stdout.decode('utf-8', 'replace')
    if done.returncode != status:
        sys.exit('%s: status %d instead of %d\n%s' % (args, done.returncode, status, text))
    return text


def sections(text):
    """Case name → (verdict, the lines about it)."""
    found = {}
    name = None
    for line in text.splitlines():
        if line.startswith('    ') and name:
            found[name][1].append(line)
        elif ' ' in line and line.split()[0] in ('ok', 'FAIL', 'skip'):
            name = line.split()[1].rstrip(':')
            found[name] = (line.split()[0], [line])
    return found


def check(condition, what, text=''):
    if not condition:
        print(text)
        sys.exit('harness: ' + what)


def main():
    program = sys.argv[1]
    # As in the background of a shell: what is tested must not notice.
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    cases = run(program, '--list', status=0).split()
    # Sanitizers bring their own malloc: AddressSanitizer tells of the leak, ThreadSanitizer cannot.
    traits = run(program, '--traits', status=0).split()

    # The case that hangs gets a short limit of its own, so that the others may be slow.
    text = run(program, '--limit=2', 'fail_hang', status=1)
    found = sections(text)
    others = [c for c in cases if c != 'fail_hang']
    text = run(program, *others, status=1)
    found.update(sections(text))
    check(sorted(found) == sorted(cases), 'not every case was run once', text)
    counts = {'ok': 0, 'FAIL': 0, 'skip': 0}
    for name, (verdict, lines) in found.items():
        if name == 'fail_heap_leak' and 'heap' not in traits:
            check(verdict == 'FAIL' or 'leak' not in traits, name + ' passed', text)
        else:
            expected = {'pass': 'ok', 'fail': 'FAIL', 'skip': 'skip'}[name.split('_')[0]]
            if 'heap' not in traits and name == 'pass_torture_counts_rounds':
                expected = 'skip'
            check(verdict == expected, '%s: verdict %s' % (name, verdict), '\n'.join(lines))
            words = EXPECTED.get(name, ())
            for word in (words,) if isinstance(words, str) else words:
                check(word in '\n'.join(lines), '%s does not say "%s"' % (name, word),
                      '\n'.join(lines))
        counts[verdict] += name != 'fail_hang'
    last = '%(ok)d passed, %(FAIL)d failed, %(skip)d skipped' % counts
    check(text.splitlines()[-1] == last, 'the last line is not "%s"' % last, text)

    verbose = run(program, '-v', 'pass_temp_dir', status=0)
    path = verbose.split('temp dir: ')[1].splitlines()[0]
    check(not os.path.exists(path), path + ' was not removed', verbose)
    check(set(run(program, 'pass_re*', 'pass_p*', status=0).splitlines()[-1].split())
          >= {'passed,'}, 'globs choose nothing')
    listed = run(program, '--list', 'pass_*', status=0).split()
    check(listed == fnmatch.filter(cases, 'pass_*'), '--list ignores globs')
    run(program, 'no_such_case', status=2)
    print('%d verdicts as they must be' % len(found))


if __name__ == '__main__':
    main()
