"""The tables of proto/WIRE.md are those of wire.def, wire.h and status.h.  `wire_doc.py --fix` writes them anew.

Between `<!-- table NAME -->` and `<!-- end -->` everything is generated; prose stands outside."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, read

DOC = "proto/WIRE.md"
ROW = re.compile(r"^(MESSAGE|RECORD|FIELD|STRINGS|LIST|END|RESERVED)\((.*)\)$", re.MULTILINE)
MARKED = re.compile(r"(<!-- table (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
CONSTANT = re.compile(r"^\s*(WIRE_\w+) = ([^,/]+),\s*(?:/\* (.*?) \*/)?", re.MULTILINE)
TYPES = {"U8": "number", "U32": "number", "U64": "number", "BOOL": "bool", "BYTES": "bytes", "TEXT": "text"}
# A number of the greatest width needs no word; smaller ones do.
WIDEST = {"UINT8_MAX": "up to 255", "UINT32_MAX": "up to 2^32-1", "UINT64_MAX": "up to 2^64-1", "1": ""}


def arguments(text):
    """Splits macro arguments at commas outside quotes."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[^,"]+', text)
    return [part.strip().strip('"') for part in parts if part.strip()]


class Table:
    """wire.def: messages, records and reserved verbs, each message and record with its fields in order."""

    def __init__(self, text):
        self.messages, self.records, self.reserved = [], [], []
        for macro, inside in ROW.findall(text):
            getattr(self, "take_" + macro.lower())(*arguments(inside))

    def take_message(self, code, NAME, name, who, since, sentence):
        self.messages.append(dict(code=code, name=NAME, who=who, since=since, says=sentence, fields=[]))
        self.open = self.messages[-1]["fields"]

    def take_record(self, name, sentence):
        self.records.append(dict(name=name, says=sentence, fields=[]))
        self.open = self.records[-1]["fields"]

    def take_field(self, kind, name, limit, since, sentence):
        self.open.append((name, kind, limit, since, sentence))

    def take_strings(self, name, limit, since, sentence):
        self.open.append((name, "STRINGS", limit, since, sentence))

    def take_list(self, record, name, limit, since, sentence):
        self.open.append((name, f"LIST {record}", limit, since, sentence))

    def take_end(self, name):
        self.open = None

    def take_reserved(self, code, NAME, who, sentence):
        self.reserved.append((code, NAME, who, sentence))


def constants(header):
    """WIRE_… limits, their sums written out."""
    values = {}
    for name, text, why in CONSTANT.findall(header):
        values[name] = (eval(text, {"__builtins__": {}}, {k: v for k, (v, _) in values.items()}), why)
    return values


def rows(header, lines):
    cells = [header.split("|"), ["---"] * len(header.split("|")), *lines]
    return "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in cells)


def limit_text(kind, limit, values):
    if limit == "WIRE_ANY":
        return "the frame"
    number = values[limit][0] if limit in values else WIDEST.get(limit) or f"up to {int(limit, 0)}"
    if kind == "BOOL":
        return ""
    if isinstance(number, int):
        return f"{number} " + ("elements" if kind.startswith(("STRINGS", "LIST")) else "bytes")
    return number


def type_text(kind):
    if kind == "STRINGS":
        return "list of bytes"
    return f"list of `{kind[5:]}`" if kind.startswith("LIST") else TYPES[kind]


def field_rows(fields, values):
    return rows("#|field|type|limit|since|meaning", [
        (n, f"`{name}`", type_text(kind), limit_text(kind, limit, values), since, says)
        for n, (name, kind, limit, since, says) in enumerate(fields)])


def who_text(who):
    return "client → daemon" if who == "C" else "daemon → client"


def message_chapters(table, values):
    parts = []
    for m in table.messages:
        parts.append(f"### {m['code']} {m['name']} · {who_text(m['who'])}\n\n{m['says']}\n\n")
        parts.append(field_rows(m["fields"], values) + "\n" if m["fields"] else "No fields.\n\n")
    return "".join(parts)


def record_chapters(table, values):
    return "".join(f"### record `{r['name']}`\n\n{r['says']}\n\n{field_rows(r['fields'], values)}\n"
                   for r in table.records)


def x_rows(text, macro):
    """Rows of a table in status.h."""
    body = text[text.index(f"#define {macro}_TABLE("):]
    body = body[:body.index("\n\n")]
    return [arguments(inside) for inside in re.findall(r"\w+\((\d+,[^()]*(?:\([^()]*\))?[^()]*)\)", body)]


def generate():
    table, status = Table(read("proto/wire.def")), read("proto/status.h")
    values = constants(read("proto/wire.h"))
    return {
        "limits": rows("limit|number|of what", [(f"`{k}`", v, why or "") for k, (v, why) in values.items()
                                                if "_MAX" in k and "VERSION" not in k or "ROOM" in k or "LEVELS" in k]),
        "codes": rows("code|name|way|meaning",
                      [(m["code"], m["name"], who_text(m["who"]), m["says"]) for m in table.messages] +
                      [(c, n, who_text(w), f"reserved: {s}") for c, n, w, s in table.reserved]),
        "messages": message_chapters(table, values),
        "records": record_chapters(table, values),
        "statuses": rows("number|name|meaning|may succeed unchanged", [
            (c, n, s, "yes" if again == "true" else "") for c, n, s, again in x_rows(status, "STATUS")]),
        "reasons": rows("number|name|meaning", x_rows(status, "MISS_REASON")),
        "tiers": rows("number|bit in `tiers`|name", [(c, 1 << int(c), text) for c, _, text in x_rows(status, "TIER")]),
    }


def renewed(doc, tables):
    return MARKED.sub(lambda m: m.group(1) + tables[m.group(2)] + m.group(4), doc)


def self_test(tables):
    doc = read(DOC)
    assert renewed(doc.replace("| `incarnation` |", "| `reincarnation` |"), tables) == renewed(doc, tables)
    assert doc.replace("| `incarnation` |", "| `reincarnation` |") != renewed(doc, tables), "a renamed field was accepted"


def main():
    tables = generate()
    if sys.argv[1:] == ["--fix"]:
        with_tables = renewed(read(DOC), tables)
        with open(os.path.join(ROOT, DOC), "w", encoding="utf-8") as file:
            file.write(with_tables)
        return
    report = tap.Report()
    with report.case("the lint of the protocol's page notices a renamed field"):
        self_test(tables)
    with report.case("the tables of WIRE.md are those of wire.def and status.h (wire_doc.py --fix mends)"):
        doc = read(DOC)
        assert {name for _, name, _, _ in MARKED.findall(doc)} == set(tables), "a table is missing"
        assert renewed(doc, tables) == doc, "WIRE.md is older than wire.def"
    with report.case("every message and every status is in the tables"):
        assert len(Table(read("proto/wire.def")).messages) >= 18 and tables["statuses"].count("\n") >= 34
    report.end()


if __name__ == "__main__":
    main()
