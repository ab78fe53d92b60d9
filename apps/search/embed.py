#!/usr/bin/env python3
"""Writes files as C string literals: embed.py OUTPUT INPUT..., each INPUT as asset_<name>."""
import os
import sys

ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def literal(text):
    lines = text.splitlines(keepends=True) or [""]
    return "\n".join('    "' + "".join(ESCAPES.get(c, c) for c in line) + '"' for line in lines)


def main():
    output, inputs = sys.argv[1], sys.argv[2:]
    with open(output, "w", encoding="utf-8") as out:
        for path in inputs:
            name = os.path.basename(path).replace(".", "_").replace("-", "_")
            with open(path, encoding="utf-8") as source:
                out.write(f"static const char asset_{name}[] =\n{literal(source.read())};\n")


main()
