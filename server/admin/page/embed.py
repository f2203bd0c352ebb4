"""Writes the page's files into a C source: embed.py OUTPUT PATH=FILE…  A FILE that is empty text becomes an empty one."""

import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


def c_bytes(data):
    rows = [data[i:i + 32] for i in range(0, len(data), 32)]
    return "\n".join("    " + "".join(f"{byte}," for byte in row) for row in rows)


def main():
    output, *pairs = sys.argv[1:]
    arrays, rows = [], []
    for n, pair in enumerate(pairs):
        path, _, file = pair.partition("=")
        with open(file or os.devnull, "rb") as source:
            data = source.read()
        kind = TYPES[os.path.splitext(path)[1] or ".html"]
        arrays.append(f"static const unsigned char file_{n}[] = {{\n{c_bytes(data)}\n    0}};\n")
        rows.append(f'    {{"{path}", "{kind}", file_{n}, {len(data)}}},\n')
    with open(output, "w", encoding="ascii") as out:
        out.write('#include "admin/page/page.h"\n\n' + "".join(arrays))
        out.write("\nconst struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
        out.write("const unsigned page_files_count = sizeof(page_files) / sizeof(page_files[0]);\n")


main()
