"""A host comes back that missed many invalidations: it serves none of what they killed, keeps all the rest, and is ready
at once.

    missed.py [--invalidations N] [--rounds N]

Host b has twice as many keys in its warm tier; while it is not there, stopped cleanly or killed, host a invalidates half of
them.  From its first answer on b is read: the killed half is never a hit, flagged or not; once it is FRESH the other half
is, all of it, and from b itself: nothing of it was read in Redis, or became suspect.  The times from its start to the first
answer and to FRESH are printed."""

import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
import wire_client as wire
from fleet import BY_DEFAULT, Fleet
from outbox import in_batches, statuses
from scenario import expect, until

PATIENCE_S = 60


def prepare(a, b, keys):
    for batch in in_batches(keys):
        until(lambda: all(o.status == wire.OK for o in b.ask().mset([b.ask().item(key, b"v" * 100) for key in batch])),
              "b has set all", PATIENCE_S)
    until(lambda: is_stored(b, len(keys)), "all are in the warm tier", PATIENCE_S)


def is_stored(host, count):
    warm = host.stats()["namespaces"]["default"]["warm"]
    return warm["warm_entries"] >= count and warm["warm_overlay"] == 0


def invalidate(a, keys):
    for batch in in_batches(keys):
        for half in (batch[:250], batch[250:]):
            until(lambda: not half or a.ask().invalidate(keys=half).status == wire.OK, "a has invalidated", PATIENCE_S)


def back(b, doomed):
    """Its start: ms until it answered, and until it was FRESH; reads of the dead from the first answer on."""
    begun = time.monotonic()
    b.start()
    answered_ms = (time.monotonic() - begun) * 1000
    hits = sum(entry.status == wire.HIT for entry in b.ask().mget(doomed[:500]))
    b.until_fresh(PATIENCE_S)
    return answered_ms, (time.monotonic() - begun) * 1000, hits


def one_round(fleet, leave, number, count):
    a, b = fleet.hosts
    doomed = [b"doomed:%d:%d" % (number, n) for n in range(count)]
    beside = [b"beside:%d:%d" % (number, n) for n in range(count)]
    prepare(a, b, doomed + beside)
    leave(b)
    invalidate(a, doomed)
    answered_ms, fresh_ms, early = back(b, doomed)
    expect(early, 0, "hits among the dead, from the first answer on")
    expect(statuses(b, doomed), (0, count), "of the dead, hits and misses")
    before = {name: b.figure(name) for name in ("hits_l2", "compared")}
    until(lambda: statuses(b, beside) == (count, 0), "b has all the rest", PATIENCE_S)
    expect(b.figure("hits_l2"), before["hits_l2"], "of the rest, read from Redis")
    compared = b.figure("compared") - before["compared"]
    # All, were they suspect; a few where a promise runs out on a starved machine.
    assert compared < count / 2, f"{compared} of the rest were compared in Redis"
    expect(b.figure("gaps"), 0)
    return answered_ms, fresh_ms


def stopped(host):
    host.stop()


def killed(host):
    host.kill9()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--invalidations", type=int, default=10000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    report, fleet, numbers = tap.Report(), Fleet(), iter(range(1 << 30))
    try:
        fleet.start(2, redis={"command_timeout": BY_DEFAULT},
                    namespace={"warm": "on", "l1_bytes": "64MiB", "warm_bytes": "256MiB"})
        for leave in (stopped, killed):
            with report.case(f"a host that was {leave.__name__} missed {options.invalidations:,} invalidations, serves none of "
                             "those and all the rest"):
                took = [one_round(fleet, leave, next(numbers), options.invalidations) for _ in range(options.rounds)]
                answered, fresh = (statistics.median(column) for column in zip(*took))
                print(f"# figure: {leave.__name__}, {options.invalidations} invalidations missed: first answer {answered:.0f} ms, "
                      f"FRESH {fresh:.0f} ms after its start (medians of {options.rounds})", flush=True)
    finally:
        fleet.finish()
    report.end()


if __name__ == "__main__":
    main()
