"""Two namespaces on one Redis, and two fleets behind different prefixes, know nothing of each other (C13)."""

import wire_client as wire
from fleet import play
from scenario import expect


def namespaces_do_not_see_each_other(fleet):
    a, b = fleet.start(2, namespaces=("red", "blue"))
    red, blue = a.client("red"), a.client("blue")
    expect(red.set(b"k", b"red", tags=[b"t"]).status, wire.OK)
    expect(b.client("blue").get(b"k").status, wire.MISS)
    expect(blue.set(b"k", b"blue", tags=[b"t"]).status, wire.OK)
    expect((b.client("red").get(b"k").value, b.client("blue").get(b"k").value), (b"red", b"blue"))
    expect(b.client("red").invalidate(tags=[b"t"], all=True).status, wire.OK)
    expect((b.client("red").get(b"k").status, b.client("blue").get(b"k").value), (wire.MISS, b"blue"))


def fleets_behind_two_prefixes_share_nothing(fleet):
    a, = fleet.start(1, redis={"key_prefix": "one:"})
    b, = fleet.start(1, redis={"key_prefix": "two:"})
    expect(a.ask().set(b"k", b"v").status, wire.OK)
    expect(b.ask().get(b"k").status, wire.MISS)
    expect(b.ask().invalidate(all=True).status, wire.OK)
    expect(a.ask().get(b"k").value, b"v")
    names = fleet.servers[0].client().call("KEYS", "*")
    assert all(name.startswith((b"one:", b"two:")) for name in names), names


play(namespaces_do_not_see_each_other, fleets_behind_two_prefixes_share_nothing)
