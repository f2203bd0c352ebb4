"""The clock of Redis steps: nothing lives longer for it, nothing invalidated returns, the fleet goes on (I8, C13)."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def redis_clock(fleet):
    return int(fleet.servers[0].client().call("TIME")[0])


def stepped(fleet, seconds):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b, ttl_ms=600000, stale_ms=0)
    fleet.share(b"dead", b"old", a, b, tags=[b"t"])
    expect(a.ask().invalidate(tags=[b"t"]).status, wire.OK)
    before = redis_clock(fleet)
    fleet.servers[0].step(seconds)
    assert abs(redis_clock(fleet) - before - seconds) < 60, "the clock did not step"
    return a, b


def goes_on(fleet, a, b):
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    until(lambda: b.ask().get(b"k").value == b"new", "the other host knows")
    expect(b.ask().invalidate(keys=[b"k"]).status, wire.OK)
    a.until_missed(b"k")
    for host in (a, b):
        host.until_missed(b"dead")
        host.until_fresh()


def forward(fleet):
    a, b = stepped(fleet, 3000)
    got = fleet.host().join().ask().get(b"k")
    expect(got.status, wire.MISS, "its life is over by that clock")
    goes_on(fleet, a, b)


def back(fleet):
    a, b = stepped(fleet, -3000)
    got = fleet.host().join().ask().get(b"k")
    expect(got.status, wire.MISS, "it was written in the future")
    assert a.ask().get(b"k").ttl_ms <= 600000
    goes_on(fleet, a, b)


def what_a_host_holds_has_its_life_by_the_clock_of_the_host(fleet):
    a, b = stepped(fleet, 100)
    assert 500000 < b.ask().get(b"k").ttl_ms <= 600000
    goes_on(fleet, a, b)


play(forward, back, what_a_host_holds_has_its_life_by_the_clock_of_the_host)
