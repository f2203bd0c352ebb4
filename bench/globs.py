#!/usr/bin/env python3
"""Globs over a full cache: what its loop and its readers notice, and whether anything that matched is still served.

    bench/globs.py [--build build] [--keys 1000000] [--warm on|off] [--quick] [--json]

One host of a fleet is filled; then globs are invalidated one after the other, the last one over everything, while a caller
asks in turn for a PING and for a value.  After each glob, at once, keys that matched are asked for, and keys that did not.

The bars: no turn of the loop over 5 ms that the fill had not needed; nothing that matched is served.  Ends with 1 where one is missed.
"""
import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from servers import Host, Redis, wire
from warming import begin_caller, end_caller

TURN_MAX_MS, ASKED, BATCH, L1 = 5, 2000, 50, "512MiB"
COLOURS = ["red", "green", "blue", "white"]
GLOBS = [("item:*:red:*", "red"), ("item:*:b*e:*", "blue"), ("item:*:*:*", "")]


def key(n):
    return b"item:%d:%s:x" % (n, COLOURS[n % len(COLOURS)].encode())


def fill(host, keys):
    for n in range(0, keys, BATCH):
        host.client.mset([host.client.item(key(k), b"x" * 100, ttl_ms=86400000) for k in range(n, min(n + BATCH, keys))])
    host.client.set(b"here", b"x" * 100, ttl_ms=86400000)


def turns(host):
    loop = host.client.stats()["loop"]
    return loop["max_us"] / 1000, loop["cpu_max_us"] / 1000, loop["p999_us"] / 1000


def served(host, numbers):
    return sum(host.client.get(key(n)).status == wire.HIT for n in numbers)


def play_glob(host, glob, colour, gone, keys, chance):
    """What was served of those that matched, and of those that did not."""
    begin = time.perf_counter()
    assert host.client.invalidate(globs=[glob.encode()]).status == wire.OK, glob
    took_ms = (time.perf_counter() - begin) * 1000
    gone |= {colour} if colour else set(COLOURS)
    asked = [chance.randrange(keys) for _ in range(ASKED)]
    dead = [n for n in asked if COLOURS[n % len(COLOURS)] in gone]
    alive = [n for n in asked if COLOURS[n % len(COLOURS)] not in gone]
    return {"glob": glob, "took_ms": took_ms, "served_dead": served(host, dead), "served_alive": served(host, alive), "alive": len(alive)}


def measure(options, folder):
    redis, chance, gone = Redis(folder, "4gb"), random.Random(1), set()
    try:
        host = Host(options.build.resolve(), folder / "host", redis, warm=options.warm, l1_bytes=L1, hot_list="0")
        try:
            fill(host, options.keys)
            before, before_cpu, before_999 = turns(host)
            caller = begin_caller(host)
            rows = [play_glob(host, glob, colour, gone, options.keys, chance) for glob, colour in GLOBS]
            time.sleep(options.sweep_s)  # sweeps go on behind them
            ping, get, asked = end_caller(caller)
            after, after_cpu, after_999 = turns(host)
        finally:
            host.end()
    finally:
        redis.process.terminate()
        redis.process.wait()
    return {"globs": rows, "turn_max_before_ms": before, "turn_max_after_ms": after, "turn_cpu_before_ms": before_cpu, "turn_cpu_after_ms": after_cpu,
            "turn_p999_before_ms": before_999,
            "turn_p999_after_ms": after_999, "ping_p99_us": ping, "get_p99_us": get, "asked": asked}


def verdict(m):
    longest = m["turn_max_after_ms"] > max(TURN_MAX_MS, m["turn_max_before_ms"])
    return [*(["a turn was too long"] if longest else []),
            *(f"{row['served_dead']} keys were served that {row['glob']} had matched" for row in m["globs"] if row["served_dead"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--warm", default="on", choices=["on", "off"])
    parser.add_argument("--sweep-s", type=float, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the keys")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.keys //= 10 if options.quick else 1
    folder = Path(tempfile.mkdtemp(prefix="larder-globs-"))
    try:
        m = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wrong = verdict(m)
    if options.json:
        print(json.dumps({**m, "wrong": wrong}))
        return 1 if wrong else 0
    for row in m["globs"]:
        print(f"{row['glob']:14} {row['took_ms']:6.2f} ms; served of those that matched: {row['served_dead']}; of {row['alive']} others: {row['served_alive']}")
    print(f"longest turn: {m['turn_max_before_ms']:.1f} ms until then, {m['turn_max_after_ms']:.1f} ms with the globs (bar: {TURN_MAX_MS}), "
          f"of a processor {m['turn_cpu_before_ms']:.1f} and {m['turn_cpu_after_ms']:.1f} ms; "
          f"p99.9 {m['turn_p999_before_ms']:.2f} and {m['turn_p999_after_ms']:.2f} ms")
    print(f"p99 meanwhile: ping {m['ping_p99_us']:.0f} us, get {m['get_p99_us']:.0f} us ({m['asked']} of each)")
    print("; ".join(wrong) or "all bars reached")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
