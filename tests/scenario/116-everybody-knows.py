"""wait=all: after OK no host answers anything older, unflagged, even one that hears nothing (C3, F12)."""

import signal

import wire_client as wire
from fleet import play
from scenario import USUAL, expect, until

PATIENT = {"command_timeout": "10s"}  # the deaf host must not notice by itself


def deaf_host(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    reader = b.puppet()
    fleet.share(b"k", b"old", a, b, tags=[b"t"])
    until(lambda: reader.ask("get", "k")[1] == "near", "the library maps it")
    b.proxy.tell("hold", "down")
    return a, b, reader


def not_old(b, reader):
    got = b.client().get(b"k", timeout_ms=200)
    assert got.value != b"old" or got.flags & wire.IS_DETACHED, got
    answer = reader.ask("get", "k")
    assert answer[1:3] != ["near", "old"], answer
    b.proxy.tell("release", "down")


def after_an_invalidation(fleet):
    for named in [{"keys": [b"k"]}, {"tags": [b"t"]}]:
        inner = type(fleet)()
        try:
            a, b, reader = deaf_host(inner)
            expect(a.ask().invalidate(wait_all=True, **named).status, wire.OK)
            not_old(b, reader)
            b.until_missed(b"k")
        finally:
            inner.finish()


def after_an_invalidation_while_a_sidecar_is_stopped(fleet):
    a, b = fleet.start(2)
    reader = b.puppet(env=USUAL)
    fleet.share(b"k", b"old", a, b)
    until(lambda: reader.ask("get", "k")[1] == "near", "the library maps it")
    b.signal(signal.SIGSTOP)
    expect(a.ask().invalidate(keys=[b"k"], wait_all=True).status, wire.OK)
    expect(reader.ask("get", "k")[0], "MISS", "its promises have run out, with nobody to renew them")
    b.signal(signal.SIGCONT)
    b.until_missed(b"k")


def after_a_set(fleet):
    a, b, reader = deaf_host(fleet)
    expect(a.ask().set(b"k", b"new", flags=wire.WAIT_ALL).status, wire.OK)
    not_old(b, reader)
    until(lambda: b.ask().get(b"k").value == b"new", "the new one is read")


def on_the_host_itself_everybody_knows_before(fleet):
    a, b, reader = deaf_host(fleet)
    setting = a.client()
    setting.send(wire.SET, wire.WAIT_ALL, 0, 0, [setting.item(b"k", b"new")])
    until(lambda: a.ask().get(b"k").value == b"new", "the new one is read")
    expect(setting.receive()[2][0][0][0], wire.OK)
    b.proxy.tell("release", "down")


play(after_an_invalidation, after_an_invalidation_while_a_sidecar_is_stopped, after_a_set,
     on_the_host_itself_everybody_knows_before)
