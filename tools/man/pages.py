"""Writes the pages: one for each commented group of functions, one for each header, cease(7).

One idea: all pages are made twice; the first round only learns which page mentions which, for SEE
ALSO. A name that has no page of its own (the second function of a comment, a type, an `_at` variant)
is a link (`.so`) to the page that speaks of it.
"""
import re

import mdoc

# Who calls cease_done() runs the inline half; the other half is explained there.
SLOW = re.compile(r'^(\w+)_slow_$')


class Book:
    """All pages: text by file name ("cease_ref.3")."""

    def __init__(self, headers, library_of, examples, titles, version, dates):
        self.headers = headers
        self.library_of = library_of
        self.examples = examples
        self.titles = titles
        self.version = version
        self.dates = dates
        self.blocks = {}  # page → (header, block)
        self.slow = {}    # page → block of its out-of-line half
        self.links = {}   # name → page
        types = {}
        for header in headers.values():
            self.place(header, types)
        self.names = mdoc.Names(dict(self.links), types)
        self.mentions = {}
        self.pages = {}

    def place(self, header, types):
        """Decides which page everything in a header goes to."""
        for block in header.blocks:
            for name, _ in block.types:
                if name != 'enum':
                    types[name] = header.page
            if not block.functions:
                continue
            slow = SLOW.match(block.functions[0].name)
            page = slow[1] if slow else block.functions[0].name
            if slow:
                self.slow[page] = block
            else:
                self.blocks[page] = (header, block)
            for function in block.functions:
                self.links[function.name] = page
                if function.at:
                    self.links[function.at.name] = page

    def write(self):
        """Fills self.pages."""
        for _ in range(2):
            for page, (header, block) in self.blocks.items():
                self.pages[page + '.3'] = self.function_page(page, header, block)
            for header in self.headers.values():
                if header.name != 'cease' and header.page not in self.blocks:
                    self.pages[header.page + '.3'] = self.header_page(header)
        for name, page in self.links.items():
            self.link(name, page)
        for header in self.headers.values():
            for block in header.blocks:
                for name, _ in block.types:
                    self.link(name, header.page)
                for name, _, aside in block.macros:
                    if block.prose or aside:
                        self.link(name, header.page)

    def link(self, name, page):
        if name != 'enum' and name + '.3' not in self.pages:
            self.pages[name + '.3'] = '.so man3/%s.3\n' % page

    # ---- parts ----

    def head(self, page, names, title, header):
        out = ['.\\" Made by tools/make-man from cease/%s: change it there.' % header.file,
               '.Dd ' + self.dates[header.name], '.Dt %s 3' % page.upper(),
               '.Os cease ' + self.version, '.Sh NAME']
        out += ['.Nm %s%s' % (n, ' ,' if n != names[-1] else '') for n in names]
        out += ['.Nd ' + mdoc.plain(title)]
        library = self.library_of(header.file)
        if library:
            out += ['.Sh LIBRARY', 'lib%s, as' % library,
                    '.Ql pkg-config --cflags --libs ' + library, 'says']
        return out + ['.Sh SYNOPSIS', '.In cease/' + header.file]

    def see_also(self, page, header):
        mentioned = {p for p, others in self.mentions.items() if page in others}
        pages = (self.mentions[page] | mentioned | {header.page}) - {page, 'cease'}
        out = ['.Sh SEE ALSO'] + ['.Xr %s 3 ,' % p for p in sorted(pages)]
        return out + ['.Xr cease 7']

    def title_of(self, block):
        name = block.functions[0].name
        return self.titles.get(name) or first_sentence(block.prose)

    # ---- a function's page ----

    def function_page(self, page, header, block):
        params = set().union(*(f.param_names() for f in block.functions))
        self.names.begin(page, params)
        out = self.head(page, block.names(), self.title_of(block), header)
        for function in block.functions:
            out += prototype(function)
            if function.at:
                out += prototype(function.at)
        out.append('.Sh DESCRIPTION')
        merged = header.page == page
        if merged:
            out += self.header_text(header)
            out += ['.Ss ' + page]
        if block.before and block.goes_on():
            out += ['Goes on from', '.Xr %s 3 :' % block.before.functions[0].name]
            self.names.seen.add(block.before.functions[0].name)
        out += mdoc.description(block.prose, self.names)
        out += self.about_places(block) + self.about_slow(page)
        out += self.trailer(block)
        self.mentions[page] = set(self.names.seen)
        return '\n'.join(out + self.see_also(page, header) + history(block)) + '\n'

    @staticmethod
    def about_places(block):
        out = []
        for f in block.functions:
            if f.macro and f.at:
                out += ['.Pp', '.Fn ' + f.name, 'is a macro that calls', '.Fn ' + f.at.name,
                        'with the place of the call, which causes and messages name.',
                        'A wrapper may pass on the place of its own caller.']
        return out

    def about_slow(self, page):
        out = []
        if page in self.slow:
            block = self.slow[page]
            out += ['.Pp', '.Fn ' + page, 'is inline, with a part that is not:']
            out += ['.Fn %s ,' % block.functions[0].name, 'not to be called directly.']
            out += mdoc.description(block.prose, self.names, True)
        return out

    def trailer(self, block):
        out = ['.Sh ATTRIBUTES', '.Bl -tag -width Callers']
        for key in ('Parks', 'Callers', 'Owns'):
            text = full(block.trailer.get(key, ''), self.names.params)
            out += ['.It ' + key] + mdoc.prose(text, self.names)
        out.append('.El')
        results = {f.result for f in block.functions}
        errors = block.trailer.get('Errors', '')
        if 'cease_error' in results:
            out += ['.Sh RETURN VALUES', '.Dv CEASE_OK', 'or a negative', '.Vt cease_error :',
                    'see', '.Sx ERRORS .']
        shown = [self.examples[f.name] for f in block.functions if f.name in self.examples]
        if shown:
            out.append('.Sh EXAMPLES')
            for i, lines in enumerate(shown):
                if lines not in shown[:i]:
                    out += mdoc.literal(lines, '')
        out += ['.Sh ERRORS'] + mdoc.prose(full(errors, self.names.params), self.names)
        return out

    # ---- a header's page ----

    def header_page(self, header):
        self.names.begin(header.page, set())
        out = self.head(header.page, [header.page], header.title, header)
        out += ['.Sh DESCRIPTION'] + self.header_text(header)
        out += functions_of(header, self)
        if header.errors:
            out += ['.Sh ERRORS', '.Bl -tag -width CEASE_EADDRNOTAVAIL']
            for name, number, text in header.errors:
                out += ['.It Dv CEASE_' + name, mdoc.plain(text)]
                out += ['.Pq ' + number.replace('-', '\\-')]
            out.append('.El')
        self.mentions[header.page] = set(self.names.seen)
        return '\n'.join(out + self.see_also(header.page, header)) + '\n'

    def header_text(self, header):
        out = mdoc.description(header.prose, self.names)
        if not out:
            out = mdoc.prose('Declares ' + header.title + '.', self.names)
        out += self.types_of(header) + self.macros_of(header)
        return out

    def types_of(self, header):
        out = []
        for block in header.blocks:
            texts = [t for _, t in block.types if 'CEASE_ERRORS(' not in t]
            if not texts:
                continue
            lines = '\n'.join(texts).split('\n')
            out += mdoc.description(block.prose, self.names, bool(out)) + mdoc.literal(lines, '')
        return ['.Ss Types'] + out if out else []

    def macros_of(self, header):
        out = []
        for block in header.blocks:
            macros = [m for m in block.macros if block.prose or m[2]]
            for i, (name, params, aside) in enumerate(macros):
                out.append('.It Fn %s %s' % (name, ' '.join(params[1:-1].split(', ')))
                           if params else '.It Dv ' + name)
                if i + 1 == len(macros):
                    out += mdoc.description(block.prose or aside, self.names)
        return ['.Ss Macros', '.Bl -tag -width indent'] + out + ['.El'] if out else []


def history(block):
    since = block.trailer.get('Since', '')
    return ['.Sh HISTORY', 'Since cease %s.' % since]


def functions_of(header, book):
    out, group = [], None
    for block in header.blocks:
        public = [f for f in block.functions if not f.name.endswith('_')]
        if not public:
            continue
        if block.group != group or not out:
            out += ['.El'] if out else []
            group = block.group
            title = 'Functions' + (': ' + group[0].lower() + group[1:] if group else '')
            title = title.split('. ')[0]
            out += ['.Ss ' + mdoc.plain(title), '.Bl -tag -width indent']
        for i, f in enumerate(public):
            out.append('.It Xr %s 3' % f.name)
            if i + 1 == len(public):
                out.append(mdoc.plain(book.title_of(block)) + '.')
    return out + ['.El'] if out else []


def prototype(function):
    out = ['.Ft ' + mdoc.argument(function.result), '.Fo ' + function.name]
    out += ['.Fa ' + mdoc.argument(p) for p in function.params or ['void']]
    return out + ['.Fc']


def full(text, params=()):
    """A trailer's text as a sentence. A parameter at its beginning stays as it is written."""
    text = text.strip()
    if not text:
        return text
    first = re.match(r'[a-z]+(?=[ ,.;:\']|$)', text)
    if first and first[0] not in params:
        text = text[0].upper() + text[1:]
    return text if text[-1] in '.!?' else text + '.'


def first_sentence(prose):
    """What follows NAME's dash: the first sentence, its marks and asides taken away."""
    lines = []
    for line in prose:
        if not line:
            break
        lines.append(line.strip())
    text = ' '.join(lines).replace('`', '')
    text = re.sub(r' \((?:Go|Go\'s|size|RFC)\b[^()]*\)', '', text)
    text = re.split(r'[.:] (?=[A-Z"(*])|\.$', text)[0].rstrip('.')
    if len(text) > 90:
        text = re.split(r'[;:]|, (?=and|or|so|unless|which|with|without|when|as) ', text)[0]
    if re.match(r'(?:[A-Z][a-z]+|A)\b', text):
        text = text[0].lower() + text[1:]
    return text
