"""Many callers who want the same thing at once: a process with a LEASE in flight for each of them, so many a connection
as may wait there.

    group = Callers(larder)
    group.want("k", 100)
    until(lambda: group.report()["leases"] == 1, "one of them is the loader")
    group.fill("v")

What a group was given and told so far is its report: {waiting, leases, loads, statuses, values, loaded}.  A group loads
only when it is told to, so a test sees everybody wait before anything is filled."""

import collections
import json
import os
import selectors
import subprocess
import sys
import time

import wire_client as wire
from scenario import until

WAITING_A_CONNECTION = 100  # of the 112 that the daemon allows with its defaults
NAMES = {wire.HIT: "HIT", wire.ABSENT: "ABSENT", wire.MISS: "MISS", wire.LEASED: "LEASE", wire.WAIT: "WAIT",
         wire.LOAD_FAILED: "LOAD_FAILED", wire.LIMIT: "LIMIT", wire.BUSY: "BUSY"}


class Callers:
    """The test's end."""

    def __init__(self, larder):
        env = {**larder.environment(), "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), larder.socket], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        larder.others.append(self.process)
        self.report()

    def tell(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def want(self, key, count, **options):
        return self.tell("want", key, count, options)

    def fill(self, value, **options):
        """With every lease the group holds; the statuses."""
        return self.tell("fill", value, options)

    def fail(self, backoff_ms=0):
        return self.tell("fail", backoff_ms)

    def report(self):
        return self.tell("report")

    def times(self):
        return self.tell("times")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Group:
    """The process."""

    def __init__(self, path):
        self.path, self.clients = path, []
        self.eyes = selectors.DefaultSelector()
        self.keys, self.leases = {}, {}  # by client and id: those in flight, those held
        self.loads = self.last_ns = self.filled_ns = 0
        self.statuses, self.values, self.loaded = collections.Counter(), collections.Counter(), 0

    def want(self, key, count, options):
        for _ in range(count):
            client = self.client_with_room()
            id = client.send_lease([key.encode()], **{"wait_ms": 60000, **options})
            self.keys[client, id] = key.encode()
        return self.report()

    def client_with_room(self):
        """Those that have answered everything first, so that a group that asks again opens nothing new."""
        load = collections.Counter(client for client, _ in self.keys)
        for client in self.clients:
            if load[client] < WAITING_A_CONNECTION:
                return client
        self.clients.append(client := wire.Client(self.path, seconds=30))
        self.eyes.register(client.socket, selectors.EVENT_READ, client)
        return client

    def take(self, client, message):
        code, id, fields = message
        assert code == wire.VALUES, (code, fields)
        entry, key = wire.Entry(*fields[0][0][:13]), self.keys.pop((client, id))
        self.last_ns = time.monotonic_ns()
        self.statuses[NAMES.get(entry.status, str(entry.status))] += 1
        if entry.status == wire.HIT:
            self.values[entry.value.decode()] += 1
        self.loaded += bool(entry.flags & wire.LOADED)
        if entry.token and entry.status != wire.MISS:
            self.leases[client, id] = (key, entry.token)
            self.loads += 1

    def answer_to(self, client, wanted):
        """Those that come first are answers to callers."""
        while (message := client.receive())[1] != wanted:
            self.take(client, message)
        return message[2]

    def fill(self, value, options):
        self.filled_ns = time.monotonic_ns()
        options["tags"] = [tag.encode() for tag in options.get("tags", ())]
        outcomes = []
        for (client, _), (key, token) in self.leases.items():
            item = client.item(key, value.encode(), token=token, **options)
            outcomes.append(self.answer_to(client, client.send(wire.SET, 0, 0, 0, [item]))[0][0][0])
        self.leases.clear()
        return outcomes

    def fail(self, backoff_ms):
        outcomes = [self.answer_to(client, client.send(wire.FAIL, key, token, backoff_ms))[0]
                    for (client, _), (key, token) in self.leases.items()]
        self.leases.clear()
        return outcomes

    def report(self):
        return {"waiting": len(self.keys), "leases": len(self.leases), "loads": self.loads, "loaded": self.loaded,
                "statuses": dict(self.statuses), "values": dict(self.values)}

    def times(self):
        """When the last answer came, and when the last fill was sent; one clock for all groups."""
        return [self.last_ns, self.filled_ns]

    def obey(self, words):
        return getattr(self, words[0])(*words[1:])

    def run(self):
        self.eyes.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in self.eyes.select():
                if key.data:
                    self.take(key.data, key.data.receive())
                elif line := sys.stdin.readline():
                    print(json.dumps(self.obey(json.loads(line))), flush=True)
                else:
                    return


def totals(groups):
    """The reports of all, added up."""
    whole = collections.Counter()
    for report in (group.report() for group in groups):
        for name, what in report.items():
            whole.update(what if isinstance(what, dict) else {name: what})
    return whole


def holder_of(groups):
    return until(lambda: next((group for group in groups if group.report()["leases"]), None), "somebody loads")


def until_answered(groups, count):
    until(lambda: sum(sum(group.report()["statuses"].values()) for group in groups) == count, f"{count} answers")


def waiting_on(client, key=b"k"):
    """How many the daemon of this client lets wait for the key's loader."""
    lease = client.document(wire.EXPLAIN, key)["lease"]
    return lease["waiting"] if lease else 0


if __name__ == "__main__":
    try:
        Group(sys.argv[1]).run()
    except (wire.Closed, OSError):
        pass  # the daemon ended; what the test expects of that it says itself
