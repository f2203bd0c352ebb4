"""TAP, both ways: what test programs print, and what the runner reads.

A test program prints one line a case, `ok N - sentence` or `not ok N - sentence`, `# SKIP reason` behind it when it
could not run, and a plan `1..N`, so that a program that ends early is noticed."""

import re
import sys
import traceback

LINE = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*?)(?:\s*#\s*SKIP\b\s*(.*))?$", re.IGNORECASE)
PLAN = re.compile(r"^1\.\.(\d+)")


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


class Case:
    """`why`: the comments before its line, or, where there are none, as cmocka does, those behind it; the first say most."""

    def __init__(self, name, passed, skipped=None, why=()):
        self.name, self.passed, self.skipped, self.why = name, passed, skipped, why


def parse(text):
    """All cases of a program's output, and a sentence about what is wrong with the output itself, or None."""
    cases, planned, wrong, said, behind = [], None, None, [], None
    for line in text.splitlines():
        plan = PLAN.match(line)
        if line.startswith("#") and not line.startswith("# figure: "):
            said.append(line.lstrip("# "))
            if behind is not None:
                behind.append(said[-1])
        if plan:
            planned = int(plan.group(1))
        elif line.startswith("Bail out!"):
            wrong = line
        elif line.startswith(("ok", "not ok")):
            cases.append(_case(LINE.match(line), said))
            behind = None if cases[-1].passed or cases[-1].why else cases[-1].why
            said = []
    if cases and planned is not None and planned != len(cases):
        wrong = wrong or f"planned {planned} cases, printed {len(cases)}: it ended early"
    return cases, wrong


def _case(match, said):
    failed, _, name, reason = match.groups()
    if reason is None:
        return Case(name, not failed, why=[line for line in said if line])
    # cmocka prints `not ok N # SKIP name`: no reason has room there, the test says it in a comment before.
    return Case(name or reason, True, reason if name else "the test says why in its source")


class Report:
    """The writing side: a `with report.case("sentence")` block each."""

    def __init__(self):
        self.count = self.failed = 0

    def case(self, sentence):
        return _Running(self, sentence)

    def say(self, passed, sentence, why="", skipped=None):
        self.count += 1
        self.failed += not passed
        mark = f" # SKIP {skipped}" if skipped else ""
        for line in why.splitlines():
            print("#", line)
        print(f"{'ok' if passed else 'not ok'} {self.count} - {sentence}{mark}", flush=True)

    def end(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


class _Running:
    def __init__(self, report, sentence):
        self.report, self.sentence = report, sentence

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.report.say(True, self.sentence)
        elif issubclass(kind, Skip):
            self.report.say(True, self.sentence, skipped=str(error))
        elif issubclass(kind, AssertionError):
            self.report.say(False, self.sentence, f"{error}\n" + _where(trace))
        elif issubclass(kind, Exception):
            self.report.say(False, self.sentence, "".join(traceback.format_exception(kind, error, trace)))
        else:
            return False
        return True


def _where(trace):
    last = traceback.extract_tb(trace)[-4:]
    return "\n".join(f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in last)
