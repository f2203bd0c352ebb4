"""Answers of Redis that were on their way while something newer happened enter nothing (I3, I7, F8).

The proxy holds what Redis says; the order in which the three connections get it afterwards is open, and each must do."""

import wire_client as wire
from fleet import play
from scenario import expect, until

PATIENT = {"command_timeout": "10s"}
ROUNDS = 10


def held_read(host, key):
    """A get that misses L1; its answer waits in the proxy.  The client to receive it with."""
    before = host.proxy.count().held
    host.proxy.tell("hold", "down")
    asking = host.client()
    asking.send(wire.GET, 0, 0, 5000, 0, 0, 0, [key])
    until(lambda: host.proxy.count().held > before, "Redis answered into the proxy")
    return asking


def answer_of(asking):
    return wire.Entry(*asking.receive()[2][0][0])


def a_read_overtaken_by_the_journal_leaves_nothing_old_behind(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    for n in range(ROUNDS):
        key = b"k%d" % n
        b.ask().set(key, b"old")
        fleet.told(b, a)
        asking = held_read(a, key)
        expect(b.ask().set(key, b"new").status, wire.OK)
        a.proxy.tell("release", "down")
        answer_of(asking)  # either: it began before
        fleet.told(b, a)
        expect(a.ask().get(key).value, b"new")


def a_read_under_way_while_its_key_is_invalidated_here_is_not_inserted(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    for n in range(ROUNDS):
        key = b"k%d" % n
        b.ask().set(key, b"old")
        asking, changing = held_read(a, key), a.client()
        changing.send(wire.INVALIDATE, 0, 5000, [key], [], [], [])
        until(lambda: b.ask().get(key).status == wire.MISS, "the invalidation is committed")
        a.proxy.tell("release", "down")
        expect(changing.receive()[2][0], wire.OK)
        expect(a.ask().get(key).status, wire.MISS, "after OK")
        answer_of(asking)


def nobody_joins_a_read_that_began_before_an_invalidation(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    a.ask().set(b"k", b"old", tiers=1 << 3)  # in Redis alone
    b.ask().set(b"k", b"old")
    asking, changing = held_read(a, b"k"), a.client()
    changing.send(wire.INVALIDATE, 0, 5000, [b"k"], [], [], [])
    until(lambda: b.ask().get(b"k").status == wire.MISS, "the invalidation is committed")
    a.proxy.tell("release", "down")
    expect(changing.receive()[2][0], wire.OK)
    late = a.client()
    expect(late.get(b"k").status, wire.MISS)
    answer_of(asking)


def own_changes_take_effect_in_the_order_of_their_positions(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    b.ask().set(b"k", b"b")
    fleet.told(b, a)
    a.proxy.tell("hold", "down")
    setting = a.client()
    setting.send(wire.SET, 0, 0, 5000, [setting.item(b"k", b"a")])
    until(lambda: b.ask().get(b"k").value == b"a", "the set of the first host is committed")
    expect(b.ask().invalidate(keys=[b"k"]).status, wire.OK)
    a.proxy.tell("release", "down")
    expect(setting.receive()[2][0][0][0], wire.OK, "it was stored, before it was invalidated")
    a.until_missed(b"k")


play(a_read_overtaken_by_the_journal_leaves_nothing_old_behind,
     a_read_under_way_while_its_key_is_invalidated_here_is_not_inserted,
     nobody_joins_a_read_that_began_before_an_invalidation,
     own_changes_take_effect_in_the_order_of_their_positions)
