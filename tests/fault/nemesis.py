"""The nemesis: a fleet of three hosts under load, random faults with a seed, and every operation judged (history.py).

    nemesis.py [--seconds N] [--minutes N] [--seed S] [--only FAULT] [--warm on|off] [--keep DIR]

Rounds of a few seconds, each with keys of its own: clients run, faults come and go, one at a time or two together, then
all is well again and must be so: every host FRESH, and the clients run on for a moment.  A round is judged at its end, so
that what went wrong is found while its cause is still in the log.  Every host is being warmed all the time with everything
Redis has, so that what was invalidated has somebody to bring it back.  At the end a table: fault → what clients saw → time
until all hosts were FRESH again."""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import history
import tap
import wire_client as wire
from fleet import BY_DEFAULT, Fleet
from redis_client import RedisError
from scenario import USUAL, die_with_parent, until
from tree import product

HOSTS, CLIENTS, PARTITIONS = 3, 8, 2
DETACHED_MAX_S = 4
ROOM = "72m"          # of a state directory: its map is of 64 MiB
HEALTHY_S = 0.6       # of each round, after all hosts are FRESH again
FRESH_WITHIN_S = 30   # never is a violation too
GET_MS, CHANGE_MS = 50, 500
LATE_MS = 200         # beyond a deadline: what a busy machine of two cores may add
LATE_OF = 1000        # and one call of so many may be later still: its process did not get to run
MS = 1_000_000


def took(op):
    return (op.end - op.begin) // MS


def partition_key(p, name):
    return "{default%s}:%s" % (f"/{p}" if p else "", name)


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


# ---- clients ---------------------------------------------------------------------------------------------------


class Client:
    def __init__(self, hosts, number, seed, folder):
        self.path = os.path.join(folder, f"client-{number}")
        words = [number, seed, self.path]
        for n in (number, number + 1):
            words += [n % len(hosts), hosts[n % len(hosts)].socket]
        self.process = subprocess.Popen([product("traffic"), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, env=hosts[0].environment(**USUAL), preexec_fn=die_with_parent)

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def stopped(self):
        line = self.process.stdout.readline()
        assert line.startswith("ops "), f"a client ended: {self.process.poll()}"

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class Warmer(threading.Thread):
    """Warms a host with everything, again and again; what happens to the host happens to it too."""

    PAUSE_S = 0.02

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host, self.over, self.runs, self.loaded = host, threading.Event(), 0, 0
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                with wire.Client(self.host.socket, seconds=1) as client:
                    while not self.over.is_set():
                        self.warm(client)
            except (OSError, wire.Closed, wire.Refused):
                self.over.wait(self.PAUSE_S)

    def warm(self, client):
        told = client.warm(flags=wire.EVERYTHING)
        while told.state == wire.UNDER_WAY and not self.over.wait(self.PAUSE_S):
            told = client.warm()
        self.runs += told.state == wire.DONE
        self.loaded += told.loaded

    def end(self):
        self.over.set()
        self.join()


# ---- faults ----------------------------------------------------------------------------------------------------
# Each begins, and returns what ends it.

FAULTS = {}


def fault(make):
    FAULTS[make.__name__.replace("_", " ")] = make
    return make


def one(n):
    return n.chance.choice(n.hosts)


def some(n):
    return n.chance.sample(n.hosts, n.chance.randint(1, len(n.hosts)))


def on_proxies(hosts, *orders):
    for host in hosts:
        for order in orders:
            host.proxy.tell(*order)


@fault
def slow(n):
    hosts, way = some(n), n.chance.choice(["up", "down", "both"])
    on_proxies(hosts, ["delay", way, n.chance.randint(5, 60)])
    return lambda: on_proxies(hosts, ["delay", "both", 0])


@fault
def cut(n):
    on_proxies(some(n), ["cut"])
    return None


@fault
def cut_and_refused(n):
    hosts = some(n)
    on_proxies(hosts, ["refuse"], ["cut"])
    return lambda: on_proxies(hosts, ["accept"])


def held(n, way):
    hosts = some(n)
    on_proxies(hosts, ["hold", way])
    return lambda: on_proxies(hosts, ["release", way])


@fault
def requests_held(n):
    return held(n, "up")


@fault
def answers_held(n):
    return held(n, "down")


@fault
def black_hole(n):
    hosts, way = some(n), n.chance.choice(["up", "down", "both"])
    on_proxies(hosts, ["swallow", way])
    return lambda: on_proxies(hosts, ["release", way])


@fault
def redis_stopped(n):
    n.server.child.send_signal(signal.SIGSTOP)
    return lambda: n.server.child.send_signal(signal.SIGCONT)


@fault
def redis_killed(n):
    n.server.kill9()
    return n.start_server


@fault
def redis_loading(n):
    """It comes back with what it had, and takes its time."""
    n.server.save()
    n.server.kill9()
    n.server.start_loading(n.chance.choice([0.3, 0.8]))

    def end():
        until(n.server.answers, "redis-server has loaded", 20)
        n.server.forget_saved()
    return end


@fault
def redis_clock_steps(n):
    """Further than anything that was stored for a moment is old."""
    n.server.step(n.chance.choice([-3600, -60, -2, 2, 60, 3000]))
    return None


@fault
def redis_flushed(n):
    n.redis("FLUSHALL")
    return None


@fault
def counter_lost(n):
    n.redis("DEL", partition_key(n.chance.randrange(PARTITIONS), "ver"))
    return None


@fault
def connections_killed(n):
    name = n.chance.choice(["larder-control", "larder-tail", "larder-data", "larder"])
    for line in n.redis("CLIENT", "LIST").decode().splitlines():
        fields = dict(word.split("=", 1) for word in line.split())
        if fields.get("name", "").startswith(name):
            n.redis("CLIENT", "KILL", "ID", fields["id"])
    return None


@fault
def scripts_flushed(n):
    n.redis("SCRIPT", "FLUSH")
    return None


@fault
def redis_full(n):
    n.redis("CONFIG", "SET", "maxmemory", 1)
    return lambda: n.redis("CONFIG", "SET", "maxmemory", 0)


@fault
def redis_a_replica(n):
    n.redis("REPLICAOF", "127.0.0.1", 1)
    return lambda: n.redis("REPLICAOF", "NO", "ONE")


@fault
def redis_follows_another(n):
    n.redis("REPLICAOF", "127.0.0.1", n.other_port)
    return lambda: n.redis("REPLICAOF", "NO", "ONE")


@fault
def password_changed(n):
    keeper = n.server.client()  # who is in stays in
    keeper.call("CONFIG", "SET", "requirepass", "secret")
    keeper.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return lambda: keeper.call("CONFIG", "SET", "requirepass", "")


@fault
def journal_trimmed(n):
    """While a host does not hear: what it missed is gone."""
    hosts = some(n)
    on_proxies(hosts, ["refuse"], ["cut"])

    def end():
        for p in range(PARTITIONS):
            n.redis("XTRIM", partition_key(p, "j"), "MAXLEN", 0)
        on_proxies(hosts, ["accept"])
    return end


@fault
def sidecar_stopped(n):
    host = one(n)
    host.signal(signal.SIGSTOP)
    return lambda: host.signal(signal.SIGCONT)


def killed(n, host):
    n.restarts.append((now_ns(), n.hosts.index(host)))
    host.kill9()
    return host.start


@fault
def sidecar_killed(n):
    return killed(n, one(n))


@fault
def sidecar_restarted(n):
    host = one(n)
    n.restarts.append((now_ns(), n.hosts.index(host)))
    host.signal(signal.SIGCONT)
    host.stop()
    return host.start


@fault
def state_full(n):
    """No commit of the warm tier succeeds."""
    rooms = [host.room for host in some(n) if host.room.ready]
    for room in rooms:
        room.fill()
    return lambda: [room.clear() for room in rooms]


@fault
def killed_with_its_state_full(n):
    host = one(n)
    if host.room.ready:
        host.room.fill()
    time.sleep(n.chance.choice([0.05, 0.3]))
    end = killed(n, host)

    def clear():
        if host.room.ready:
            host.room.clear()
        end()
    return clear


# ---- the nemesis -----------------------------------------------------------------------------------------------


class Nemesis:
    def __init__(self, fleet, seed, only, warm, folder):
        self.chance = random.Random(seed)
        self.only, self.folder = only, folder
        self.fleet, self.server = fleet, fleet.redis()
        other = fleet.redis(port=0)
        self.other_port = self.open_port(other)
        options = {"redis": {"partitions": PARTITIONS, "command_timeout": BY_DEFAULT},
                   "namespace": {"detached_max": f"{DETACHED_MAX_S}s", **({"warm": warm} if warm else {})}, "room": ROOM}
        self.hosts = fleet.start(HOSTS, **options)
        self.clients = [Client(self.hosts, i, seed, folder) for i in range(CLIENTS)]
        self.warmers = [Warmer(host) for host in self.hosts]
        self.story = []  # what was done, round by round
        self.restarts, self.violations, self.ops, self.hits, self.near = [], [], 0, 0, 0
        self.leases, self.loaded = 0, 0
        self.seen, self.fresh_ms = defaultdict(Counter), defaultdict(list)
        self.slowest, self.late = {}, 0

    def open_port(self, server):
        """The second one listens on loopback too, for REPLICAOF."""
        for port in self.chance.sample(range(20000, 30000), 50):
            if server.client().call("CONFIG", "SET", "port", port) == b"OK":
                return port
        raise AssertionError("no port is free")

    def redis(self, *words):
        """A connection of its own each time: those that stay are among the victims."""
        client = self.server.client()
        try:
            answer = client.call(*words)
            assert not isinstance(answer, RedisError), f"{words}: {answer}"
            return answer
        finally:
            self.server.clients.remove(client)
            client.close()

    def start_server(self):
        self.server.start()

    # ---- a round ----

    def choose(self):
        return self.only or self.chance.choice(sorted(FAULTS))

    def strike(self):
        """One or two faults together; the second begins while the first lasts."""
        names, ends, begun = [self.choose()], [], now_ns()
        if self.chance.random() < 0.3 and not self.only:
            names.append(self.choose())
        self.story.append(", ".join(names))
        for name in names:
            end = None if self.excluded(name, names[:len(ends)]) else FAULTS[name](self)
            ends.append(end)
            time.sleep(self.chance.choice([0.02, 0.2, 0.4, 0.8]))
        for end in reversed(ends):
            if end:
                end()
        return names, begun

    @staticmethod
    def excluded(name, running):
        """What needs a Redis that answers, or takes data, cannot come while it does not; nobody is killed twice."""
        mute = {"redis stopped", "redis killed", "redis loading", "password changed", "redis a replica",
                "redis follows another"}
        full = {"redis full"}
        sidecar = {"sidecar stopped", "sidecar killed", "sidecar restarted", "state full", "killed with its state full"}
        return any(r in mute or (r in full and name == "redis loading") or (r in sidecar and name in sidecar) or r == name
                   for r in running)

    def settle(self, since):
        deadline = time.monotonic() + FRESH_WITHIN_S
        for host in self.hosts:
            host.until_fresh(max(deadline - time.monotonic(), 0.1))
        return (now_ns() - since) / MS

    def round(self, number):
        for client in self.clients:
            client.tell("go", number)
        time.sleep(0.2)
        names, begun = self.strike()
        ended = now_ns()
        took_ms = self.settle(ended)
        self.fresh_ms[names[0]] += [took_ms] if len(names) == 1 else []
        time.sleep(HEALTHY_S)
        for client in self.clients:
            client.tell("stop")
        for client in self.clients:
            client.stopped()
        return names, begun, ended

    def judge(self, number, names, begun, ended):
        paths = [f"{client.path}.{number}" for client in self.clients]
        ops = history.load(paths)
        self.ops += len(ops)
        self.restarts = self.restarts[-20:]
        wrong = history.judge(ops, history.Rules(DETACHED_MAX_S * 1000 * MS, self.restarts))
        for op in ops:
            self.count(op, names, begun, ended)
        for path in paths:
            os.unlink(path) if not wrong else None
        return wrong

    def count(self, op, names, begun, ended):
        kind = {history.GET: "get", history.LEASE: "lease"}.get(op.verb, "change")
        limit = {"get": GET_MS, "lease": 2 * GET_MS + op.waited, "change": CHANGE_MS}[kind]
        self.late += took(op) > limit + LATE_MS
        if kind not in self.slowest or took(op) > took(self.slowest[kind]):
            self.slowest[kind] = op
        self.hits += op.verb in history.READS and op.result == history.HIT
        self.leases += op.result == history.LEASED
        self.loaded += op.result == history.HIT and bool(op.flags & history.IS_LOADED)
        self.near += bool(op.flags & history.NEAR)
        if len(names) == 1 and op.end > begun and op.begin < ended + 200 * MS:
            self.seen[names[0]][history.outcome(op)] += 1

    def end(self):
        for client in [*self.clients, *self.warmers]:
            client.end()


def table(n):
    """fault → what clients saw → time until FRESH"""
    for name in sorted(name for name in n.fresh_ms if n.fresh_ms[name]):
        seen = ", ".join(f"{what} {count}" for what, count in n.seen[name].most_common())
        took = n.fresh_ms[name]
        yield f"{name:24} {len(took):3} times  FRESH after {statistics.median(took):5.0f} ms (at most {max(took):5.0f})  {seen}"


def play(options, report, fleet, folder):
    print(f"# seed {options.seed}", flush=True)
    n = Nemesis(fleet, options.seed, options.only, options.warm, folder)
    try:
        run(options, n)
    except AssertionError as error:
        raise AssertionError(f"after {'; '.join(n.story[-5:])}: {error}") from error
    tell(report, n, options.seed)


def run(options, n):
    until_s, number = time.monotonic() + options.seconds, 0
    while time.monotonic() < until_s:
        number += 1
        names, begun, ended = n.round(number)
        wrong = n.judge(number, names, begun, ended)
        if wrong:
            print(f"# round {number}: {', '.join(names)}: {len(wrong)} violations", flush=True)
            n.violations += [(number, names, v) for v in wrong]
            if options.first:
                break
    n.end()


def tell(report, n, seed):
    print(f"# figure: nemesis: {len(n.story)} rounds, {n.ops} operations, {n.hits} hits, {n.near} of them near, "
          f"{n.leases} leases, {n.loaded} values handed over by who loaded them, "
          f"{sum(w.runs for w in n.warmers)} warmings that brought {sum(w.loaded for w in n.warmers)} entries, "
          f"slowest get {took(n.slowest['get'])} ms, slowest change {took(n.slowest['change'])} ms, "
          f"{n.late} calls later than their deadline and {LATE_MS} ms")
    for line in table(n):
        print("# figure:", line)
    with report.case(f"nobody saw what they must not, seed {seed}"):
        told = "\n".join(f"round {number} ({', '.join(names)}): {v}" for number, names, v in n.violations[:10])
        assert not n.violations, f"{len(n.violations)} violations\n{told}\n{n.fleet.logs()}"
    with report.case("every host was warmed meanwhile"):
        assert all(w.runs for w in n.warmers), [(w.runs, w.loaded) for w in n.warmers]
    with report.case("no call took longer than its deadline"):
        slowest = "\n".join(map(history.tell, n.slowest.values()))
        assert n.late <= n.ops / LATE_OF, f"{n.late} of {n.ops} calls were late\n{slowest}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=25)
    arguments.add_argument("--minutes", type=float)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--only", choices=sorted(FAULTS))
    arguments.add_argument("--warm", choices=["on", "off"], help="the warm tier of all hosts")
    arguments.add_argument("--first", action="store_true", help="end at the first round that went wrong")
    arguments.add_argument("--keep", help="where files of rounds that went wrong stay")
    options = arguments.parse_args()
    options.seconds = options.minutes * 60 if options.minutes else options.seconds
    folder = options.keep or tempfile.mkdtemp(prefix="larder-nemesis.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    os.makedirs(folder, exist_ok=True)
    report, fleet = tap.Report(), Fleet()
    try:
        play(options, report, fleet, folder)
    except AssertionError as error:
        report.say(False, f"the fleet comes back, seed {options.seed}", f"{error}\n{fleet.logs()}")
    finally:
        fleet.finish()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    report.end()


if __name__ == "__main__":
    main()
