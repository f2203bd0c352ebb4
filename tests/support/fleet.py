"""A fleet on one machine: throw-away Redis servers, sidecars with homes of their own, a proxy before each of them.

    def a_value_set_on_one_host_is_read_on_the_other(fleet):
        a, b = fleet.start(2)
        ...
    play(a_value_set_on_one_host_is_read_on_the_other)

Nothing sleeps: `until` waits for what can be observed, which is the state a host shows, its counters, what its L1 holds,
and what Redis or the proxy say.  Whatever a case started is ended by its process id.

LARDER_TEST_WARM=on|off decides about the warm tier of all hosts; without it their own default does."""

import errno
import itertools
import os
import subprocess

import tap
import wire_client as wire
from clock import Clock
from proxy import Proxy
from redis_client import Redis
from scenario import SECONDS, Larder, die_with_parent, expect, until

# A host that joins holds what was read through it, and nothing because it is hot on another one.
HOST_OPTIONS = {"l1_bytes": "4MiB", "warm_bytes": "64MiB", "hot_list": "0"}
PATIENT = "2s"    # for an answer of Redis: a busy machine is not what scenarios are about
BY_DEFAULT = "250ms"  # what the daemon has by itself, for those that are about it


class ClockedRedis(Redis):
    """A server whose wall clock can be stepped."""

    def __init__(self):
        super().__init__()
        self.clock = Clock(os.path.join(self.home, "clock"))
        self.environment = {**os.environ, **self.clock.environment()}

    def step(self, seconds):
        self.clock.step(seconds)


class Room:
    """A small tmpfs that only those see who enter here, so that it can be full without anybody else noticing."""

    def __init__(self, path, size):
        os.makedirs(path, exist_ok=True)
        self.path = path
        mount = 'mount -t tmpfs -o size="$1" none "$2" && echo ready && exec cat'
        self.keeper = subprocess.Popen(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", size, path],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       preexec_fn=die_with_parent)
        self.ready = self.keeper.stdout.readline() == b"ready\n"

    def command(self, command):
        return ["nsenter", "--target", str(self.keeper.pid), "--user", "--mount", "--preserve-credentials", *command]

    def filler(self):
        return f"/proc/{self.keeper.pid}/root{self.path}/filler"

    def fill(self):
        with open(self.filler(), "wb", buffering=0) as file:
            for piece in (1 << 20, 4096):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def clear(self):
        os.unlink(self.filler())

    def end(self):
        self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stdout.close()


class Host(Larder):
    """One sidecar.  `redis` and `namespace` are options of those sections, as they stand in a configuration; with `room`
    its state lies on a tmpfs of that size, where that is possible."""

    def __init__(self, name, server, redis=None, namespace=None, namespaces=("default",), proxied=True, room=None):
        super().__init__()
        self.room = Room(self.state, room) if room else None
        self.name, self.server = name, server
        self.proxy = Proxy(server.path) if proxied else None
        warm = os.environ.get("LARDER_TEST_WARM")
        self.redis_options = {"url": f"redis://127.0.0.1:{self.proxy.port}" if proxied else f"unix:{server.path}",
                              "command_timeout": PATIENT, **(redis or {})}
        self.space_options = {**HOST_OPTIONS, **({"warm": warm} if warm else {}), **(namespace or {})}
        self.namespaces, self.asker = namespaces, None
        self.configure_fleet()

    def configure_fleet(self, **redis):
        self.redis_options.update(redis)
        sections = [("redis", self.redis_options)]
        sections += [(f"namespace {name}", self.space_options) for name in self.namespaces]
        self.configure("".join(f"[{title}]\n" + "".join(f"{k} = {v}\n" for k, v in options.items())
                               for title, options in sections))

    def wrapped(self, command):
        return self.room.command(command) if self.room and self.room.ready else command

    # ---- what it shows ----

    def ask(self):
        """A connection kept for looking, made anew with the daemon."""
        if self.asker is None or self.asker[0] != self.daemon.pid:
            self.asker = (self.daemon.pid, self.client(self.namespaces[0]))
        return self.asker[1]

    def stats(self):
        return self.ask().stats()

    def health(self):
        return self.ask().health()

    def mode(self):
        return self.stats()["state"]

    def figure(self, name, namespace="default"):
        return self.stats()["namespaces"][namespace]["cache"][name]

    def trouble(self):
        return self.stats()["redis"].get("trouble")

    def holds(self, key):
        """Does its L1 hold an entry of this key, dead or alive?"""
        return self.ask().document(wire.EXPLAIN, key)["l1"]["present"]

    def is_fresh(self):
        """In the fleet, and a fence came back: what the next absence counts from."""
        stats = self.stats()
        return stats["state"] == "FRESH" and "trouble" not in stats["redis"] and self.health()["redis_latency_ms"]

    def told(self):
        """For a failure's report, whatever state it is in."""
        try:
            with wire.Client(self.socket, seconds=1) as client:
                stats = client.stats()
            return f"{stats['state']} {stats['redis']} {self.proxy.count() if self.proxy else ''}"
        except (OSError, wire.Closed, wire.Refused) as error:
            return repr(error)

    # ---- barriers ----

    def until_mode(self, state, seconds=SECONDS):
        until(lambda: self.mode() == state, f"host {self.name} is {state}", seconds)

    def until_fresh(self, seconds=SECONDS):
        until(self.is_fresh, f"host {self.name} is in the fleet", seconds)
        return self

    def until_gone(self, key, seconds=SECONDS):
        until(lambda: not self.holds(key), f"host {self.name} has dropped {key!r}", seconds)

    def until_missed(self, key, seconds=SECONDS):
        until(lambda: self.ask().get(key).status == wire.MISS, f"host {self.name} misses {key!r}", seconds)

    def until_counted(self, name, count, seconds=SECONDS):
        until(lambda: self.figure(name) >= count, f"{name} of host {self.name} has reached {count}", seconds)

    def has_read(self, key, value):
        """It holds this value in its L1, having read it."""
        until(lambda: self.ask().get(key).value == value and self.holds(key), f"host {self.name} holds {key!r}")
        return self

    # ---- its life ----

    def join(self, *flags, **options):
        self.start(*flags, **options)
        return self.until_fresh()

    def leave_redis(self):
        """The network to Redis is cut and stays so."""
        self.proxy.tell("refuse")
        self.proxy.tell("cut")
        self.until_mode("DETACHED")

    def return_to_redis(self):
        self.proxy.tell("accept")
        self.until_fresh()

    def finish(self):
        try:
            super().finish()
        finally:
            if self.proxy:
                self.proxy.stop()
            if self.room:
                self.room.end()


class Fleet:
    def __init__(self):
        self.servers, self.hosts = [], []
        self.numbers = itertools.count()

    def redis(self, **options):
        self.servers.append(ClockedRedis())
        return self.servers[-1].start(**options)

    def host(self, **options):
        """Not started yet."""
        if not self.servers:
            self.redis()
        self.hosts.append(Host("abcdefgh"[len(self.hosts)], self.servers[0], **options))
        return self.hosts[-1]

    def start(self, count, **options):
        """`count` hosts on one Redis, all in the fleet."""
        hosts = [self.host(**options) for _ in range(count)]
        for host in hosts:
            host.start()
        for host in hosts:
            host.until_fresh()
        return hosts

    def share(self, key, value, *hosts, **item):
        """The first host sets it, which may take it more than one command timeout; the others have it in their L1."""
        until(lambda: hosts[0].ask().set(key, value, **item).status == wire.OK, f"set {key!r}")
        for host in hosts:
            host.has_read(key, value)

    def told(self, by, *hosts):
        """Everything `by` changed so far, in partition 0, is known to these hosts: the journal has an order."""
        key = b"barrier-%d" % next(self.numbers)
        self.share(key, b"up", by, *hosts)
        expect(by.ask().invalidate(keys=[key]).status, wire.OK, "barrier")
        for host in hosts:
            host.until_gone(key)

    def logs(self):
        return "".join(f"--- host {host.name}: {host.told()}\n{host.log()[-3000:]}\n" for host in self.hosts)

    def finish(self):
        errors = []
        for one in [*self.hosts, *self.servers]:
            try:
                one.finish()
            except AssertionError as error:
                errors.append(str(error))
        assert not errors, "\n".join(errors)


def play(*cases):
    report = tap.Report()
    for case in cases:
        with report.case(case.__name__.replace("_", " ")):
            fleet = Fleet()
            try:
                case(fleet)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{fleet.logs()}") from error
            finally:
                fleet.finish()
    report.end()
