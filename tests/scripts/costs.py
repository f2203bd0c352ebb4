"""Figures, not a test: what each script costs Redis, in processor time a call, beside a plain SET.

    PYTHONPATH=tests/support python3 tests/scripts/costs.py [SECONDS a case]"""

import os
import statistics
import sys
import time

from redis_client import encode
from redis_scripts import Fleet, script_text, tail

PIPELINE, BATCHES, KEYS, ROUNDS = 256, 8, 2048, 3
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
VALUE, TAGGED = tail(b"v" * 100), tail(b"v" * 100, tags=["a", "b", "c"])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, fleet):
        self.fleet, self.host = fleet, fleet.host("a")
        self.client, self.digests = self.host.client, {}

    def script(self, name, own_keys, *arguments):
        """One call as bytes."""
        if name not in self.digests:
            self.digests[name] = self.client.call("SCRIPT", "LOAD", script_text(name))
        keys = [self.fleet.key(key) for key in ["inc", "ver", "j", "tags", *own_keys]]
        return encode("EVALSHA", self.digests[name], len(keys), *keys, self.host.epoch, "s:a", self.host.session, *arguments)

    def send(self, batch):
        self.client.socket.sendall(b"".join(batch))
        return [self.client.receive() for _ in batch][-1]

    def measure(self, make):
        """Microseconds of redis-server's time a call."""
        batches = [[make(i * PIPELINE + n) for n in range(PIPELINE)] for i in range(BATCHES)]
        calls, used, deadline = 0, cpu_seconds(self.fleet.redis.child.pid), time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for batch in batches:
                self.send(batch)
                calls += len(batch)
        return (cpu_seconds(self.fleet.redis.child.pid) - used) / calls * 1e6


def pair(place, n):
    return [f"e:{place}{n % KEYS}", f"l:{place}{n % KEYS}"]


def cases(bench):
    """(name, call of n); what they need is stored before."""
    key, script = bench.fleet.key, bench.script
    store = [600000, 600000]
    bench.send([script("set", pair("k", n), 100000, "", *store, VALUE) for n in range(KEYS)])
    bench.send([script("set", pair("a:b:", n), 100000, "", *store, TAGGED) for n in range(KEYS)])
    bench.send([script("invalidate", [], 100000, "hard", 1000000, "tnobody's")])
    yield "SET", lambda n: encode("SET", key(f"p{n % KEYS}"), b"x" * 148, "PX", 60000)
    yield "GET", lambda n: encode("GET", key(f"p{n % KEYS}"))
    yield "getl, hit", lambda n: script("getl", pair("k", n), "12345678", 0)
    yield "getl, 3 tags and 2 prefixes", lambda n: script("getl", pair("a:b:", n), "12345678", 0)
    yield "getl, busy", lambda n: script("getl", pair("none", n), "12345678", 60000)
    yield "touch", lambda n: script("touch", pair("k", n)[:1], 600000, 600000)
    yield "fence", lambda n: script("fence", ["hosts", "marks"], 31 * 86400 * 1000)
    now = bench.host.hello().v
    yield "fill", lambda n: script("fill", pair("f", n), 100000, now, 1, 1, VALUE)  # gone before its turn comes again
    yield "set", lambda n: script("set", pair("k", n), 100000, "", *store, VALUE)
    yield "set, condition", lambda n: script("set", pair("k", n), 100000, "present", *store, VALUE)
    yield "invalidate, key", lambda n: script("invalidate", pair("k", n), 100000, "hard", 1000000)
    yield "invalidate, tag", lambda n: script("invalidate", [], 100000, "hard", 1000000, f"tt{n % 10000}")


def main():
    figures = {}
    for _ in range(ROUNDS):
        fleet = Fleet()
        try:
            fleet.redis.start()
            bench = Bench(fleet)
            for name, make in cases(bench):
                figures.setdefault(name, []).append(bench.measure(make))
        finally:
            fleet.redis.finish()
    plain = statistics.median(figures["SET"])
    for name, values in figures.items():
        cost = statistics.median(values)
        print(f"{name:32} {cost:6.1f} us {cost / plain:6.1f} x SET   {min(values):.1f} to {max(values):.1f}")


if __name__ == "__main__":
    main()
