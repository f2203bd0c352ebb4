"""A sidecar of a fleet stopped, or killed, and started again: what it missed it does not serve (C1, C11)."""

import wire_client as wire
from fleet import play
from scenario import expect

MANY = 500


def it_stops_cleanly_whatever_its_connections_do(fleet):
    a, = fleet.start(1)
    for n in range(5):
        a.ask().set(b"k%d" % n, b"v")
        a.restart()
        a.until_fresh(20)


def it_stops_cleanly_while_redis_is_away_or_silent(fleet):
    a, b = fleet.start(2)
    a.leave_redis()
    a.stop()
    b.proxy.tell("hold", "both")
    b.stop()


def missed_while_it_was_gone(fleet, go):
    a, b = fleet.start(2)
    keys = [b"user:%d" % n for n in range(MANY)]
    for host in (a, b):
        client = host.ask()
        for key in keys if host is a else []:
            expect(client.set(key, b"old", tags=[b"t"]).status, wire.OK)
        expect(sum(e.value == b"old" for e in client.mget(keys)), MANY, f"read on host {host.name}")
    fleet.told(a, b)
    go(b)
    expect(a.ask().invalidate(keys=keys[:MANY // 2]).status, wire.OK)
    b.start()
    unflagged = [e for e in b.ask().mget(keys)[:MANY // 2] if e.status == wire.HIT and not e.flags & wire.IS_DETACHED]
    expect(len(unflagged), 0, "of those it missed, before it knows")
    b.until_fresh(20)
    found = b.ask().mget(keys)
    expect(sum(e.status == wire.HIT for e in found[:MANY // 2]), 0, "of those it missed")
    expect(sum(e.value == b"old" for e in found[MANY // 2:]), MANY - MANY // 2, "of those nobody touched")


def killed_it_serves_nothing_of_what_it_missed(fleet):
    missed_while_it_was_gone(fleet, lambda host: host.kill9())


def stopped_it_serves_nothing_of_what_it_missed(fleet):
    missed_while_it_was_gone(fleet, lambda host: host.stop())


def it_serves_nothing_of_what_it_missed_before_it_tried_to_join(fleet):
    a, b = fleet.start(2, redis={"connect_timeout": "5s"})
    fleet.share(b"k", b"old", a, b)
    b.stop()
    expect(a.ask().invalidate(keys=[b"k"]).status, wire.OK)
    b.proxy.tell("hold", "both")
    b.start()
    expect(b.mode(), "SUSPECT", "Redis may be there")
    expect(b.ask().get(b"k").status, wire.MISS, "not even flagged")
    answer = b.ask().set(b"l", b"new")
    assert answer.status in (wire.QUEUED, wire.LOCAL), answer
    expect(b.ask().get(b"l").status, wire.MISS, "kept by nobody")
    b.until_mode("DETACHED")
    got = b.ask().get(b"k")
    expect((got.value, bool(got.flags & wire.IS_DETACHED)), (b"old", True), "it could not be asked")
    b.proxy.tell("release", "both")
    b.until_fresh(20)
    expect(b.ask().get(b"k").status, wire.MISS, "of what it missed")


def it_is_one_host_however_often_it_starts(fleet):
    for warm in ("off", "on"):
        a = fleet.host(namespace={"warm": warm})
        for end in (a.stop, a.kill9, a.stop):
            a.join()
            end()
    expect(fleet.servers[0].client().call("ZCARD", "{default}:hosts"), 2)


def an_acknowledged_change_survives_the_kill_of_its_host(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    fleet.share(b"l", b"old", a, b)
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    expect(a.ask().invalidate(keys=[b"l"]).status, wire.OK)
    a.kill9()
    a.join()
    expect((a.ask().get(b"k").value, a.ask().get(b"l").status), (b"new", wire.MISS))
    b.until_gone(b"l")
    expect(b.ask().get(b"k").value, b"new")


play(it_stops_cleanly_whatever_its_connections_do, it_stops_cleanly_while_redis_is_away_or_silent,
     killed_it_serves_nothing_of_what_it_missed, stopped_it_serves_nothing_of_what_it_missed,
     it_serves_nothing_of_what_it_missed_before_it_tried_to_join, it_is_one_host_however_often_it_starts,
     an_acknowledged_change_survives_the_kill_of_its_host)
