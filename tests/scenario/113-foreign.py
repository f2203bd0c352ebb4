"""Foreign values at our keys: clear trouble, never a crash, never a wrong value (D1, F16)."""

import os

import wire_client as wire
from fleet import play
from scenario import expect, until


def at_an_entry_it_is_a_miss(fleet):
    a, b = fleet.start(2)
    redis = fleet.servers[0].client()
    for n, value in enumerate([b"", b"text", os.urandom(48), os.urandom(4000), b"\xff" * 100000]):
        key = b"k%d" % n
        redis.call("SET", b"{default}:e:" + key, value)
        expect(a.ask().get(key).status, wire.MISS, f"{len(value)} bytes")
    redis.call("LPUSH", "{default}:e:list", "x")
    assert a.ask().get(b"list").status == wire.MISS
    a.until_fresh()


def at_an_entry_a_set_overwrites_it_and_a_fill_does_not(fleet):
    a, b = fleet.start(2)
    redis = fleet.servers[0].client()
    redis.call("SET", "{default}:e:k", "theirs")
    token = a.ask().get(b"k").token
    expect(a.ask().set(b"k", b"ours", token=token).status, wire.REFUSED)
    expect(redis.call("GET", "{default}:e:k"), b"theirs")
    expect(a.ask().set(b"k", b"ours").status, wire.OK)
    expect(b.ask().get(b"k").value, b"ours")


def an_entry_cut_short_or_changed_is_a_miss(fleet):
    a, b = fleet.start(2)
    redis = fleet.servers[0].client()
    a.ask().set(b"k", b"v" * 200, tags=[b"t"])
    whole = redis.call("GET", "{default}:e:k")
    for n in range(0, len(whole), 7):
        redis.call("SET", "{default}:e:k", whole[:n])
        expect(b.ask().get(b"k").status, wire.MISS, f"the first {n} bytes")
        changed = bytes(byte ^ 0x40 if at == n else byte for at, byte in enumerate(whole))
        redis.call("SET", "{default}:e:k", changed)
        got = b.ask().get(b"k")
        assert got.status == wire.MISS or got.value == b"v" * 200, f"byte {n} changed: {got}"
        b.ask().invalidate(keys=[b"k"])


def another_entry_under_this_name_is_a_miss(fleet):
    a, b = fleet.start(2)
    redis = fleet.servers[0].client()
    a.ask().set(b"k", b"v")
    redis.call("SET", "{default}:e:l", redis.call("GET", "{default}:e:k"))
    expect(b.ask().get(b"l").status, wire.MISS)


def at_our_own_words(fleet, name, *make):
    """The host says what is wrong, and is back when it is gone."""
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    redis = fleet.servers[0].client()
    redis.call("DEL", name)
    redis.call(*make)
    a.ask().invalidate(keys=[b"other"], tags=[b"t"])
    until(lambda: not a.is_fresh(), "the host notices")
    assert a.health()["issues"], "and says so"
    got = a.ask().get(b"k")
    assert got.status == wire.MISS or got.value == b"v", got
    redis.call("DEL", name)
    for host in (a, b):
        host.until_fresh()
    until(lambda: a.ask().set(b"k", b"w").status == wire.OK, "changes are taken")
    until(lambda: b.ask().get(b"k").value == b"w", "and known")


def at_the_journal(fleet):
    at_our_own_words(fleet, "{default}:j", "SET", "{default}:j", "x")


def at_the_counter(fleet):
    at_our_own_words(fleet, "{default}:ver", "LPUSH", "{default}:ver", "x")


def at_the_tags(fleet):
    at_our_own_words(fleet, "{default}:tags", "SET", "{default}:tags", "x")


def at_who_is_who(fleet):
    at_our_own_words(fleet, "{default}:inc", "SET", "{default}:inc", "x")


def a_record_in_the_journal_that_is_none(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    redis = fleet.servers[0].client()
    redis.call("XADD", "{default}:j", "*", "nonsense", "x")
    until(lambda: not a.is_fresh(), "the host notices")
    redis.call("DEL", "{default}:j")
    for host in (a, b):
        host.until_fresh()
    until(lambda: a.ask().set(b"k", b"w").status == wire.OK, "changes are taken")
    until(lambda: b.ask().get(b"k").value == b"w", "and known")


play(at_an_entry_it_is_a_miss, at_an_entry_a_set_overwrites_it_and_a_fill_does_not, an_entry_cut_short_or_changed_is_a_miss,
     another_entry_under_this_name_is_a_miss, at_the_journal, at_the_counter, at_the_tags, at_who_is_who,
     a_record_in_the_journal_that_is_none)
