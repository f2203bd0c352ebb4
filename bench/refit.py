#!/usr/bin/env python3
"""An index of shared memory is made anew for larger entries: what does the loop lose by it? (ADR 30)

    bench/refit.py [--build build]... [--l1 256MiB] [--value 4096] [--rounds 3] [--huge on|off] [--json]

One daemon, alone, is filled with values much larger than its index was made for, and left to itself until what was hot is back in the
new one.  Told is the longest turn of its loop, by what it took of a processor: while it was filled, up to the moment at which the new
index is there, and up to the end of the refilling.  Of several builds the rounds take turns.
"""
import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from servers import Host, wait_for

A_BATCH = 8  # more would make the turns of the filling longer than what is measured
ROWS = ["filled", "made anew", "refilled"]


def fill(host, l1_bytes, value):
    count = l1_bytes * 21 // 20 // (value + 60)
    for n in range(0, count, A_BATCH):
        host.client.mset([host.client.item(b"key:%08d" % k, b"x" * value, ttl_ms=3600000) for k in range(n, n + A_BATCH)])


class Turns:
    """The longest turn so far, in ms of a processor, as of the last look."""

    def __init__(self, host):
        self.host, self.before, self.now = host, None, None

    def until(self, good, what):
        def look():
            stats = self.host.client.stats()
            self.before, self.now = self.now, stats["loop"]["cpu_max_us"] / 1000
            return good(stats["namespaces"]["default"]["l1"])
        wait_for(look, what, 180)


def measure(options, folder, build):
    host = Host(build, folder, None, l1_bytes=options.l1, l1_huge_pages=options.huge, log_level="info")
    try:
        turns, log = Turns(host), folder / "log"
        turns.until(lambda l1: True, "a first look")
        bytes_of = host.client.stats()["namespaces"]["default"]["l1"]["l1_total_bytes"]
        fill(host, bytes_of, options.value)
        turns.until(lambda l1: l1["l1_refits"] == 1, "another index")
        filled, anew = turns.before or turns.now, turns.now
        turns.until(lambda l1: "entries are back in L1" in log.read_text(), "what was hot")
        return dict(zip(ROWS, (filled, anew, turns.now)))
    finally:
        host.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, action="append")
    parser.add_argument("--l1", default="256MiB")
    parser.add_argument("--value", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--huge", default="on")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    builds = options.build or [Path("build")]
    rows = {build: [] for build in builds}
    folder = Path(tempfile.mkdtemp(prefix="larder-refit-"))
    try:
        for n in range(options.rounds * len(builds)):
            build = builds[n % len(builds)]
            rows[build].append(measure(options, folder / str(n), build))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    medians = {str(build): {row: statistics.median(r[row] for r in of) for row in ROWS} for build, of in rows.items()}
    if options.json:
        print(json.dumps(medians))
        return
    print(f"L1 {options.l1}, values of {options.value} B, huge pages {options.huge}; longest turn, ms of a processor; medians of {options.rounds}; "
          f"load {os.getloadavg()[0]:.0f}")
    print(f"{'build':<24}" + "".join(f"{row:>12}" for row in ROWS))
    for build, row in medians.items():
        print(f"{build:<24}" + "".join(f"{row[name]:>12.1f}" for name in ROWS))


if __name__ == "__main__":
    main()
