#!/usr/bin/env python3
"""A host with an empty disk joins a busy fleet: how soon does it hit in shared memory as the others do?

    bench/joining.py [--build build] [--l1 16MiB] [--keys 200000] [--rate 2000] [--rounds 3] [--quick] [--json]

Two daemons on one redis-server, the second without a warm tier and with an L1 as large as the first's.  The load is open loop:
batches of keys, zipf 0.99, at times set beforehand, whether or not the last one was answered in time; the share found in L1 is
counted from the answers.  Rounds with the hot list and without take turns, each with a second host of its own.
"""
import argparse
import bisect
import json
import random
import shutil
import statistics
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from servers import Host, Redis, wire

BATCH, VALUE = 20, b"x" * 300
SETTLE_S, BEFORE_S, WINDOWS, CURVE_S = 40, 5, [0.5, 1, 2, 4], 0.1


class Keys:
    """Zipf 0.99; a key's number says nothing of its heat."""

    def __init__(self, count):
        self.sums = list(accumulate(1 / (rank + 1) ** 0.99 for rank in range(count)))
        self.names = [b"key:%d" % n for n in range(count)]
        random.shuffle(self.names)

    def batch(self):
        return [self.names[bisect.bisect_left(self.sums, random.random() * self.sums[-1])] for _ in range(BATCH)]


def load(host, keys, rate, seconds):
    """(seconds since the begin, found in L1, asked) of each batch."""
    begin, told = time.monotonic(), []
    for n in range(int(seconds * rate / BATCH)):
        due = begin + n * BATCH / rate
        time.sleep(max(0, due - time.monotonic()))
        entries = host.client.mget(keys.batch(), flags=2)
        told.append((time.monotonic() - begin, sum(e.tier == wire.L1 for e in entries), len(entries)))
    return told


def ratio(told, until=float("inf")):
    within = [(hits, asked) for at, hits, asked in told if at <= until]
    return sum(h for h, _ in within) / max(1, sum(a for _, a in within))


def curve(told, before):
    """[seconds, share of the fleet's ratio], in windows of CURVE_S."""
    bins = {}
    for at, hits, asked in told:
        h, a = bins.get(int(at / CURVE_S), (0, 0))
        bins[int(at / CURVE_S)] = h + hits, a + asked
    return [[(n + 0.5) * CURVE_S, h / a / before] for n, (h, a) in sorted(bins.items())]


def begin(options, home, redis, hot_list):
    return Host(options.build, home, redis, warm="off", l1_bytes=options.l1, hot_list=hot_list)


def fill(host, names):
    for n in range(0, len(names), 500):
        host.client.mset([host.client.item(name, VALUE, ttl_ms=3600000) for name in names[n:n + 500]])


def joins(options, folder, name, redis, first, keys, hot_list):
    before = ratio(load(first, keys, options.rate, BEFORE_S))
    second = begin(options, folder / name, redis, hot_list)
    try:
        told = load(second, keys, options.rate, WINDOWS[-1])
        return {"curve": curve(told, before), "fleet": before, "warmed": second.figure("hot_warmed"), **{f"{w} s": ratio(told, w) / before for w in WINDOWS}}
    finally:
        second.end()


def measure(options, folder):
    redis = Redis(folder)
    keys = Keys(options.keys)
    first = begin(options, folder / "first", redis, 16384)
    rows = {"with": [], "without": []}
    try:
        fill(first, keys.names)
        load(first, keys, options.rate, SETTLE_S / 4 if options.quick else SETTLE_S)
        for n in range(options.rounds):
            rows["with"].append(joins(options, folder, f"with{n}", redis, first, keys, 16384))
            rows["without"].append(joins(options, folder, f"without{n}", redis, first, keys, 0))
    finally:
        first.end()
        redis.process.terminate()
        redis.process.wait()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--l1", default="16MiB")
    parser.add_argument("--keys", type=int, default=200000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, a quarter of everything")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.keys, options.l1 = 1, options.keys // 4, "4MiB"
    folder = Path(tempfile.mkdtemp(prefix="larder-joining-"))
    try:
        rows = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    medians = {way: {name: statistics.median(row[name] for row in of) for name in of[0] if name != "curve"} for way, of in rows.items()}
    if options.json:
        curves = {way: sorted(of, key=lambda row: row["2 s"])[len(of) // 2]["curve"] for way, of in rows.items()}
        print(json.dumps({way: {**row, "curve": curves[way]} for way, row in medians.items()}))
        return
    print(f"L1 {options.l1}, {options.keys} keys of {len(VALUE)} B, {options.rate} keys/s; medians of {options.rounds}")
    print("hot list   fleet's L1   of that, in the first " + "  ".join(f"{w:>5} s" for w in WINDOWS) + "   pulled up")
    for way, row in medians.items():
        print(f"{way:<10} {100 * row['fleet']:>8.1f} %   {'':>22}" + "  ".join(f"{100 * row[f'{w} s']:>5.1f} %" for w in WINDOWS)
              + f"   {row['warmed']:>8.0f}")


if __name__ == "__main__":
    main()
