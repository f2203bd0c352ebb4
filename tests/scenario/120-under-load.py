"""What costs nothing, and what must not suffer: fills, fences beside many changes and large values (F4, F13)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

MIB = 1 << 20
PATIENT = {"command_timeout": "10s"}  # a busy machine is not what this is about


def sessions_of(fleet):
    """Connections ever made to Redis: one that had to be made anew is one more."""
    text = fleet.servers[0].client().call("INFO", "stats").decode()
    return int(text.split("total_connections_received:")[1].split()[0])


def counter(fleet):
    return int(fleet.servers[0].client().call("GET", "{default}:ver") or 0)


def a_fill_of_an_absent_key_is_no_change(fleet):
    a, b = fleet.start(2)
    before = counter(fleet)
    for n in range(20):
        key = b"k%d" % n
        token = a.ask().get(key).token
        expect(a.ask().set(key, b"v", token=token).status, wire.OK)
    expect(counter(fleet), before, "no position was taken")
    expect([e.value for e in b.ask().mget([b"k%d" % n for n in range(20)])], [b"v"] * 20)


def many_changes_do_not_keep_the_fence_from_vouching(fleet):
    a, b = fleet.start(2, redis=PATIENT)
    fleet.share(b"k", b"v", a, b)
    made, changing = sessions_of(fleet), a.client()
    for n in range(20):
        items = [changing.item(b"m%d" % i, b"%d" % n) for i in range(200)]
        changing.send(wire.SET, 0, 0, 0, items)
        got = b.ask().get(b"k")
        expect((got.value, got.flags), (b"v", 0), f"round {n}")
        expect({outcome[0] for outcome in changing.receive()[2][0]}, {wire.OK})
    fleet.told(a, b)
    expect({e.value for e in b.ask().mget([b"m%d" % i for i in range(200)])}, {b"19"})
    expect(sessions_of(fleet) - made, 1, "connections made: ours, to ask")


def large_values_do_not_keep_the_fence_from_its_answer(fleet):
    a, b = fleet.start(2, redis={"compress_min": "0", **PATIENT})
    fleet.share(b"k", b"v", a, b)
    for n in range(8):
        expect(a.ask().set(b"large%d" % n, b"x" * (MIB - 1000)).status, wire.OK)
    made = sessions_of(fleet)
    for n in range(8):
        expect(len(b.ask().get(b"large%d" % n).value), MIB - 1000)
        got = b.ask().get(b"k")
        expect((got.value, got.flags), (b"v", 0), f"round {n}")
    expect(sessions_of(fleet) - made, 1, "connections made: ours, to ask")


def tenants_are_confined_in_the_whole_fleet(fleet):
    a, b = fleet.start(2)
    acme, other = a.client(tenant="acme"), b.client(tenant="other")
    acme.set(b"acme:k", b"v", tags=[b"t"])
    other.set(b"other:k", b"w", tags=[b"t"])
    expect(acme.invalidate(tags=[b"t"]).status, wire.OK)
    expect(acme.get(b"acme:k").status, wire.MISS)
    fleet.told(a, b)
    expect((b.ask().get(b"acme:k").status, b.ask().get(b"other:k").value), (wire.MISS, b"w"))
    expect(other.invalidate(all=True).status, wire.OK)
    until(lambda: a.ask().get(b"other:k").status == wire.MISS, "the other host knows")


play(a_fill_of_an_absent_key_is_no_change, many_changes_do_not_keep_the_fence_from_vouching,
     large_values_do_not_keep_the_fence_from_its_answer, tenants_are_confined_in_the_whole_fleet)
