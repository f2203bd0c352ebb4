"""All that may be wrong with Redis, one after the other: what clients of a host see meanwhile, how fast hits in shared
memory stay, how soon the host vouches again.

    outages.py [--seconds N] [--only FAULT]

Two processes work while the fault comes and goes: one gets what is in shared memory, one asks for what is not, and
changes things.  Judged: no call is late, nothing that was in memory is lost, every hit but those between two states comes
from memory, health names the reason, and the host comes back.  How fast a hit is, and how soon it comes back, is printed:
a get in shared memory during the fault, beside the fastest of those while all was well in the same run."""

import argparse
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import history
import tap
from fleet import BY_DEFAULT, Fleet
from scenario import USUAL, die_with_parent, until
from tree import product

LATE_MS = 200          # beyond a deadline: what a busy machine of two cores may add
LATE_OF = 1000         # and one call of so many may be later still
BEFORE_MS = 500        # of each measurement without a fault
WELL = 3               # such measurements at first
SLOW_MS = 50
GONE_MAX = 3           # gets that were asking Redis when it was found to be away, of two processes
NEAR_SHARE = 0.98      # of hits during a fault: the rest falls between the last promise and the notice that Redis is away
WITHIN_S = 30          # until it is FRESH again


class Pace:
    def __init__(self, host):
        self.process = subprocess.Popen([product("pace"), host.socket, str(LATE_MS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, env=host.environment(**USUAL), preexec_fn=die_with_parent)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def answer(self):
        return self.process.stdout.readline().split()

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


# ---- faults ------------------------------------------------------------------------------------------------------
# Each begins, and returns what ends it.  What health must say meanwhile; None: the host need not leave the fleet.

FAULTS = {}


def fault(says):
    def register(make):
        FAULTS[make.__name__.replace("_", " ")] = (make, says)
        return make
    return register


@fault("nobody takes connections")
def killed(server, host):
    server.kill9()
    return server.start


@fault("in time")
def stopped(server, host):
    server.child.send_signal(signal.SIGSTOP)
    return lambda: server.child.send_signal(signal.SIGCONT)


@fault("nobody takes connections")
def refusing(server, host):
    host.proxy.tell("refuse")
    host.proxy.tell("cut")
    return lambda: host.proxy.tell("accept")


@fault("in time")
def a_black_hole(server, host):
    host.proxy.tell("swallow", "both")
    return lambda: host.proxy.tell("release", "both")


@fault(None)
def slow(server, host):
    host.proxy.tell("delay", "down", SLOW_MS)
    return lambda: host.proxy.tell("delay", "both", 0)


@fault("memory")
def full(server, host):
    admin = server.client()
    admin.call("CONFIG", "SET", "maxmemory", 1)
    return lambda: admin.call("CONFIG", "SET", "maxmemory", 0)


@fault("load")
def loading(server, host, seconds=0.0):
    server.save()
    server.kill9()
    server.start_loading(seconds)

    def end():
        until(server.answers, "redis-server has loaded", WITHIN_S)
        server.forget_saved()
    return end


@fault("replica")
def a_replica(server, host):
    admin = server.client()
    admin.call("REPLICAOF", "127.0.0.1", 1)
    return lambda: admin.call("REPLICAOF", "NO", "ONE")


@fault(None)
def without_our_scripts(server, host):
    server.client().call("SCRIPT", "FLUSH")
    return lambda: None


@fault("password")
def another_password(server, host):
    admin = server.client()  # who is in stays in
    admin.call("CONFIG", "SET", "requirepass", "secret")
    admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return lambda: admin.call("CONFIG", "SET", "requirepass", "")


# ---- one of them -------------------------------------------------------------------------------------------------


class Seen:
    """What the two processes answered."""

    def __init__(self, hits, calls):
        self.ns, (self.near, self.socket, self.gone) = float(hits[0]), map(int, hits[1:4])
        self.gets, self.get_us, gets_late, self.changes, self.change_us, changes_late = map(int, calls[:6])
        self.late = gets_late + changes_late
        results = (word.split("=") for word in calls[6:])
        self.results = sorted(((int(n), history.RESULTS.get(int(what), what)) for what, n in results), reverse=True)


def observe(paces, ms):
    for pace, what in zip(paces, ["hits", "calls"]):
        pace.tell(what, ms)


def seen(paces):
    return Seen(*[pace.answer() for pace in paces])


def healthy(host, paces):
    """ns of a hit."""
    host.until_fresh(WITHIN_S)
    paces[0].tell("keep")
    paces[0].answer()
    observe(paces, BEFORE_MS)
    return seen(paces).ns


def until_said(host, says):
    try:
        until(lambda: not says or any(says in issue for issue in host.health()["issues"]), f"health says {says!r}")
    except AssertionError as error:
        raise AssertionError(f"{error}, but {host.health()['issues']}") from error
    return host.health()["issues"]


def undergo(server, host, paces, name, seconds):
    """What was seen, what health said, and ms until FRESH."""
    make, says = FAULTS[name]
    observe(paces, int(seconds * 1000))
    end = make(server, host, seconds * 0.8) if name == "loading" else make(server, host)
    try:
        issues = until_said(host, says)
        during = seen(paces)
    finally:
        end()
        ended = time.monotonic()
    host.until_fresh(WITHIN_S)
    return during, issues, (time.monotonic() - ended) * 1000


def judge(during):
    assert during.late <= (during.gets + during.changes) / LATE_OF, f"{during.late} calls were late"
    assert during.gone <= GONE_MAX, f"{during.gone} gets of what was in memory found nothing"
    share = during.near / (during.near + during.socket)
    assert share >= NEAR_SHARE, f"{during.socket} of {during.near + during.socket} hits were not from memory"


def row(name, well_ns, during, issues, fresh_ms):
    results = ", ".join(f"{what} {n}" for n, what in during.results)
    return (f"{name:20} hits {during.ns:5.1f} ns ({during.ns / well_ns:4.2f} of {well_ns:5.1f}), {during.socket} of "
            f"{during.near + during.socket} not near, {during.gone} gone; slowest get {during.get_us / 1000:5.1f} of 50 ms, slowest change "
            f"{during.change_us / 1000:5.1f} of 500 ms; FRESH after {fresh_ms:4.0f} ms; changes: {results}; health: "
            f"{'; '.join(issues) or 'nothing'}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=2, help="of each fault")
    arguments.add_argument("--only", choices=sorted(FAULTS))
    options = arguments.parse_args()
    report, fleet = tap.Report(), Fleet()
    try:
        host, = fleet.start(1, redis={"command_timeout": BY_DEFAULT})
        paces = [Pace(host), Pace(host)]
        well_ns = min(healthy(host, paces) for _ in range(WELL))
        for name in [options.only] if options.only else FAULTS:
            well_ns = min(well_ns, healthy(host, paces))
            with report.case(f"Redis {name}: no call is late, what is in memory stays fast to get, health knows"):
                found = undergo(fleet.servers[0], host, paces, name, options.seconds)
                print("# figure:", row(name, well_ns, *found), flush=True)
                judge(found[0])
        for pace in paces:
            pace.end()
    finally:
        fleet.finish()
    report.end()


if __name__ == "__main__":
    main()
