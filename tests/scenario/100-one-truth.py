"""What one host sets the others get: value, life, tags, flags, version, and that it does not exist (C1, C2)."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def a_value_set_on_one_host_is_read_on_the_other(fleet):
    a, b = fleet.start(2)
    expect(a.ask().set(b"k", b"v").status, wire.OK)
    got = b.ask().get(b"k")
    expect((got.status, got.value, got.flags), (wire.HIT, b"v", 0))


def the_second_read_comes_from_the_memory_of_the_host(fleet):
    a, b = fleet.start(2)
    a.ask().set(b"k", b"v")
    b.has_read(b"k", b"v")
    reader = b.puppet()
    until(lambda: reader.ask("get", "k")[:3] == ["HIT", "near", "v"], "the library finds it in shared memory")


def an_overwritten_value_goes_from_the_memory_of_the_other(fleet):
    a, b = fleet.start(2)
    reader = b.puppet()
    fleet.share(b"k", b"old", a, b)
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    b.until_gone(b"k")
    expect(reader.ask("get", "k")[2], "new", "read by the library")


def everything_about_an_entry_travels(fleet):
    a, b = fleet.start(2)
    told = a.ask().set(b"k", b"v" * 5000, ttl_ms=60000, stale_ms=30000, user_flags=7, schema=3, tags=[b"t"])
    got = b.ask().get(b"k")
    expect((got.value, got.user_flags, got.schema), (b"v" * 5000, 7, 3))
    expect((got.epoch, got.v, got.id), (told.epoch, told.v, told.id), "version")
    assert 80000 < got.ttl_ms <= 90000 and 50000 < got.fresh_ms <= 60000, got


def that_something_does_not_exist_is_known_to_all(fleet):
    a, b = fleet.start(2)
    expect(a.ask().set(b"k", b"", absent=True).status, wire.OK)
    expect(b.ask().get(b"k").status, wire.ABSENT)


def conditions_are_decided_for_the_whole_fleet(fleet):
    a, b = fleet.start(2)
    first = a.ask().set(b"k", b"1")
    version = (first.epoch, first.v, first.id)
    expect(b.ask().set(b"k", b"x", flags=wire.IF_ABSENT).status, wire.EXISTS)
    expect(b.ask().set(b"other", b"x", flags=wire.IF_PRESENT).status, wire.NOT_FOUND)
    expect(b.ask().set(b"k", b"2", flags=wire.IF_VERSION, version=version).status, wire.OK)
    expect(a.ask().set(b"k", b"3", flags=wire.IF_VERSION, version=version).status, wire.CONFLICT)
    expect(a.ask().get(b"k").value, b"2")


play(a_value_set_on_one_host_is_read_on_the_other, the_second_read_comes_from_the_memory_of_the_host,
     an_overwritten_value_goes_from_the_memory_of_the_other, everything_about_an_entry_travels,
     that_something_does_not_exist_is_known_to_all, conditions_are_decided_for_the_whole_fleet)
