#!/usr/bin/env python3
"""A host pulls everything from Redis: how fast, beside a plain pipelined reader, and what its readers see of it.

    bench/warming.py [--build build] [--keys 1000000] [--rounds 3] [--warm on|off] [--quick] [--json]

One daemon fills Redis; then, round by round, redis-benchmark reads as many values with one connection, a window's worth of
questions under way, and a fresh daemon is warmed with everything.  Meanwhile one caller asks it in turn for a PING and for a
value that is in its L1, over the socket, again after a pause: what gets are slower than pings is the cache's, what both are
slower than without a warming is the warming's.

The bars: at least 80 % of the plain reader's rate; p99 of gets at most 1.2 x p99 of pings; no turn of the loop over 5 ms (what it
lasted without a processor, while the machine ran others, is told apart).
"""
import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import Host, Redis, wire

VALUE, L1, PAUSE_S = b"x" * 100, "512MiB", 0.001
UNDER_WAY = 128  # of a warming at most (server/cache/window.c)
HERE = b"here"   # in L1 before anything is warmed


# Pings and gets in turn, in a process of its own: this one has the warming to watch.
CALLER = """
import select, sys, time
sys.path.insert(0, sys.argv[2])
import wire_client as wire
client, told = wire.Client(sys.argv[1]), []
while not select.select([sys.stdin], [], [], float(sys.argv[3]))[0]:
    begin = time.perf_counter_ns()
    client.ping()
    middle = time.perf_counter_ns()
    client.get(b"here")
    told.append((middle - begin, time.perf_counter_ns() - middle))
print(*(f"{ping} {get}" for ping, get in told), sep="\\n")
"""


def begin_caller(host):
    return subprocess.Popen([sys.executable, "-c", CALLER, str(host.path), str(Path(wire.__file__).parent), str(PAUSE_S)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def end_caller(caller):
    """(p99 of pings, p99 of gets, how many), in µs."""
    told = [tuple(map(int, line.split())) for line in caller.communicate("\n")[0].splitlines()]
    pings, gets = zip(*told)
    return p99(pings), p99(gets), len(told)


def p99(times):
    return sorted(times)[len(times) * 99 // 100] / 1000


def fill(options, folder, redis):
    host = Host(options.build, folder / "filler", redis, warm="off", hot_list=0, l1_bytes="16MiB")
    try:
        for n in range(0, options.keys, 500):
            host.client.mset([host.client.item(b"key:%012d" % k, VALUE, ttl_ms=86400000) for k in range(n, min(n + 500, options.keys))])
        host.client.set(HERE, VALUE, ttl_ms=86400000)
    finally:
        host.end()


def plain_rate(options, redis):
    """Values a second, of keys drawn at random from all there are."""
    said = subprocess.run(["redis-benchmark", "-s", redis.path, "-c", "1", "-P", str(UNDER_WAY), "-n", str(options.keys), "-r",
                           str(options.keys), "-q", "GET", "{default}:e:key:__rand_int__"], capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"([\d.]+) requests per second", said)[-1])


def warmed(options, folder, name, redis):
    host = Host(options.build, folder / name, redis, warm=options.warm, hot_list=0, l1_bytes=L1)
    try:
        host.client.get(HERE)
        quiet = begin_caller(host)
        time.sleep(2)
        ping_before, get_before, _ = end_caller(quiet)
        caller, told = begin_caller(host), host.client.warm(flags=wire.EVERYTHING)
        while told.state == wire.UNDER_WAY:
            time.sleep(0.02)
            told = host.client.warm()
        ping, get, asked = end_caller(caller)
        memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{host.process.pid}/status").read_text())[1]) / 1024
        loop = host.client.stats()["loop"]
        return {"loaded": told.loaded, "rate": 1000 * told.done / max(1, told.elapsed_ms), "ping_us": ping, "get_us": get,
                "ping_before_us": ping_before, "get_before_us": get_before, "asked": asked,
                "turn_max_ms": loop["max_us"] / 1000, "turn_cpu_max_ms": loop["cpu_max_us"] / 1000, "resident_mib": memory}
    finally:
        host.end()


def measure(options, folder):
    redis, rows = Redis(folder, "4gb"), []
    try:
        fill(options, folder, redis)
        for n in range(options.rounds):
            plain = plain_rate(options, redis)
            rows.append({"plain": plain, **warmed(options, folder, f"host{n}", redis)})
            rows[-1]["share"] = rows[-1]["rate"] / plain
    finally:
        redis.process.terminate()
        redis.process.wait()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", default="off", choices=["on", "off"], help="the warm tier of the host that is warmed")
    parser.add_argument("--quick", action="store_true", help="one round, a tenth of the keys")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.keys = 1, options.keys // 10
    folder = Path(tempfile.mkdtemp(prefix="larder-warming-"))
    try:
        rows = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    m = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    if options.json:
        print(json.dumps(m))
        return
    print(f"{options.keys} keys of {len(VALUE)} B, warm tier {options.warm}; medians of {options.rounds}")
    print(f"warmed {m['rate']:,.0f} keys/s, {100 * m['share']:.0f} % of a plain pipelined reader (bar: 80 %, or 100,000)")
    print(f"p99 meanwhile: ping {m['ping_us']:.0f} us, get {m['get_us']:.0f} us, {m['get_us'] / m['ping_us']:.2f} x (bar: 1.2); "
          f"before: {m['ping_before_us']:.0f} and {m['get_before_us']:.0f} us")
    print(f"longest turn of the loop {m['turn_max_ms']:.1f} ms, {m['turn_cpu_max_ms']:.1f} ms of a processor (bar: 5); resident {m['resident_mib']:.0f} MiB at most")


if __name__ == "__main__":
    main()
