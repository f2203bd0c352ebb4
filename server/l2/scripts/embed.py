"""Joins each script with the parts it names and writes them as C strings.

    embed.py OUTPUT.c HEADER... -- SCRIPT.lua...

`--! use a b` in a script's first line puts parts/a.lua and parts/b.lua before it.  `$NAME` becomes the number or the
string that a header gives NAME (`NAME = 48,` or `#define NAME "..."`), so that layout and limits are said once.
Whole-line comments and blank lines stay at home: where SCRIPT LOAD is forbidden the text travels with each call."""

import os
import re
import sys

NUMBER = re.compile(r"^\s*(\w+)\s*=\s*(\d+)\s*,", re.MULTILINE)
STRING = re.compile(r'^#define (\w+)\s+("[^"\n]*")\s*$', re.MULTILINE)
USE = re.compile(r"^--! use (.*)$", re.MULTILINE)


def constants(headers):
    found = {}
    for path in headers:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found.update(NUMBER.findall(text))
        found.update(STRING.findall(text))
    return found


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def joined(path, known):
    """The whole text of one script, as Redis gets it."""
    text = read(path)
    used = USE.search(text)
    parts = [read(os.path.join(os.path.dirname(path), "parts", name + ".lua")) for name in (used[1].split() if used else [])]
    lines = [line.rstrip() for line in "".join([*parts, text]).splitlines()]
    lean = "".join(line.lstrip() + "\n" for line in lines if line and not line.lstrip().startswith("--"))
    return re.sub(r"\$(\w+)", lambda name: known[name[1]], lean)


def as_c(name, text):
    quoted = [line.replace("\\", "\\\\").replace('"', '\\"') for line in text.splitlines()]
    return f"const char script_text_{name}[] =\n" + "\n".join(f'    "{line}\\n"' for line in quoted) + ";\n"


def main():
    split = sys.argv.index("--")
    known = constants(sys.argv[2:split])
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('#include "l2/script.h"\n\n')
        for path in sys.argv[split + 1:]:
            out.write(as_c(os.path.basename(path)[:-len(".lua")], joined(path, known)))


if __name__ == "__main__":
    main()
