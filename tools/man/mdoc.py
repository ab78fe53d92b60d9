"""Turns the prose of comments, and code, into mdoc source.

One idea: prose is a row of words; a word that names something (a function of ours, a constant, a
type, another manual page) becomes a macro line, everything else is text. The output has a new line
after each sentence, as mdoc wants it, and ASCII only.
"""
import re

SECTION = '3'
WIDTH = 78
# Words of two or three letters that mdoc would take for a macro when they are arguments.
MACRO = re.compile(r'^[A-Z][a-z%]?[a-z]?$|^%[A-Z]$')
WORD = re.compile(r'(?:[^\s`]*`[^`]+`\S*)|\S+')
PARTS = re.compile(r'^([(\[]*)(`[^`]+`|\*[a-z]+\*|\*?[A-Za-z_]\w*(?:/\w+\.h|\(\d?\))?)'
                   r'(\'s)?([)\].,:;!?]*)$')
TEXTS = {'\\': '\\e', '…': '...', '–': '\\(en', '‘': '\\(oq', '’': '\\(cq', '→': '\\(->'}


class Names:
    """What words may name: own functions (by page), types, pages of functions elsewhere."""

    def __init__(self, pages, types):
        self.pages = pages    # function → its page
        self.types = types    # type → the page of its header
        self.page = None      # the page that is being written
        self.params = set()
        self.seen = set()     # pages that were named on this page

    def begin(self, page, params):
        self.page, self.params, self.seen = page, params, set()


def ascii_only(text, special):
    out = []
    for c in text:
        if c in special:
            out.append(special[c])
        elif ord(c) < 128:
            out.append(c)
        else:
            out.append('\\[u%04X]' % ord(c))
    return ''.join(out)


def plain(text):
    return ascii_only(text, TEXTS)


def protect(line):
    """A text line that cannot be taken for a request."""
    return '\\&' + line if line[:1] in ('.', "'") else line


def argument(text):
    """One argument of a macro line."""
    text = plain(text).replace('"', '\\(dq')
    if MACRO.match(text) or text in ('.', ',', ':', ';', '(', ')', '[', ']', '|', '?', '!'):
        return '\\&' + text
    return '"%s"' % text if ' ' in text or not text else text


def literal(lines, indent='indent'):
    """Code, as it is."""
    special = dict(TEXTS)
    special.update({'-': '\\-', "'": '\\(aq', '`': '\\(ga', '^': '\\(ha', '~': '\\(ti'})
    body = [protect(ascii_only(line, special)) for line in lines]
    return ['.Bd -literal' + (' -offset ' + indent if indent else '')] + body + ['.Ed']


def name_of(core, names):
    """The macro and argument for a word, or None when it is only a word."""
    quoted = core.startswith('`')
    inner = core[1:-1] if quoted else core
    page = re.match(r'^([a-z]\w*)\((\d)\)$', inner)
    if page:
        return 'Xr', [page[1], page[2]]
    if re.match(r'^\*[a-z]+\*$', core):
        return 'Em', [core[1:-1]]
    called = inner[:-2] if inner.endswith('()') else inner
    if called in names.pages and (called not in names.types or inner != called):
        target = names.pages[called]
        names.seen.add(target)
        return ('Fn', [called]) if target == names.page else ('Xr', [called, SECTION])
    if re.match(r'^cease/\w+\.h$', inner):
        return 'In', [inner]
    if re.match(r'^CEASE_[A-Z0-9_]*[A-Z0-9]$', inner):
        return 'Dv', [inner]
    if inner in names.types:
        return 'Vt', [inner]
    if inner.lstrip('*') in names.params and (
            quoted or inner.startswith(('*', 'ret_')) or inner in ('fn', 'ctx')):
        return 'Fa', [inner]
    return ('Ql', [inner]) if quoted else None


def word(text, names):
    """(text, None), or a macro line and what it prints."""
    parts = PARTS.match(text)
    macro = name_of(parts[2], names) if parts else None
    if macro is None:
        # Backquotes with more around them: shown as they are, without the marks.
        return None, plain(text.replace('`', '"') if '`' in text else text)
    line = ['.' + macro[0]] + list(parts[1]) + [argument(a) for a in macro[1]]
    if parts[3]:
        line += ['Ns', "'s" + parts[4]]
    else:
        line += list(parts[4])
    return ' '.join(line), parts[4]


def prose(text, names):
    """One paragraph as mdoc lines."""
    lines, line = [], ''

    def flush():
        nonlocal line
        if line:
            lines.append(protect(line))
        line = ''

    for token in WORD.findall(text):
        macro, shown = word(token, names)
        if macro:
            flush()
            lines.append(macro)
            continue
        if line and len(line) + len(shown) >= WIDTH:
            flush()
        line += (' ' if line else '') + shown
        if re.search(r'[.!?][)"]*$', shown):
            flush()
    flush()
    return lines


def blocks_of(lines):
    """('text', str), ('code', [line]) and ('list', [str]) of a comment's lines."""
    kind, found = None, []
    for line in lines + ['']:
        item = re.match(r'^ {0,3}[-*] +(.*)$', line)
        if not line:
            if kind == 'code' and found[-1][1]:
                found[-1][1].append('')
            else:
                kind = None
        elif item and kind != 'code':
            if kind != 'list':
                found.append(['list', []])
            kind = 'list'
            found[-1][1].append(item[1])
        elif kind == 'list':
            found[-1][1][-1] += ' ' + line.strip()
        elif line.startswith('    '):
            if kind != 'code':
                found.append(['code', []])
            kind = 'code'
            found[-1][1].append(line)
        else:
            if kind == 'text':
                found[-1][1] += ' ' + line.strip()
            else:
                found.append(['text', line.strip()])
            kind = 'text'
    return found


def dedent(lines):
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    depth = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return [x[depth:] for x in lines]


def description(lines, names, paragraph=False):
    """A comment's prose as mdoc lines; `paragraph`: something stands before it."""
    out = []
    for kind, content in blocks_of(lines):
        if kind == 'text':
            out += (['.Pp'] if out or paragraph else []) + prose(content, names)
        elif kind == 'code':
            out += literal(dedent(content))
        else:
            out.append('.Bl -bullet')
            for item in content:
                out += ['.It'] + prose(item, names)
            out.append('.El')
        if kind != 'text':
            # .Bd and .Bl bring their own distance; what follows needs a paragraph.
            paragraph = True
    return out
