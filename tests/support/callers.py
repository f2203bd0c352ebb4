"""Many callers who want the same thing at once: a process with one connection and a LEASE in flight for each of them.

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

import wire_client as wire

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

    def kill(self):
        self.process.kill()
        self.process.wait()


class Group:
    """The process."""

    def __init__(self, path):
        self.client = wire.Client(path, seconds=30)
        self.keys, self.leases = {}, {}  # by id: those in flight, those held
        self.loads = 0
        self.statuses, self.values, self.loaded = collections.Counter(), collections.Counter(), 0

    def want(self, key, count, options):
        for _ in range(count):
            self.keys[self.client.send_lease([key.encode()], **{"wait_ms": 60000, **options})] = key.encode()
        return self.report()

    def take(self):
        code, id, fields = self.client.receive()
        assert code == wire.VALUES, (code, fields)
        entry, key = wire.Entry(*fields[0][0][:13]), self.keys.pop(id)
        self.statuses[NAMES.get(entry.status, str(entry.status))] += 1
        if entry.status == wire.HIT:
            self.values[entry.value.decode()] += 1
        self.loaded += bool(entry.flags & wire.LOADED)
        if entry.token and entry.status != wire.MISS:
            self.leases[id] = (key, entry.token)
            self.loads += 1

    def calm(self, call):
        """The answer of a call that others in flight may overtake."""
        wanted = call()
        while True:
            code, id, fields = self.client.receive()
            if id == wanted:
                return fields
            self.client.pushed = (code, id, fields)
            self.take_pushed()

    def take_pushed(self):
        receive, message = self.client.receive, self.client.pushed
        self.client.receive = lambda: message
        try:
            self.take()
        finally:
            self.client.receive = receive

    def fill(self, value, options):
        outcomes = []
        for key, token in self.leases.values():
            item = self.client.item(key, value.encode(), token=token, **{"tags": [t.encode() for t in options.get("tags", ())],
                                    **{k: v for k, v in options.items() if k != "tags"}})
            fields = self.calm(lambda: self.client.send(wire.SET, 0, 0, 0, [item]))
            outcomes.append(fields[0][0][0])
        self.leases.clear()
        return outcomes

    def fail(self, backoff_ms):
        outcomes = [self.calm(lambda: self.client.send(wire.FAIL, key, token, backoff_ms))[0]
                    for key, token in self.leases.values()]
        self.leases.clear()
        return outcomes

    def report(self):
        return {"waiting": len(self.keys), "leases": len(self.leases), "loads": self.loads, "loaded": self.loaded,
                "statuses": dict(self.statuses), "values": dict(self.values)}

    def obey(self, words):
        return getattr(self, words[0])(*words[1:])

    def run(self):
        eyes = selectors.DefaultSelector()
        eyes.register(self.client.socket, selectors.EVENT_READ)
        eyes.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in eyes.select():
                if key.fileobj is not sys.stdin:
                    self.take()
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


if __name__ == "__main__":
    try:
        Group(sys.argv[1]).run()
    except (wire.Closed, OSError):
        pass  # the daemon ended; what the test expects of that it says itself
