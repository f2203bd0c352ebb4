"""Three connections, one session, one fate: whichever is cut, the host comes back and has missed nothing (I9, C10)."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def connections(redis, name):
    """Ids of the connections that call themselves so."""
    lines = redis.call("CLIENT", "LIST").decode().splitlines()
    fields = [dict(word.split("=", 1) for word in line.split()) for line in lines]
    return {field["id"] for field in fields if field.get("name") == name}


def survives_the_end_of(fleet, name):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    redis = fleet.servers[0].client()
    before = {kind: connections(redis, kind) for kind in ("larder-control", "larder-tail", "larder-data")}
    for id in before[name]:
        expect(redis.call("CLIENT", "KILL", "ID", id), 1)
    changed = b.client().set(b"k", b"new").status
    assert changed in (wire.OK, wire.UNKNOWN, wire.LOCAL, wire.QUEUED), changed
    for kind, ids in before.items():
        until(lambda: len(connections(redis, kind) - ids) == 2, f"all of {kind} are new ones")
    for host in (a, b):
        host.until_fresh()
    got = a.ask().get(b"k")
    assert got.value != b"old", got
    expect(a.ask().set(b"k", b"newer").status, wire.OK)
    until(lambda: b.ask().get(b"k").value == b"newer", "the other host knows")


def control(fleet):
    survives_the_end_of(fleet, "larder-control")


def tail(fleet):
    survives_the_end_of(fleet, "larder-tail")


def data(fleet):
    survives_the_end_of(fleet, "larder-data")


def what_was_missed_meanwhile_is_caught_up(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    fleet.share(b"beside", b"v", a, b)
    b.leave_redis()
    expect(a.ask().invalidate(keys=[b"k"]).status, wire.OK)
    b.return_to_redis()
    expect(b.ask().get(b"k").status, wire.MISS)
    expect(b.ask().get(b"beside", tiers=1 << wire.L1).value, b"v", "kept, and vouched for again")
    expect(b.figure("gaps"), 0)


play(control, tail, data, what_was_missed_meanwhile_is_caught_up)
