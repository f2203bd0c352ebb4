#!/usr/bin/env python3
"""What looking on costs: gets over a socket on a saturated daemon, with `larder monitor` and 100 scrapes of /metrics a second.

    bench/watched.py [--build build] [--rounds 25] [--slice-ms 300] [--depth 32] [--json]

What must stay true: one loader keeps --depth requests under way all the time, so the daemon's one thread is what is used up; who looks
on comes and goes meanwhile, a slice each, and each slice has one with nobody looking on beside it, before or after in turn: so the machine's other work hits
all alike.  What is compared is how many gets the daemon answers in a second of its own time, as the kernel counts it: that is its
throughput where a core is left for it.  What the clock says is told beside it: watchers and scrapers want time of their own, and on a
machine without a spare core take it from loader and daemon.  The goal: 0.95, all at once.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
import wire_client as wire

GOAL, SCRAPES, SETTLE_S = 0.95, 100, 0.1


class Daemon:
    def __init__(self, build, folder):
        self.path, self.admin = folder / "s", folder / "admin"
        (folder / "larder.conf").write_text(f"[admin]\nlisten = unix:{self.admin}\n")
        self.process = subprocess.Popen(
            [build / "larderd", "--config", folder / "larder.conf", "--socket", self.path, "--state", folder / "state", "--l1-bytes", "64MiB",
             "--warm", "off", "--log-level", "warn"], stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"))
        wait_for(lambda: self.path.exists() and self.admin.exists(), "larderd")

        self.client = wire.Client(str(self.path))

    def now(self):
        """Time of its loop, gets, and the clock's time."""
        ran = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat").read_text().split()[0]
        return int(ran) / 1e9, self.client.stats()["sessions"]["requests_get"], time.monotonic()


def over_path(path):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    return connection


def scrape(path, count):
    """A hundred a second at times set beforehand, over one connection, as a scraper that is told to hurry."""
    connection, due = over_path(path), time.monotonic()
    while True:
        connection.request("GET", "/metrics")
        assert connection.getresponse().read().endswith(b"\n")
        count.value += 1
        due += 1 / SCRAPES
        time.sleep(max(0, due - time.monotonic()))


class Looking:
    """Those who look on while a turn is measured."""

    def __init__(self, o, daemon, monitor=None, scrapes=False):
        self.process = self.scraper = None
        self.count = multiprocessing.Value("Q", 0)
        if monitor is not None:
            self.process = subprocess.Popen([o.build / "larder", "-s", daemon.path, "monitor", *monitor], stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
        if scrapes:
            self.scraper = multiprocessing.Process(target=scrape, args=(daemon.admin, self.count), daemon=True)
            self.scraper.start()
            wait_for(lambda: self.count.value > 0, "a scrape")

    def end(self):
        for one in (self.process, self.scraper):
            if one:
                assert (one.poll() if one is self.process else one.exitcode) is None, "it ended by itself"
                one.terminate()
                one.wait() if one is self.process else one.join()
        return self.count.value


def load(o, daemon):
    return subprocess.Popen([o.build / "larder-bench", "load", "--target", "larder_socket", "--socket", daemon.path, "--clients", "1", "--depth",
                             str(o.depth), "--get-share", "1", "--key-count", "20k", "--duration", "3600s"], stdout=subprocess.DEVNULL)


def measure(o, daemon, looking):
    """One slice: gets a second of the daemon's time, and of the clock's."""
    eyes = Looking(o, daemon, **looking)
    time.sleep(SETTLE_S)
    before, scraped = daemon.now(), eyes.count.value
    time.sleep(o.slice_ms / 1000)
    ran, gets, passed = (after - earlier for after, earlier in zip(daemon.now(), before))
    scraped = eyes.count.value - scraped
    eyes.end()
    return {"gets": gets, "ran_s": ran, "passed_s": passed, "scrapes": scraped}


def share(slices, alone, over):
    """Gets a second of a slice as a share of those of the slice beside it; the median of those in which the daemon had a turn at all."""
    return statistics.median(s["gets"] / s[over] / (a["gets"] / a[over]) for s, a in zip(slices, alone) if a["gets"] and s[over])


CASES = {
    "nobody, once more": {},  # what the method itself is worth on this machine
    "monitor": {"monitor": []},
    "monitor --glob (no key matches)": {"monitor": ["--glob", "no:such:*"]},
    "100 scrapes a second": {"scrapes": True},
    "monitor and 100 scrapes a second": {"monitor": [], "scrapes": True},
}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", type=Path, default=Path("build"))
    options.add_argument("--rounds", type=int, default=25)
    options.add_argument("--slice-ms", type=int, default=300)
    options.add_argument("--depth", type=int, default=32)
    options.add_argument("--json", action="store_true")
    o = options.parse_args()
    o.build = o.build.resolve()
    folder = Path(tempfile.mkdtemp(prefix="larder-watched.", dir="/dev/shm"))
    started, slices = [], {name: ([], []) for name in CASES}
    try:
        daemon = Daemon(o.build, folder)
        started.append(daemon.process)
        started.append(load(o, daemon))
        wait_for(lambda: daemon.now()[1] > 10000, "load")
        for number in range(o.rounds):
            for name, looking in CASES.items():
                for kind in (0, 1) if number % 2 else (1, 0):
                    slices[name][kind].append(measure(o, daemon, {} if kind else looking))
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    told = {name: {"capacity": share(*both, "ran_s"), "throughput": share(*both, "passed_s"),
                   "scrapes_per_s": sum(s["scrapes"] for s in both[0]) / sum(s["passed_s"] for s in both[0])} for name, both in slices.items()}
    alone = [s for _, without in slices.values() for s in without]
    base_us = sum(s["ran_s"] for s in alone) / sum(s["gets"] for s in alone) * 1e6
    if o.json:
        print(json.dumps({"slices": slices, "told": told, "alone_us": base_us, "goal": GOAL, "load_average": os.getloadavg()[0]}))
    else:
        for name, of in told.items():
            scrapes = f", {of['scrapes_per_s']:.0f} scrapes a second" if of["scrapes_per_s"] else ""
            print(f"{name:33} {of['capacity']:.3f} of the gets in the daemon's time, {of['throughput']:.3f} in the clock's{scrapes}")
        print(f"with nobody a get is {base_us:.2f} µs of the daemon's time; the goal is {GOAL}; load average {os.getloadavg()[0]:.1f}")
    return 0 if told["monitor and 100 scrapes a second"]["capacity"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
