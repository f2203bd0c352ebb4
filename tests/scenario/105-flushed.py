"""FLUSHALL, or a part of our keys gone, under a running fleet: noticed, and answered by a new epoch (F7, F16)."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def epoch(host):
    return host.ask().set(b"epoch-probe", b"").epoch


def begins_anew(fleet, *loss):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b, tags=[b"t"])
    before = epoch(a)
    fleet.servers[0].client().call(*loss)
    until(lambda: epoch(a) not in (0, before), "the first host is in a new epoch")
    until(lambda: epoch(b) == epoch(a), "and the other one in the same")
    for host in (a, b):
        host.until_fresh()
        expect(host.ask().get(b"k").status, wire.MISS, f"on host {host.name}")
    expect(b.ask().set(b"k", b"new", tags=[b"t"]).status, wire.OK)
    expect(a.ask().get(b"k").value, b"new")
    expect(a.ask().invalidate(tags=[b"t"]).status, wire.OK)
    b.until_missed(b"k")


def everything_is_flushed(fleet):
    begins_anew(fleet, "FLUSHALL")


def the_counter_is_gone(fleet):
    begins_anew(fleet, "DEL", "{default}:ver")


def who_is_who_is_gone(fleet):
    begins_anew(fleet, "DEL", "{default}:inc")


def the_counter_went_back(fleet):
    begins_anew(fleet, "SET", "{default}:ver", "0")


def the_counter_went_back_and_the_journal_is_gone(fleet):
    script = "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[2], 0)"
    begins_anew(fleet, "EVAL", script, 2, "{default}:j", "{default}:ver")


def the_journal_alone_is_gone_and_nothing_is_missed(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    fleet.servers[0].client().call("DEL", "{default}:j")
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    until(lambda: b.ask().get(b"k").value == b"new", "the other host knows")
    expect(b.ask().invalidate(keys=[b"k"]).status, wire.OK)
    a.until_missed(b"k")


play(everything_is_flushed, the_counter_is_gone, who_is_who_is_gone, the_counter_went_back,
     the_counter_went_back_and_the_journal_is_gone, the_journal_alone_is_gone_and_nothing_is_missed)
