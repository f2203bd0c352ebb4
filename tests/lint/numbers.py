"""A number names one thing: two scenarios, scripts or decisions never have the same, and every one that is named is there."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, read, sources

NUMBERED = ["tests/scenario", "tests/scripts", "server/doc/adr"]
NAMED = re.compile(r"\bscenarios? ((?:\d{3}(?:, | and )?)+)")
FILE = re.compile(r"(?<![\w-])\d{3,4}-[a-z][a-z0-9-]*\.(?:py|md)\b")


def numbered():
    return {folder: sorted(name for name in os.listdir(os.path.join(ROOT, folder)) if name[:1].isdigit())
            for folder in NUMBERED}


def twice(names):
    seen = {}
    for name in names:
        seen.setdefault(name.split("-")[0], []).append(name)
    return [" and ".join(same) for same in seen.values() if len(same) > 1]


def nowhere(texts, found):
    names = {name for all_names in found.values() for name in all_names}
    scenarios = {name.split("-")[0] for name in found["tests/scenario"]}
    return [f"{path}: {what}" for path, text in texts
            for what in [n for n in FILE.findall(text) if n not in names]
            + [f"scenario {n}" for row in NAMED.findall(text) for n in re.findall(r"\d{3}", row) if n not in scenarios]]


def self_test():
    assert twice(["001-a.py", "001-b.py", "002-a.py"]) == ["001-a.py and 001-b.py"]
    found = {"tests/scenario": ["001-a.py"], "tests/scripts": []}
    assert not nowhere([("x.md", "scenario 001, and 001-a.py")], found)
    assert nowhere([("x.md", "scenarios 001, 002 and 003")], found) == ["x.md: scenario 002", "x.md: scenario 003"]
    assert nowhere([("x.md", "`tests/scenario/001-b.py`")], found) == ["x.md: 001-b.py"]


def main():
    report = tap.Report()
    found = numbered()
    with report.case("the number lint notices a number twice and a name of nothing"):
        self_test()
    with report.case("no two scenarios, scripts or decisions have the same number"):
        same = [f"{folder}: {names}" for folder in NUMBERED for names in twice(found[folder])]
        assert not same, "\n".join(same)
    with report.case("every scenario, script and decision that is named is there"):
        texts = [(path, read(path)) for path in ("README.md", "CHANGELOG.md")] + sources(".md", ".py", ".c", ".h", ".def")
        wrong = [line for line in nowhere(texts, found) if "lint/numbers.py" not in line]
        assert not wrong, "\n".join(wrong)
    report.end()


if __name__ == "__main__":
    main()
