"""Runs larder-bench and keeps what it said: a record each in build/report/data, with the command, the load of the machine
before and after, and the lines of JSON."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """It has no figures; the text says why."""


def load():
    return [round(n, 2) for n in os.getloadavg()]


def shown(arguments):
    """As one would type it."""
    if str(arguments[0]).endswith(".py"):
        return "bench/" + " ".join(map(str, arguments))
    return "./dev bench " + " ".join(str(a).replace(f"{ROOT}/", "") for a in arguments)


def run(bench, arguments):
    """A bar that is missed is an exit code too, so what counts is whether there are lines."""
    before, began = load(), time.time()
    script = str(arguments[0]).endswith(".py")
    words = [sys.executable, ROOT / "bench" / arguments[0], "--build", Path(bench).parent] if script else [bench, arguments[0]]
    done = subprocess.run([*map(str, words), *map(str, arguments[1:])], capture_output=True, text=True, cwd=ROOT)
    lines = []
    for line in done.stdout.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return {"command": shown(arguments), "load_before": before, "load_after": load(), "began": began, "code": done.returncode,
            "seconds": round(time.time() - began, 1), "lines": lines, "said": done.stderr.strip()[-600:]}


def measure(bench, folder, name, arguments):
    print(f"{name}: {shown(arguments)}", file=sys.stderr, flush=True)
    record = run(bench, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record))


def kept(folder, name):
    path = folder / f"{name}.json"
    if not path.exists():
        raise Failed("was not measured")
    record = json.loads(path.read_text())
    if not record["lines"]:
        raise Failed(f"ended with {record['code']}: {record['said'] or 'without a word'}")
    return record


# ---- the machine -----------------------------------------------------------------------------------------------


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return "not here"


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def machine():
    return [("processor", f"{processor()}, {os.cpu_count()} cores"), ("memory", f"{memory_gib():.0f} GiB"),
            ("kernel", f"{platform.system()} {platform.release()}"),
            ("Larder", first_line("git", "describe", "--always", "--dirty")),
            ("redis-server", first_line("redis-server", "--version")), ("memcached", first_line("memcached", "--version")),
            ("written", time.strftime("%Y-%m-%d %H:%M %Z"))]
