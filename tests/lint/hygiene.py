"""What must not be committed: notes to oneself, paths of one machine, tests that wait by the clock, giants."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, read, sources

# Spelled so that this file does not find itself.
NOTES = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
# This machine's: where the tree lies, and the home of whoever runs the lint.
PLACES = [place for place in {ROOT, os.path.expanduser("~")} if len(place) > 3]
MACHINE_PATH = re.compile("|".join(rf"(?<![\w.-]){re.escape(place)}/" for place in PLACES) or r"(?!)")
SLEEP = re.compile(r"\b(?:sleep|usleep|nanosleep|clock_nanosleep|uv_sleep|time\.sleep)\s*\(")
# The one place that may pause: a poll for a condition, with a deadline (scenario.until), and what paces hostile bytes.
MAY_SLEEP = {
    "tests/support/scenario.py": "until(): asks again after 10 ms, gives up at a deadline",
    "tests/fault/hostile.py": "one byte a second is the attack itself",
    "tests/fault/kills.py": "the random moment of the next kill",
    "tests/fault/nemesis.py": "how long a fault lasts",
    "tests/fault/traffic.c": "the pace of a client, and the time a source takes",
}
FILE_LINES, FUNCTION_LINES = 600, 60
TEXT = (".c", ".h", ".def", ".py", ".md", ".build", ".sh", ".txt", ".conf", ".supp")


def lines_with(pattern, texts):
    return [f"{path}:{n}: {line.strip()}" for path, text in texts
            for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def all_text():
    top = ["dev", "meson.build", "README.md", "CHANGELOG.md", ".ci/run"]
    own = [(path, read(path)) for path in top if os.path.isfile(os.path.join(ROOT, path))]
    return own + sources(*TEXT)


def self_test():
    assert lines_with(NOTES, [("x.c", "/* TO" "DO later */")])
    assert lines_with(MACHINE_PATH, [("x.py", f'open("{ROOT}/x")')])
    assert not lines_with(MACHINE_PATH, [("x.py", 'open("/var/lib/larder")')])
    assert lines_with(SLEEP, [("tests/x.c", "us" "leep(1000);")])
    assert long_functions("x.c", "int f(void)\n{\n" + "x;\n" * 80 + "}\n")


def sleeping_tests():
    texts = [(p, t) for p, t in sources(".c", ".py") if p.startswith("tests/") and p not in MAY_SLEEP]
    return [line for line in lines_with(SLEEP, texts) if not line.startswith("tests/lint/hygiene.py")]


def long_functions(path, text):
    """House style opens and closes a function in column 0."""
    found, begin = [], None
    for n, line in enumerate(text.splitlines(), 1):
        if line == "{":
            begin = n
        elif line.startswith("}") and begin is not None:
            found += [f"{path}:{begin}: a function of {n - begin} lines"] if n - begin > FUNCTION_LINES else []
            begin = None
    return found


def giants():
    found = [f"{path}: {text.count(chr(10))} lines" for path, text in sources(".c", ".h", ".py")
             if text.count("\n") > FILE_LINES]
    return found + [w for path, text in sources(".c") if not path.startswith("tests/") for w in long_functions(path, text)]


def main():
    report = tap.Report()
    with report.case("the hygiene lint notices notes, paths, sleeps and giants"):
        self_test()
    with report.case("no notes to oneself are left"):
        found = [line for line in lines_with(NOTES, all_text()) if "hygiene.py" not in line]
        assert not found, "\n".join(found)
    with report.case("no path of one machine is named"):
        found = [line for line in lines_with(MACHINE_PATH, all_text()) if "hygiene.py" not in line]
        assert not found, "\n".join(found)
    with report.case("no test waits by the clock"):
        found = sleeping_tests()
        assert not found, "\n".join(found)
    for line in giants():
        print("# figure: long:", line)
    report.end()


if __name__ == "__main__":
    main()
