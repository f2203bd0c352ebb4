"""Runs test programs, collects their TAP, counts.  The only place that counts.

    run.py [--kills N] [--seconds N] GROUP…

Each group is a list of programs; each program prints TAP, or is one case told by its exit code (77: skipped).
Failures are printed with all the program said; the last line is `N passed, N failed, N skipped`.

The build of the first group is made first; those of the others beside its tests, which wait more than they compute.
Programs that measure run alone: one at a time, after the others of their group, and when nothing is built any more."""

import argparse
import concurrent.futures
import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXIT_SKIPPED = 77
PATIENCE = 300  # seconds until a program hangs; ten times what most take, for machines on which they have a tenth of a processor
OUTPUT_MAX = 20000  # bytes of a failed program's output that are shown
REASON_LINES, REASON_WIDTH = 2, 200  # shown at once: the whole output comes at the end, which a log cut short lacks


class Program:
    def __init__(self, name, command, seconds, env=None, alone=False):
        self.name, self.command, self.seconds, self.alone = name, command, seconds, alone
        self.env = env or {}


class Result:
    def __init__(self, program, cases, output, took):
        self.program, self.cases, self.output, self.took = program, cases, output, took

    def count(self):
        failed = sum(not c.passed for c in self.cases)
        skipped = sum(c.passed and c.skipped is not None for c in self.cases)
        return len(self.cases) - failed - skipped, failed, skipped


# ---- what a group is built in ----------------------------------------------------------------------------

BUILDS = {"asan": "asan", "scenario-asan": "asan-all", "ubsan": "ubsan", "tsan": "tsan", "fuzz": "fuzz", "fuzz-long": "fuzz"}


def build_of(group):
    return BUILDS.get(group, "release")


class Builds:
    """The builds of these groups, one after another, by `./dev build KIND`; all but the first give way to the tests."""

    def __init__(self, groups):
        self.kinds = list(dict.fromkeys(map(build_of, groups)))
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self.made = {kind: pool.submit(self.make, kind) for kind in self.kinds}

    def make(self, kind):
        yielding = [] if kind == self.kinds[0] else ["nice", "-n", "10"]
        done = subprocess.run([*yielding, f"{ROOT}/dev", "build", kind], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def is_made(self, group):
        return self.made[build_of(group)].result()

    def wait(self):
        concurrent.futures.wait(self.made.values())


# ---- what a group consists of --------------------------------------------------------------------------


def meson_programs(group, build, folders, slower=1, prefix=(), env=None):
    """Test programs that meson declares below tests/<folder>, run directly."""
    listing = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, cwd=ROOT)
    programs = []
    for test in json.loads(listing.stdout):
        place = os.path.relpath(test["cmd"][0], os.path.join(ROOT, build))
        if place.split(os.sep)[:2] in [["tests", folder] for folder in folders]:
            seconds = max(int(test["timeout"] or 30), 300) * slower
            # Meson knows that these must fail and does not tell.
            must_fail = os.path.basename(place).startswith("unit-without-")
            inverted = [sys.executable, f"{ROOT}/tests/support/must_fail.py"] if must_fail else []
            programs.append(Program(f"{group}/{test['name']}", [*inverted, *prefix, *test["cmd"]], seconds,
                                    {**test["env"], **(env or {})}, alone=not test["is_parallel"]))
    return programs


def python_programs(group, pattern, *arguments, seconds=120, alone=False, build="build", env=None):
    paths = sorted(glob.glob(os.path.join(ROOT, pattern)))
    return [Program(f"{group}/{os.path.basename(path)[:-3]}", [sys.executable, path, *map(str, arguments)], seconds,
                    {"LARDER_BUILD": os.path.join(ROOT, build), **(env or {})}, alone) for path in paths]


FLEET_SCHEDULES = 2000  # of 100,000: a sanitizer looks for wrong memory, which shows in any of them


def for_sanitizer(programs):
    """What is about rules and not about memory or threads is left to its own group: the models' mutants, and most of
    the schedules of the one-threaded fleet model."""
    kept = []
    for program in programs:
        if program.name.endswith("/fleet_model"):
            program.command.append(str(FLEET_SCHEDULES))
        elif any(what in program.name for what in ("/fleet_model ", "/unit ")):
            continue
        kept.append(program)
    return kept


def sanitized(group, build, env):
    return for_sanitizer(meson_programs(group, build, ["unit", "model", "fuzz"], slower=5, env=env))


def tsan(options):
    # Without this the kernel may place memory where ThreadSanitizer has its shadow.
    fixed = ["setarch", platform.machine(), "-R"] if shutil.which("setarch") else []
    env = {"TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={ROOT}/tests/support/tsan.supp"}
    return for_sanitizer(meson_programs("tsan", "build-tsan", ["unit", "model", "fuzz"], slower=10, prefix=fixed, env=env))


def fuzz(seconds):
    """libFuzzer targets with their corpus, which grows in a scratch copy and never in the tree."""
    programs = []
    for path in sorted(glob.glob(os.path.join(ROOT, "build-fuzz/tests/fuzz/*"))):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            name = os.path.basename(path)
            seeds = glob.glob(os.path.join(ROOT, "tests/fuzz/corpus", name.removeprefix("fuzz_")))
            scratch = tempfile.mkdtemp(prefix="larder-corpus.")
            SCRATCH.append(scratch)
            command = [path, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                       f"-artifact_prefix={ROOT}/build-fuzz/", scratch, *seeds]
            programs.append(Program(f"fuzz/{name}", command, seconds + 120))
    return programs or [nothing("fuzz", "no fuzz target was built")]


def nemesis(minutes):
    """Some half a minute of faults, or as many minutes as one has."""
    words = ["--minutes", minutes] if minutes else []
    return python_programs("fault", "tests/fault/nemesis.py", *words, seconds=PATIENCE + 90 * (minutes or 0), alone=True)


def nothing(group, why):
    return Program(f"{group}/nothing", ["sh", "-c", f"echo '{why}'; exit 1"], 10)


ASAN = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}

GROUPS = {
    "lint": lambda o: python_programs("lint", "tests/lint/[a-z]*.py"),
    # Built without libFuzzer the fuzz targets are tests that run generated inputs.
    "unit": lambda o: meson_programs("unit", "build", ["unit", "fuzz"]),
    "model": lambda o: meson_programs("model", "build", ["model"], slower=3),
    "asan": lambda o: sanitized("asan", "build-asan", ASAN),
    "ubsan": lambda o: sanitized("ubsan", "build-ubsan", ASAN),
    "tsan": tsan,
    "scenario": lambda o: [*python_programs("scenario", "tests/scenario/[0-8]*.py", seconds=PATIENCE),
                           *python_programs("scenario", "tests/scenario/9*.py", seconds=2 * PATIENCE, alone=True)],
    "scenario-asan": lambda o: python_programs("scenario-asan", "tests/scenario/[0-8]*.py", seconds=400, build="build-asan",
                                               env=ASAN),
    "scripts": lambda o: python_programs("scripts", "tests/scripts/[0-9]*.py", seconds=PATIENCE),
    "fault": lambda o: [*python_programs("fault", "tests/fault/kills.py", "--kills", o.kills or 20, seconds=400, alone=True),
                        *python_programs("fault", "tests/fault/hostile.py", seconds=2 * PATIENCE, alone=True),
                        *python_programs("fault", "tests/fault/hostile_http.py", seconds=2 * PATIENCE),
                        *python_programs("fault", "tests/fault/reads.py", seconds=400, alone=True),
                        *python_programs("fault", "tests/fault/histories.py", seconds=PATIENCE),
                        *python_programs("fault", "tests/fault/outages.py", seconds=2 * PATIENCE, alone=True),
                        *python_programs("fault", "tests/fault/outbox.py", seconds=2 * PATIENCE, alone=True),
                        *python_programs("fault", "tests/fault/missed.py", seconds=2 * PATIENCE, alone=True),
                        *nemesis(o.minutes)],
    "fault-long": lambda o: python_programs("fault", "tests/fault/kills.py", "--kills", o.kills or 200,
                                            seconds=3000, alone=True),
    "reads": lambda o: [*python_programs("reads", "tests/fault/reads.py", 100_000_000, seconds=2000, alone=True),
                        Program("reads/l1_stress", [f"{ROOT}/build/tests/model/l1_stress", "processes", "5000000"], 900,
                                alone=True)],
    "leaks": lambda o: python_programs("leaks", "tests/fault/leaks.py", seconds=900, alone=True),
    "fuzz": lambda o: fuzz(o.seconds or 5),
    "fuzz-long": lambda o: fuzz(o.seconds or 120),
}
SCRATCH = []

# ---- running -------------------------------------------------------------------------------------------


def run(program):
    begin = time.monotonic()
    env = {**os.environ, **program.env, "CMOCKA_MESSAGE_OUTPUT": "TAP", "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONPATH": os.path.join(ROOT, "tests/support")}
    child = subprocess.Popen(program.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
    late = threading.Timer(program.seconds, end_session, [child])
    late.start()
    out, err = child.communicate()
    timed_out = not late.is_alive() and time.monotonic() - begin >= program.seconds
    late.cancel()
    out, err = out.decode(errors="replace"), err.decode(errors="replace")
    cases = judge(program, out, child.returncode, timed_out, last_lines(out + err))
    return Result(program, cases, out + err, time.monotonic() - begin)


def end_session(child):
    """The program and all it started: it is the leader of a session of its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def last_lines(output):
    return [line for line in output.splitlines() if line.strip()][-REASON_LINES:]


def judge(program, out, code, timed_out, last):
    cases, wrong = tap.parse(out)
    if not cases and not timed_out and wrong is None:
        if code == EXIT_SKIPPED:
            return [tap.Case("", True, out.strip() or "the program says so")]
        return [tap.Case(end_of(code) if code else "", code == 0, why=last)]
    if timed_out:
        wrong = f"did not end within {program.seconds} s"
    elif wrong is not None:
        wrong = f"{wrong} ({end_of(code)})"
    elif code != 0 and all(case.passed for case in cases):
        wrong = f"{end_of(code)} with no failed case"
    return cases + ([tap.Case(wrong, False, why=last)] if wrong else [])


def end_of(code):
    return f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"


# Of their group the longest, by minutes or half a minute, and so begun first.
LONGEST = ("/fleet_model", "/fleet_model without seen_before", "/unit warm i11-a-change-leaves-before-older-reads",
           "/129-hot-list", "/403-dashboard", "/123-loads-in-a-fleet", "/warm_full", "/l1_evict")


def begun_first(program):
    return not program.name.endswith(LONGEST)


def width(programs):
    """Most of them wait, and so twice as many as there are processors; a fuzzer that shares one does less in its seconds."""
    processors = max(2, os.cpu_count() or 2)
    return processors if all(p.name.startswith("fuzz/") for p in programs) else 2 * processors


def run_all(programs, builds=None):
    """Many at a time, those that measure or load the machine alone and last."""
    together = sorted((p for p in programs if not p.alone), key=begun_first)
    with concurrent.futures.ThreadPoolExecutor(max_workers=width(programs)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, p) for p in together]):
            yield done.result()
    alone = [p for p in programs if p.alone]
    if alone and builds:
        builds.wait()
    for program in alone:
        yield run(program)


def programs_of(group, options, builds):
    if not builds.is_made(group):
        return [nothing(group, f"./dev build {build_of(group)} failed")]
    return GROUPS[group](options) or [nothing(group, "the group has no tests")]


# ---- telling -------------------------------------------------------------------------------------------


def tell(result):
    passed, failed, skipped = result.count()
    word = "FAILED" if failed else "ok"
    print(f"{word:6} {result.program.name:48} {passed:4} passed {failed:3} failed {skipped:3} skipped "
          f"{result.took:7.1f} s", flush=True)
    for case in result.cases:
        if case.passed and case.skipped is not None:
            print(f"       skipped: {case.name}: {case.skipped}", flush=True)
        elif not case.passed:
            print(f"       not ok: {case.name}", flush=True)
            for line in case.why[:REASON_LINES]:
                print(f"               {line[:REASON_WIDTH]}", flush=True)


def tell_failure(result):
    print(f"\n---- {result.program.name}: {' '.join(result.program.command)}")
    print(result.output[-OUTPUT_MAX:].rstrip())


def tell_figures(result):
    """Lines a program marks as figures, and how much libFuzzer ran, are worth seeing when all is well too."""
    for line in result.output.splitlines():
        if line.startswith(("# figure: ", "stat::number_of_executed_units")):
            print("       " + line.removeprefix("# figure: "), flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int)
    arguments.add_argument("--seconds", type=int)
    arguments.add_argument("--minutes", type=int)
    arguments.add_argument("groups", nargs="+", choices=sorted(GROUPS), metavar="GROUP")
    options = arguments.parse_args()
    totals, failures, builds = [0, 0, 0], [], Builds(options.groups)
    for group in options.groups:
        for result in run_all(programs_of(group, options, builds), builds):
            tell(result)
            tell_figures(result)
            totals = [a + b for a, b in zip(totals, result.count())]
            failures += [result] if result.count()[1] else []
    for result in failures:
        tell_failure(result)
    for scratch in SCRATCH:
        shutil.rmtree(scratch, ignore_errors=True)
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
