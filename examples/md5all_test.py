#!/usr/bin/env python3
"""Runs examples/md5all in its three forms over a real tree, and compares what they print with md5sum.

    md5all_test.py MD5ALL

Then over a tree with a file that cannot be read: each form stops at it, says so, and prints nothing.
"""
import os
import subprocess
import sys
import tempfile

FORMS = ('serial', 'parallel', 'bounded')
# A regular file that opens for anybody and gives an error when it is read from its beginning.
UNREADABLE = '/proc/self/mem'


def files_below(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def make_tree(root):
    """Files of many sizes, in folders of several depths."""
    sizes = (0, 1, 55, 56, 63, 64, 65, 4095, 4096, 16383, 16384, 16385, 100000, 300001)
    for number in range(150):
        folder = os.path.join(root, 'a' * (number % 3 + 1), str(number % 7))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, 'file %d' % number), 'wb') as f:
            f.write(bytes((number * i + number) % 251 for i in range(256)) *
                    (sizes[number % len(sizes)] // 256))
            f.write(b'x' * (sizes[number % len(sizes)] % 256))
    os.symlink('/etc/passwd', os.path.join(root, 'link'))


def run(program, form, *roots):
    return subprocess.run([program, form, *roots], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        make_tree(root)
        paths = sorted(files_below(root), key=os.fsencode)
        expected = subprocess.run(['md5sum', *paths], stdout=subprocess.PIPE, check=True).stdout
        for form in FORMS:
            done = run(program, form, root)
            assert done.returncode == 0, (form, done.stderr)
            assert done.stdout == expected, (form, done.stdout[:500], expected[:500])
            done = run(program, form, root, UNREADABLE, root)
            assert done.returncode == 1, (form, done.returncode, done.stderr)
            assert b'input/output error' in done.stderr, (form, done.stderr)
            assert done.stdout == b'', form
            done = run(program, form, os.path.join(root, 'nothing'))
            assert done.returncode == 1 and b'no such file' in done.stderr, (form, done.stderr)
    print('md5all: %d files, as md5sum' % len(paths))


main()
