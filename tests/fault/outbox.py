"""Redis comes back to a host on which invalidations waited for it: how soon that host vouches again, and that none of
them was lost on the way.

    outbox.py [--invalidations N] [--rounds N]

In each round host b holds all the keys and some more; host a invalidates them while it is away from Redis, and b goes on
serving them, as it must.  Counted afterwards, exactly: every one of them is dead on b, in Redis too, and nothing else is.
The time is from the moment Redis can be had again until a is FRESH; the waiting between two attempts is in it."""

import argparse
import os
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
import wire_client as wire
from fleet import BY_DEFAULT, Fleet
from scenario import expect, until

BESIDE = 1000  # keys that nobody invalidates
BATCH = 500    # of what the tests send; the outbox makes its own
PATIENCE_S = 60


def in_batches(keys):
    return [keys[at:at + BATCH] for at in range(0, len(keys), BATCH)]


def statuses(host, keys):
    """How many of them are hits, how many misses, as host sees them."""
    found = [entry.status for batch in in_batches(keys) for entry in host.ask().mget(batch)]
    return found.count(wire.HIT), found.count(wire.MISS)


class Round:
    def __init__(self, fleet, number, count):
        self.fleet, (self.a, self.b) = fleet, fleet.hosts
        self.doomed = [b"doomed:%d:%d" % (number, n) for n in range(count)]
        self.beside = [b"beside:%d:%d" % (number, n) for n in range(BESIDE)]

    def prepare(self):
        for batch in in_batches(self.doomed + self.beside):
            until(lambda: self.is_set(batch), "b has set all", PATIENCE_S)

    def is_set(self, keys):
        outcomes = self.b.ask().mset([self.b.ask().item(key, b"value of " + key) for key in keys])
        return all(outcome.status == wire.OK for outcome in outcomes)

    def invalidate(self):
        for batch in in_batches(self.doomed):
            answer = self.a.ask().invalidate(keys=batch)
            expect(answer.status, wire.QUEUED, "while Redis is away")

    def nobody_knows_yet(self):
        """A starved host may not get its answer in time; then it has it the next time."""
        until(lambda: statuses(self.b, self.doomed + self.beside) == (len(self.doomed) + BESIDE, 0), "b, which cannot know, has all",
              PATIENCE_S)

    def fresh_ms(self, since):
        until(self.a.is_fresh, "host a is FRESH again", PATIENCE_S)
        return (time.monotonic() - since) * 1000

    def nothing_is_lost(self, kept):
        """`kept`: of those beside."""
        self.b.until_fresh(PATIENCE_S)
        self.fleet.told(self.a, self.b)
        for host in (self.b, self.a):
            expect(statuses(host, self.doomed), (0, len(self.doomed)), f"invalidated, on host {host.name}, hits and misses")
            until(lambda: statuses(host, self.beside) == (kept, BESIDE - kept),
                  f"host {host.name} has {kept} of the {BESIDE} beside them", PATIENCE_S)


# ---- ways to be away, and back -----------------------------------------------------------------------------------
# Each returns when Redis was to be had again, and how much of what nobody invalidated must be left.


def the_network_of_one_host_is_cut(r):
    r.a.leave_redis()
    r.invalidate()
    r.nobody_knows_yet()
    since = time.monotonic()
    r.a.proxy.tell("accept")
    return since, BESIDE


def redis_is_stopped(r):
    server = r.fleet.servers[0].child
    server.send_signal(signal.SIGSTOP)
    for host in (r.a, r.b):
        host.until_mode("DETACHED")
    r.invalidate()
    r.nobody_knows_yet()
    since = time.monotonic()
    server.send_signal(signal.SIGCONT)
    return since, BESIDE


def redis_is_killed_and_comes_back_empty(r):
    server = r.fleet.servers[0]
    server.kill9()
    r.a.until_mode("DETACHED")
    r.invalidate()
    server.start()
    return time.monotonic(), 0


def play(report, fleet, way, count, rounds, numbers):
    sentence = way.__name__.replace("_", " ")
    with report.case(f"{sentence}: of {count:,} invalidations that waited none is lost"):
        took = []
        for _ in range(rounds):
            r = Round(fleet, next(numbers), count)
            r.prepare()
            since, kept = way(r)
            took.append(r.fresh_ms(since))
            r.nothing_is_lost(kept)
        print(f"# figure: {count} invalidations waited, {sentence}: FRESH after {statistics.median(took):.0f} ms "
              f"(median of {' '.join(f'{ms:.0f}' for ms in took)})", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--invalidations", type=int, default=5000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    report, fleet, numbers = tap.Report(), Fleet(), iter(range(1 << 30))
    try:
        fleet.start(2, redis={"command_timeout": BY_DEFAULT}, namespace={"l1_bytes": "64MiB", "warm_bytes": "256MiB"})
        for way in [the_network_of_one_host_is_cut, redis_is_stopped, redis_is_killed_and_comes_back_empty]:
            play(report, fleet, way, options.invalidations, options.rounds, numbers)
    finally:
        fleet.finish()
    report.end()


if __name__ == "__main__":
    main()
