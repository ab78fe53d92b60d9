"""Reads public headers: the functions, types and macros they declare, and what is said about them.

One idea: a header is a row of comments, preprocessor lines and declarations. A comment at the left
margin belongs to what follows it up to the next blank line; a comment with nothing right below it
is the title of a group. No C is parsed beyond that: nothing here knows what a type is.

Trailers (Parks, Callers, Owns, Errors, Since) must end the comment, each on lines of its own, in
this order; complaints() says where they do not.
"""
import os
import re

TRAILER = ('Parks', 'Callers', 'Owns', 'Errors', 'Since')
COMMENT = re.compile(r'/\*.*?\*/', re.DOTALL)
ATTRIBUTES = re.compile(r'\bCEASE_(?:PUBLIC|MUST_USE|NORETURN|PRINTF\s*\([^)]*\))|'
                        r'\b(?:static|extern|inline)\b')


class Problem(Exception):
    """Something that a header, an example or the mapping says wrongly."""


class Function:
    """One prototype. `at` is its variant that takes the place of the call, or None."""

    def __init__(self, text, public):
        text = ' '.join(ATTRIBUTES.sub(' ', COMMENT.sub(' ', text)).split('{')[0].split())
        text = text.rstrip('; ')
        match = re.match(r'^(.*?)(\w+) ?\((.*)\)$', text)
        if not match:
            raise Problem('no prototype: ' + text)
        self.result, self.name = match[1].strip(), match[2]
        self.params = [p for p in split_params(match[3]) if p != 'void']
        self.public = public
        self.macro = False
        self.at = None

    def param_names(self):
        names = set()
        for param in self.params:
            match = re.search(r'\(\*(\w+)\)|(\w+)(?:\[\w*\])?$', param)
            if match:
                names.add(match[1] or match[2])
        return names


class Block:
    """A comment and what it is about: functions, types, macros."""

    def __init__(self, comment, group):
        self.prose, self.trailer, self.faults = read_comment(comment)
        self.group = group
        self.before = None  # the block above it, for a comment that goes on from there
        self.functions, self.types, self.macros = [], [], []

    def names(self):
        return [f.name for f in self.functions]

    def goes_on(self):
        """Whether the comment cannot be understood without the one above it."""
        text = ' '.join(self.prose + list(self.trailer.values()))
        return bool(re.match(r'The same\b(?! as)', text) or re.search(r'\b[Aa]s above\b', text))


class Header:
    """One public header. `title` is its first sentence, `prose` the rest of the opening comment."""

    def __init__(self, path):
        self.file = os.path.basename(path)
        self.name = self.file[:-len('.h')]
        self.page = 'cease' if self.name == 'cease' else 'cease_' + self.name
        with open(path, encoding='utf-8') as f:
            items = list(scan(f.read()))
        if not items or items[0][0] != 'comment':
            raise Problem(self.file + ': does not open with a comment')
        self.title, self.prose = read_opening(items[0][1], self.file)
        self.blocks = []
        self.errors = []
        read_items(self, items[1:])
        with_functions = [b for b in self.blocks if b.functions]
        for block, before in zip(with_functions[1:], with_functions):
            block.before = before
        self.functions = {f.name: f for b in self.blocks for f in b.functions}
        self.types = {t[0]: t[1] for b in self.blocks for t in b.types}

    def public_names(self):
        """Every exported symbol that it declares, also those that have no page of their own."""
        names = set()
        for f in self.functions.values():
            names |= {n.name for n in (f, f.at) if n and n.public}
        return names


def split_params(text):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == '(') - (c == ')')
        if c == ',' and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return parts + [text[start:].strip()]


def end_of_declaration(text, pos):
    """Where the declaration at pos ends: at a ; outside all brackets, or a body's brace."""
    inline = text.startswith('static inline', pos)
    depth = 0
    while pos < len(text):
        c = text[pos]
        if text.startswith('/*', pos):
            pos = text.index('*/', pos) + 2
            continue
        if c in '"\'':
            pos += len(re.match(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|.', text[pos:])[0])
            continue
        depth += (c in '({') - (c in ')}')
        pos += 1
        if depth == 0 and (c == ';' or (c == '}' and inline)):
            return pos
    raise Problem('a declaration does not end: ' + text[-60:])


def scan(text):
    """(kind, text) of each comment, preprocessor line, declaration and blank line."""
    pos = 0
    while pos < len(text):
        space = re.match(r'\s+', text[pos:])
        if space:
            if space[0].count('\n') > 1:
                yield 'blank', ''
            pos += len(space[0])
            continue
        word = re.match(r'CEASE_(BEGIN|END)_DECLS', text[pos:])
        if word:
            end, kind = pos + len(word[0]), 'blank'
        elif text.startswith('/*', pos):
            end, kind = text.index('*/', pos) + 2, 'comment'
        elif text[pos] == '#':
            end, kind = pos + len(re.match(r'(?:[^\n\\]|\\\n|\\.)*', text[pos:])[0]), 'line'
        else:
            end, kind = end_of_declaration(text, pos), 'declaration'
            aside = re.match(r'[ ]*(?:\n +)?/\*.*?\*/', text[end:], re.DOTALL)
            end += len(aside[0]) if aside else 0
        yield kind, text[pos:end]
        pos = end


def comment_lines(comment):
    """The lines inside a comment, without its stars."""
    inside = comment[2:-2].split('\n')
    lines = [inside[0].strip()] + [re.sub(r'^\s*\* ?', '', line).rstrip() for line in inside[1:]]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_comment(comment):
    """Prose lines, {trailer key: text}, and what is wrong with the trailer (sentences)."""
    lines, faults = comment_lines(comment), []
    keys = re.compile(r'^(%s):\s*' % '|'.join(TRAILER))
    first = next((i for i, line in enumerate(lines) if keys.match(line)), len(lines))
    prose, trailer, key = lines[:first], {}, None
    for line in lines[first:]:
        match = keys.match(line)
        if match:
            key = match[1]
            if key in trailer:
                faults.append('%s is there twice' % key)
            trailer[key] = line[match.end():].strip()
        elif not line:
            faults.append('a blank line inside the trailer')
        else:
            trailer[key] += ' ' + line.strip()
    for key, text in trailer.items():
        lost = re.search(r'(?:^|\s)(%s): ' % '|'.join(TRAILER), text)
        if lost:
            faults.append('%s: does not begin a line (it is inside %s)' % (lost[1], key))
        elif not text:
            faults.append('%s is empty' % key)
    if trailer:
        missing = [k for k in TRAILER if k not in trailer]
        if missing:
            faults.append('without ' + ', '.join(missing))
        elif list(trailer) != list(TRAILER):
            faults.append('the trailer is not in the order ' + ', '.join(TRAILER))
        if 'Since' in trailer and not re.match(r'^\d+\.\d+$', trailer['Since']):
            faults.append('Since is no version: ' + trailer['Since'])
    while prose and not prose[-1]:
        prose.pop()
    return prose, trailer, faults


def read_opening(comment, file):
    """The title and the prose of a header's first comment."""
    lines = comment_lines(comment)
    lines = lines[1:] if lines and 'SPDX' in lines[0] else lines
    while lines and not lines[0]:
        lines.pop(0)
    text = '\n'.join(lines)
    match = re.match(r'cease/%s: (.*?)\.(?: |\n+|$)' % re.escape(file), text, re.DOTALL)
    if not match:
        raise Problem('%s: the first comment does not begin "cease/%s: …."' % (file, file))
    return ' '.join(match[1].split()), text[match.end():].split('\n')


def read_items(header, items):
    """Sorts what scan() found into blocks."""
    block, group = None, ''
    for i, (kind, text) in enumerate(items):
        if kind == 'blank':
            block = None
        elif kind == 'comment':
            alone = i + 1 == len(items) or items[i + 1][0] == 'blank'
            if alone:
                group = ' '.join(' '.join(comment_lines(text)).strip('- ').split())
            elif block is None or not block.functions:
                block = Block(text, group)
                header.blocks.append(block)
        else:
            if block is None:
                block = Block('/**/', group)
                header.blocks.append(block)
            (add_line if kind == 'line' else add_declaration)(header, block, text)


def add_line(header, block, text):
    match = re.match(r'#\s*define (\w+)(\([^)]*\))?', text)
    if not match or match[1] == 'CEASE_%s_H' % header.name.upper() or match[1].endswith('_'):
        return
    if match[1] == 'CEASE_ERRORS':
        header.errors = re.findall(r'X\((\w+), ([-\w]+), "([^"]*)"\)', text)
    for f in block.functions:
        if f.name == match[1]:
            f.macro = True
            return
    if all(m[0] != match[1] for m in block.macros):
        aside = COMMENT.search(text)
        block.macros.append((match[1], match[2], comment_lines(aside[0]) if aside else []))


def add_declaration(header, block, text):
    bare = COMMENT.sub(' ', text).strip()
    if bare.startswith(('CEASE_PUBLIC', 'static inline')):
        function = Function(text, bare.startswith('CEASE_PUBLIC'))
        if function.name.endswith('_') and not function.public:
            return
        base = [f for f in block.functions if f.name + '_at' == function.name]
        if base:
            base[0].at = function
        elif any(f.name == function.name for f in block.functions):
            raise Problem('%s: %s is declared twice' % (header.file, function.name))
        else:
            block.functions.append(function)
        return
    match = re.match(r'typedef\b.*?\b(cease_\w+)\s*(?:\([^{}]*\))?;\s*$', bare, re.DOTALL)
    match = match or re.match(r'struct (cease_\w+)\s*\{', bare)
    match = match or re.match(r'(enum)\s*\{', bare)
    if match:
        block.types.append((match[1], text))


def complaints(header):
    """What is wrong with the trailers of a header, one sentence each."""
    for block in header.blocks:
        if not block.functions:
            continue
        where = '%s: %s' % (header.file, block.functions[0].name)
        if not block.trailer:
            yield where + ': no trailer (%s)' % ', '.join(TRAILER)
        for fault in block.faults:
            yield where + ': ' + fault


def load(folder):
    """The headers of a folder by name, and a sentence for each that cannot be read."""
    names = sorted(n for n in os.listdir(folder) if n.endswith('.h'))
    headers, problems = {}, []
    for name in names:
        try:
            header = Header(os.path.join(folder, name))
            headers[header.name] = header
        except Problem as e:
            problems.append('%s: left out: %s' % (name, e))
    return headers, problems
