"""A reader with a position of any host gets nothing older than that (C4)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

PATIENT = {"command_timeout": "10s"}


def a_host_that_heard_nothing_does_not_answer_with_older(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    fleet.share(b"k", b"old", a, b)
    b.proxy.tell("hold", "down")
    told = a.ask().set(b"k", b"new")
    reading = b.client()
    reading.send(wire.GET, 0, 0, 200, 0, 0, 0, [b"k"], *wire.position(told))
    code, id, fields = reading.receive()
    if code == wire.VALUES:
        assert wire.Entry(*fields[0][0]).value != b"old", fields
    b.proxy.tell("release", "down")
    until(lambda: b.ask().get(b"k", after=wire.position(told)).value == b"new", "the new one is read")


def a_position_already_known_costs_nothing(fleet):
    a, b = fleet.start(2)
    told = a.ask().set(b"k", b"v")
    b.has_read(b"k", b"v")
    fleet.told(a, b)
    got = b.ask().get(b"k", after=wire.position(told))
    expect((got.value, got.tier), (b"v", wire.L1))


play(a_host_that_heard_nothing_does_not_answer_with_older, a_position_already_known_costs_nothing)
