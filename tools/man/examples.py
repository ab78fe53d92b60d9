"""Example code in pages: C files that are compiled and run by the tests, shown from mark to mark.

A region of a file begins with a line that holds nothing but `/* [name] */` and ends with
`/* [end] */`. A manual page shows the region `example` of the file that docs/man/examples/MAP gives
to its function; a Markdown page shows `file#region` below a comment that says so:

    <!-- snippet: snippets/contexts.c#deriving -->
"""
import os
import re

from headers import Problem

BEGIN = re.compile(r'^\s*/\* \[(\w+)\] \*/$')
SNIPPET = re.compile(r'<!-- snippet: (\S+)#(\w+) -->\n```c\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def regions(path):
    """{name: its lines, without what they are all indented by}."""
    found, name = {}, None
    for line in read(path).split('\n'):
        mark = BEGIN.match(line)
        if not mark:
            if name:
                found[name].append(line)
        elif mark[1] == 'end':
            if not name:
                raise Problem('%s: [end] without a beginning' % path)
            name = None
        elif name or mark[1] in found:
            raise Problem('%s: [%s] inside a region, or twice' % (path, mark[1]))
        else:
            name = mark[1]
            found[name] = []
    if name:
        raise Problem('%s: [%s] does not end' % (path, name))
    return {n: trimmed(lines) for n, lines in found.items()}


def trimmed(lines):
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    while lines and not lines[0].strip():
        lines = lines[1:]
    depth = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return [x[depth:] for x in lines]


def pairs(path):
    """(left, right) of the `left: right` lines of a file; # begins a comment."""
    for number, line in enumerate(read(path).split('\n'), 1):
        line = line.split('#')[0].strip()
        if line:
            left, colon, right = line.partition(':')
            if not colon or not right.strip():
                raise Problem('%s:%d: not `name: text`' % (path, number))
            yield left.strip(), right.strip()


class Examples:
    """Which function is shown by which file. Problems are collected, not raised."""

    def __init__(self, folder, functions):
        self.of = {}  # function → lines
        self.problems = []
        files = set()
        for file, names in pairs(os.path.join(folder, 'MAP')):
            files.add(file)
            try:
                lines = regions(os.path.join(folder, file)).get('example')
            except (OSError, Problem) as e:
                self.problems.append('MAP: %s: %s' % (file, e))
                continue
            if not lines:
                self.problems.append('%s: no region [example]' % file)
                continue
            for name in names.split():
                self.add(file, name, lines, functions)
        for file in sorted(os.listdir(folder)):
            if file.endswith('.c') and file not in files:
                self.problems.append('%s is not in MAP' % file)

    def add(self, file, name, lines, functions):
        code = re.sub(r'/\*.*?\*/|//[^\n]*', ' ', '\n'.join(lines), flags=re.DOTALL)
        if name not in functions:
            self.problems.append('MAP: %s: there is no function %s' % (file, name))
        elif name in self.of:
            self.problems.append('MAP: %s: %s has an example already' % (file, name))
        elif not re.search(r'\b%s\b' % name, code):
            self.problems.append('%s: the region [example] does not use %s' % (file, name))
        else:
            self.of[name] = lines


def check_markdown(path, fix=False):
    """Problems of the snippets of a page; with `fix` they are put right instead."""
    text, folder, problems = read(path), os.path.dirname(path), []
    count = 0

    def replace(match):
        nonlocal count
        count += 1
        file, name = match[1], match[2]
        try:
            lines = regions(os.path.join(folder, file))[name]
        except (OSError, KeyError) as e:
            problems.append('%s: %s#%s: %s' % (path, file, name, e))
            return match[0]
        code = '\n'.join(lines) + '\n'
        if code != match[3] and not fix:
            problems.append('%s: %s#%s is not what the file says (tools/make-man --guide)' % (
                path, file, name))
        return '<!-- snippet: %s#%s -->\n```c\n%s```' % (file, name, code)

    new = SNIPPET.sub(replace, text)
    if text.count('```c\n') != count or text.count('<!-- snippet:') != count:
        problems.append('%s: there is code that no test compiles, or a snippet without code' % path)
    if fix and new != text:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(new)
    return problems
