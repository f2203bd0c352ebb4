"""server/doc/semantics.md says what is answered in which state: each cell of its tables is asked of a real daemon.

`--fix` writes the tables anew from the answers."""

import os
import re
import sys

import tap
import wire_client as wire
from callers import waiting_on
from fleet import Fleet
from scenario import Larder, until
from tree import ROOT

DOC = os.path.join(ROOT, "server/doc/semantics.md")
MARKED = re.compile(r"(<!-- table (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LONG = 600000
STATUSES = {value: name for name, value in vars(wire).items() if name in (
    "OK HIT ABSENT NOT_MODIFIED QUEUED LOCAL SKIPPED MISS EXISTS NOT_FOUND CONFLICT REFUSED WAIT LOAD_FAILED LIMIT BUSY "
    "TOO_BIG DETACHED UNKNOWN BAD_KEY").split()}
STATUSES[wire.LEASED] = "LEASE"
# Whether an entry was never there, has ended or was invalidated is forgotten as time goes by.
REASONS = {wire.REASON_SUSPECT: "suspect", wire.REASON_DETACHED: "detached", wire.REASON_STALE: "stale"}
FLAGS = {wire.STALE: "stale", wire.IS_LOCAL: "local", wire.IS_DETACHED: "detached", wire.LOADED: "loaded"}


# ---- words for answers ----

def told(entry):
    words = [STATUSES[entry.status]]
    words += [REASONS[entry.reason]] if entry.status == wire.MISS and entry.reason in REASONS else []
    words += [word for flag, word in FLAGS.items() if entry.flags & flag]
    lease = " + lease" if entry.token and entry.status not in (wire.MISS, wire.LEASED) else ""
    return " ".join(words) + lease


class Place:
    """A key of its own, two connections, and what is known of the entry that is or was there."""

    def __init__(self, larder, name):
        self.larder, self.key = larder, name.encode()
        self.a, self.b, self.c = larder.client(), larder.client(), larder.client()
        self.version = (1, 1, 1)

    def put(self, **item):
        got = self.a.set(self.key, b"" if item.get("absent") else b"v1", **{"ttl_ms": LONG, **item})
        assert got.status == wire.OK, got
        self.version = (got.epoch, got.v, got.id)

    def found(self):
        entry = self.a.get(self.key)
        return told(entry) + (f" {entry.value.decode()}" if entry.status == wire.HIT else "")


# ---- states ----

def nothing(p):
    pass


def fresh(p):
    p.put()


def absent(p):
    p.put(absent=True)


def stale_by_age(p):
    p.put(ttl_ms=1, stale_ms=LONG)
    until(lambda: p.a.get(p.key).flags & wire.STALE, "it is stale")


def stale_by_invalidation(p):
    p.put()
    p.a.invalidate(keys=[p.key], soft=True)


def expired(p):
    p.put(ttl_ms=1)
    until(lambda: p.a.get(p.key).status == wire.MISS, "it is gone")


def invalidated(p):
    p.put()
    p.a.invalidate(keys=[p.key])


def tag_invalidated(p):
    p.put(tags=[p.key])
    p.a.invalidate(tags=[p.key])


def loading(p):
    assert p.b.lease(p.key).status == wire.LEASED


def refreshing(p):
    stale_by_age(p)
    assert p.b.lease(p.key).token


def load_failed(p):
    loading_token = p.b.lease(p.key).token
    p.b.fail(p.key, loading_token, LONG)


def refresh_failed(p):
    stale_by_age(p)
    p.b.fail(p.key, p.b.lease(p.key).token, LONG)


STATES = {
    "never stored": nothing, "fresh": fresh, "known not to exist": absent, "past its ttl, within its stale time": stale_by_age,
    "softly invalidated": stale_by_invalidation, "past its end": expired, "invalidated by key": invalidated,
    "invalidated by tag": tag_invalidated, "being loaded": loading, "stale, being refreshed": refreshing,
    "its load failed": load_failed, "stale, its refresh failed": refresh_failed,
}

READS = {
    "get": lambda p: told(p.a.get(p.key)),
    "get, no stale": lambda p: told(p.a.get(p.key, flags=1)),
    "get, if_version": lambda p: told(p.a.get(p.key, flags=4, version=p.version)),
    "lease": lambda p: told(p.a.lease(p.key)),
    "lease, no stale": lambda p: told(p.a.lease(p.key, flags=1)),
    "lease, tiers": lambda p: told(p.a.lease(p.key, tiers=1 << wire.L1)),
}


def write(p, flags=0, **item):
    got = p.a.set(p.key, item.pop("value", b"v2"), flags=flags, **{"ttl_ms": LONG, **item})
    return f"{STATUSES[got.status]} → {p.found()}"


WRITES = {
    "set": write,
    "set, if_absent": lambda p: write(p, wire.IF_ABSENT),
    "set, if_present": lambda p: write(p, wire.IF_PRESENT),
    "set, its version": lambda p: write(p, wire.IF_VERSION, version=p.version),
    "set, another version": lambda p: write(p, wire.IF_VERSION, version=(1, 2, 3)),
    "set, ttl 0": lambda p: write(p, ttl_ms=0),
    "set, too large": lambda p: write(p, value=bytes(p.a.welcome.value_max + 1)),
    "touch": lambda p: f"{STATUSES[p.a.touch(p.key, 2 * LONG).status]} → {p.found()}",
}
WRITTEN = ["never stored", "fresh", "known not to exist", "past its ttl, within its stale time", "past its end", "invalidated by key",
           "being loaded"]


# ---- loading ----

HAPPENINGS = {
    "nothing": lambda p: None,
    "another tag is invalidated": lambda p: p.a.invalidate(tags=[b"sound"]),
    "its tag is invalidated": lambda p: p.a.invalidate(tags=[b"colour"]),
    "its tag is softly invalidated": lambda p: p.a.invalidate(tags=[b"colour"], soft=True),
    "its key is invalidated": lambda p: p.a.invalidate(keys=[p.key]),
    "its prefix is invalidated": lambda p: p.a.invalidate(prefixes=[p.key.split(b":")[0] + b":"]),
    "a glob that it matches is invalidated": lambda p: p.a.invalidate(globs=[p.key.split(b":")[0] + b":*"]),
    "everything is invalidated": lambda p: p.a.invalidate(all=True),
    "somebody sets it": lambda p: p.a.set(p.key, b"v2"),
    "the holder's connection ends": lambda p: p.holder.close(),
}


def answered(client, id):
    return told(wire.Entry(*client.receive()[2][0][0][:13]))


def load(p, happen):
    """The cells of a row: the fill, who waited before, who came after, and what a get finds then."""
    p.holder = p.larder.client()
    token = p.holder.lease(p.key).token
    before = p.b.send_lease([p.key], wait_ms=LONG)
    until(lambda: waiting_on(p.a, p.key) == 1, "one waits")
    happen(p)
    late = p.c.send_lease([p.key], wait_ms=100 if happen is HAPPENINGS["the holder's connection ends"] else LONG)
    p.a.ping()
    filler = p.a if p.holder.socket.fileno() < 0 else p.holder
    outcome = filler.set(p.key, b"v1", token=token, tags=[b"colour"], ttl_ms=LONG)
    first, second = answered(p.b, before), answered(p.c, late)
    return [STATUSES[outcome.status], first, second, p.found()]


LOADED = ["the fill", "who waited before", "who came after", "then, a get"]


# ---- detached ----

AWAY = {
    "get": lambda p: told(p.a.get(p.key)),
    "lease": lambda p: told(p.a.lease(p.key, scope=wire.FLEET)),
    "set": write,
    "set, if_present": lambda p: STATUSES[p.a.set(p.key, b"v2", flags=wire.IF_PRESENT).status],
    "touch": lambda p: STATUSES[p.a.touch(p.key, LONG).status],
    "invalidate": lambda p: f"{STATUSES[p.a.invalidate(keys=[p.key]).status]} → {p.found()}",
}
AWAY_STATES = ["never stored", "fresh", "past its ttl, within its stale time"]


# ---- tables ----

def rows_of(larder, states, columns):
    for row, state in states.items():
        cells = []
        for number, ask in enumerate(columns.values()):
            place = Place(larder, f"{state.__name__}{number}:k")
            state(place)
            cells.append(ask(place))
        yield row, cells


def loading_rows(larder):
    for number, (row, happen) in enumerate(HAPPENINGS.items()):
        yield row, load(Place(larder, f"load{number}:k"), happen)


def detached_rows(fleet):
    host, = fleet.start(1)
    states = {name: STATES[name] for name in AWAY_STATES}
    places = {(row, column): Place(host, f"{states[row].__name__}{number}:k") for row in states
              for number, column in enumerate(AWAY)}
    for (row, _), place in places.items():
        states[row](place)
    probe = Place(host, "probe")
    probe.put()
    host.leave_redis()
    until(lambda: probe.a.get(probe.key).flags & wire.IS_DETACHED, "the last promise of freshness has run out")
    for row in states:
        yield row, [ask(places[row, column]) for column, ask in AWAY.items()]


def text_of(head, columns, rows):
    lines = [[head, *columns], ["---"] * (len(columns) + 1), *[[row, *cells] for row, cells in rows]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def with_larder(make):
    larder = Larder()
    try:
        return make(larder.start())
    finally:
        larder.finish()


def with_fleet(make):
    fleet = Fleet()
    try:
        return make(fleet)
    finally:
        fleet.finish()


TABLES = {
    "reading": lambda: with_larder(lambda l: text_of("the key is", READS, rows_of(l, STATES, READS))),
    "writing": lambda: with_larder(lambda l: text_of("the key is", WRITES, rows_of(l, {s: STATES[s] for s in WRITTEN}, WRITES))),
    "loading": lambda: with_larder(lambda l: text_of("meanwhile", LOADED, loading_rows(l))),
    "detached": lambda: with_fleet(lambda f: text_of("the key was", AWAY, detached_rows(f))),
}


def main():
    with open(DOC, encoding="utf-8") as file:
        doc = file.read()
    if "--fix" in sys.argv:
        doc = MARKED.sub(lambda m: m[1] + TABLES[m[2]]() + m[4], doc)
        with open(DOC, "w", encoding="utf-8") as file:
            file.write(doc)
        return
    report = tap.Report()
    for match in MARKED.finditer(doc):
        with report.case(f"each cell of the table {match[2]} is what a daemon answers"):
            written, real = match[3].splitlines(), TABLES[match[2]]().splitlines()
            assert written == real, "\n".join(f"{w}\n{r}" for w, r in zip(written, real) if w != r) or "rows are missing"
    report.end()


if __name__ == "__main__":
    main()
