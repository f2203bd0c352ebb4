#!/usr/bin/env python3
"""What looking on costs: gets over a socket on a saturated daemon, with `larder monitor` and 100 scrapes of /metrics a second.

    bench/watched.py [--build build] [--rounds 7] [--seconds 2] [--depth 32] [--json]

What must stay true: each measured turn lies between two turns with nobody looking on, of the same daemon, and is divided by
their mean: so the machine's other work hits both.  The loader keeps --depth requests under way, so the daemon's one thread is
what is used up; what a request cost that thread is told beside the throughput, the least of all turns, since other work of the machine only
adds to it: watchers and scrapers want processor time of their own, too, and on two cores take it from the loader.  The goal: 0.95
of the throughput, all at once.
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

from fleet50 import wait_for

GOAL, SCRAPES = 0.95, 100


class Daemon:
    def __init__(self, build, folder):
        self.path, self.admin = folder / "s", folder / "admin"
        (folder / "larder.conf").write_text(f"[admin]\nlisten = unix:{self.admin}\n")
        self.process = subprocess.Popen(
            [build / "larderd", "--config", folder / "larder.conf", "--socket", self.path, "--state", folder / "state", "--l1-bytes", "64MiB",
             "--warm", "off", "--log-level", "warn"], stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"))
        wait_for(lambda: self.path.exists() and self.admin.exists(), "larderd")

    def cpu_s(self):
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


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


def turn(o, daemon):
    before = daemon.cpu_s()
    said = subprocess.run([o.build / "larder-bench", "load", "--target", "larder_socket", "--socket", daemon.path, "--clients", "1",
                           "--depth", str(o.depth), "--get-share", "1", "--key-count", "20k", "--duration", f"{o.seconds}s", "--json"],
                          check=True, capture_output=True, text=True).stdout
    told = json.loads(said)
    return {"rate": told["requests_per_s"], "cpu_us": (daemon.cpu_s() - before) / told["get"]["count"] * 1e6}


def compare(o, daemon, before, **looking):
    eyes = Looking(o, daemon, **looking)
    begin = time.monotonic()
    watched = turn(o, daemon)
    scrapes = eyes.end() / (time.monotonic() - begin)
    after = turn(o, daemon)
    mean = {name: (before[name] + after[name]) / 2 for name in before}
    return {"ratio": watched["rate"] / mean["rate"], "cpu_us": watched["cpu_us"], "alone_us": min(before["cpu_us"], after["cpu_us"]),
            "alone": mean["rate"], "scrapes": scrapes}, after


def least(rounds, what):
    return min(r[what] for r in rounds)


CASES = {
    "nobody": {},
    "monitor": {"monitor": []},
    "monitor --glob (no key matches)": {"monitor": ["--glob", "no:such:*"]},
    "100 scrapes a second": {"scrapes": True},
    "monitor and 100 scrapes a second": {"monitor": [], "scrapes": True},
}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", type=Path, default=Path("build"))
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--depth", type=int, default=32)
    options.add_argument("--json", action="store_true")
    o = options.parse_args()
    o.build = o.build.resolve()
    folder = Path(tempfile.mkdtemp(prefix="larder-watched.", dir="/dev/shm"))
    daemon, rounds = None, {name: [] for name in CASES}
    try:
        daemon = Daemon(o.build, folder)
        turn(o, daemon)
        before = turn(o, daemon)
        for _ in range(o.rounds):
            for name, looking in CASES.items():
                result, before = compare(o, daemon, before, **looking)
                rounds[name].append(result)
    finally:
        if daemon:
            daemon.process.terminate()
            daemon.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: {what: statistics.median(r[what] for r in of) for what in of[0]} for name, of in rounds.items()}
    if o.json:
        print(json.dumps({"rounds": rounds, "medians": medians, "goal": GOAL, "load_average": os.getloadavg()[0]}))
    else:
        for name, m in medians.items():
            spread = [r["ratio"] for r in rounds[name]]
            print(f"{name:33} {m['ratio']:.3f} of the throughput ({min(spread):.2f} to {max(spread):.2f}), {least(rounds[name], 'cpu_us'):.3f} µs of the daemon a get"
                  + (f", {m['scrapes']:.0f} scrapes a second" if m["scrapes"] else ""))
        alone = min(least(of, "alone_us") for of in rounds.values())
        print(f"alone {medians['nobody']['alone']:.0f} gets a second, {alone:.3f} µs of the daemon a get; the goal is {GOAL}; load average {os.getloadavg()[0]:.1f}")
    return 0 if medians["monitor and 100 scrapes a second"]["ratio"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
