#!/usr/bin/env python3
"""A thousand callers in eight processes on two daemons miss one key at once: how many load it, and when all have it.

    bench/stampede.py [--build build] [--rounds 9] [--processes 8] [--threads 125] [--load-ms 200] [--json]

What must stay true: callers are threads in C (stampede.c), so that what is measured is the cache; all begin at one moment of
one clock.  The goal of the design: one load, and all have the value 20 ms after it.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleet50 import Host
from servers import Redis, wait_for

GOAL_MS = 20


class Process:
    def __init__(self, build, host, key, threads, load_ms):
        self.process = subprocess.Popen([build / "bench" / "stampede", host.path if host else "-", key, str(threads), str(load_ms)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "a process of callers did not start"

    def go(self, ns):
        self.process.stdin.write(f"go {ns}\n")
        self.process.stdin.flush()

    def said(self):
        words = self.process.stdout.readline().split()
        assert self.process.wait() == 0 and words, "a process of callers failed"
        return dict(zip(words[::2], map(int, words[1::2])))


def play_round(build, hosts, number, o):
    """With hosts [None] each process wakes its own, all at one moment, without a cache: what waking so many threads costs
    here and now."""
    processes = [Process(build, hosts[i % len(hosts)], f"wanted:{number}", o.threads, o.load_ms) for i in range(o.processes)]
    at = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 200_000_000
    for process in processes:
        process.go(at)
    said = [process.said() for process in processes]
    filled = max(s["filled"] for s in said)
    return {"loads": sum(s["loads"] for s in said), "got": sum(s["got"] for s in said),
            "after_fill_ms": (max(s["last"] for s in said) - filled) / 1e6}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", type=Path, default=Path("build"))
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--processes", type=int, default=8)
    options.add_argument("--threads", type=int, default=125)
    options.add_argument("--load-ms", type=int, default=200)
    options.add_argument("--json", action="store_true")
    o = options.parse_args()
    build = o.build.resolve()
    folder = Path(tempfile.mkdtemp(prefix="larder-stampede."))
    memory = Path(tempfile.mkdtemp(prefix="larder-stampede.", dir="/dev/shm"))
    started = []
    try:
        redis = Redis(folder)
        started.append(redis)
        hosts = [Host(build, folder, memory, n, redis) for n in range(2)]
        started += hosts
        for host in hosts:
            wait_for(host.fresh, "a fresh host")
        both = [(play_round(build, hosts, n, o), play_round(build, [None], n, o)) for n in range(o.rounds)]
    finally:
        for one in reversed(started):
            one.process.terminate()
            one.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)
    rounds, floors = [r for r, _ in both], [floor["after_fill_ms"] for _, floor in both]
    after = [r["after_fill_ms"] for r in rounds]
    told = {"callers": o.processes * o.threads, "rounds": rounds, "median_ms": statistics.median(after),
            "worst_ms": max(after), "floor_median_ms": statistics.median(floors), "goal_ms": GOAL_MS, "load_average": os.getloadavg()[0]}
    if o.json:
        print(json.dumps(told))
    else:
        for r in rounds:
            print(f"loads {r['loads']}  got it {r['got']} of {told['callers']}  the last {r['after_fill_ms']:.1f} ms after the loader")
        print(f"median {told['median_ms']:.1f} ms, worst {told['worst_ms']:.1f} ms; without a cache, median {told['floor_median_ms']:.1f} ms; the goal is {GOAL_MS} ms; "
              f"load average {told['load_average']:.1f}")
    wrong = [r for r in rounds if r["loads"] != 1 or r["got"] != told["callers"]]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
