"""Redis stopped, swallowed or refusing: no call waits longer than its deadline, hits go on and are flagged (C7)."""

import signal
import time

import wire_client as wire
from fleet import BY_DEFAULT, play
from scenario import USUAL, expect, until

DEADLINE_MS = 500 + 4500  # of a change in the library, and what a starved machine adds


def flagged(got, value):
    return got.value == value and got.flags & wire.IS_DETACHED


def goes_on(fleet, begin, end):
    a, b = fleet.start(2, redis={"command_timeout": BY_DEFAULT})
    reader = a.puppet(env=USUAL)
    fleet.share(b"k", b"v", a, b)
    until(lambda: reader.ask("get", "k")[1] == "near", "the library maps it")
    begin(fleet, a)
    slowest = changes_and_reads(a, reader)
    a.until_mode("DETACHED")
    until(lambda: flagged(a.ask().get(b"k"), b"v"), "served, flagged")
    expect(reader.ask("get", "k")[:3], ["HIT", "near", "v"], "from shared memory, by the library")
    status = a.health()
    assert status["status"] == "degraded" and status["issues"], status
    end(fleet, a)
    for host in (a, b):
        host.until_fresh()
    until(lambda: a.ask().set(b"k", b"w").status == wire.OK, "changes are committed again")
    until(lambda: b.ask().get(b"k").value == b"w", "the other host knows")
    assert slowest <= DEADLINE_MS, f"a call took {slowest:.0f} ms"


def changes_and_reads(host, reader):
    """Until the host knows, and some more; the slowest call in ms."""
    slowest, calls = 0, [("get", "k"), ("get", "cold"), ("set", "new", "v"), ("invalidate", "other")]
    for n in range(60):
        if n > 20 and host.mode() == "DETACHED":
            break
        begin = time.monotonic()
        reader.ask(*calls[n % len(calls)])
        slowest = max(slowest, (time.monotonic() - begin) * 1000)
    return slowest


def to_redis(number):
    return lambda fleet, host: fleet.servers[0].child.send_signal(number)


def proxy(*orders):
    def tell(fleet, host):
        for order in orders:
            host.proxy.tell(*order)
    return tell


def redis_is_stopped(fleet):
    goes_on(fleet, to_redis(signal.SIGSTOP), to_redis(signal.SIGCONT))


def redis_is_killed(fleet):
    goes_on(fleet, lambda fleet, host: fleet.servers[0].kill9(), lambda fleet, host: fleet.servers[0].start())


def connections_are_refused(fleet):
    goes_on(fleet, proxy(["refuse"], ["cut"]), proxy(["accept"]))


def requests_vanish(fleet):
    goes_on(fleet, proxy(["swallow", "up"]), proxy(["release", "up"]))


def answers_vanish(fleet):
    goes_on(fleet, proxy(["swallow", "down"]), proxy(["release", "down"]))


def slow_is_not_away(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    a.proxy.tell("delay", "both", 25)
    for n in range(20):
        expect(a.ask().set(b"s%d" % n, b"v").status, wire.OK)
        got = a.ask().get(b"k")
        expect((got.value, got.flags), (b"v", 0))
    expect(a.mode(), "FRESH")


play(redis_is_stopped, redis_is_killed, connections_are_refused, requests_vanish, answers_vanish, slow_is_not_away)
