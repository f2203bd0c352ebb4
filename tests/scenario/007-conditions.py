"""Conditional sets, and gets that ask whether something changed."""

import wire_client as wire
from scenario import expect, play

NOT_MODIFIED_FLAG, NO_VALUE_FLAG = 4, 2


def if_absent_stores_once(larder):
    larder.start()
    client = larder.client()
    expect(client.set(b"k", b"1", flags=wire.IF_ABSENT).status, wire.OK)
    expect(client.set(b"k", b"2", flags=wire.IF_ABSENT).status, wire.EXISTS)
    expect(client.get(b"k").value, b"1")
    client.invalidate(keys=[b"k"])
    expect(client.set(b"k", b"3", flags=wire.IF_ABSENT).status, wire.OK)


def if_absent_sees_an_entry_that_only_the_warm_tier_has(larder):
    larder.configure("[namespace default]\nl1_bytes = 4MiB\n")
    larder.start()
    client = larder.client()
    client.set(b"k", b"1", tiers=1 << wire.WARM)
    expect(client.set(b"k", b"2", flags=wire.IF_ABSENT).status, wire.EXISTS)


def if_present_stores_only_over_something(larder):
    larder.start()
    client = larder.client()
    expect(client.set(b"k", b"1", flags=wire.IF_PRESENT).status, wire.NOT_FOUND)
    expect(client.get(b"k").status, wire.MISS)
    client.set(b"k", b"1")
    expect(client.set(b"k", b"2", flags=wire.IF_PRESENT).status, wire.OK)


def if_version_stores_only_over_that_version(larder):
    larder.start()
    client = larder.client()
    first = wire.version(client.set(b"k", b"1"))
    second = wire.version(client.set(b"k", b"2", flags=wire.IF_VERSION, version=first))
    assert second != first
    expect(client.set(b"k", b"3", flags=wire.IF_VERSION, version=first).status, wire.CONFLICT)
    expect(client.get(b"k").value, b"2")
    expect(wire.version(client.get(b"k")), second)


def of_many_writers_with_one_version_exactly_one_wins(larder):
    larder.start()
    base = wire.version(larder.client().set(b"k", b"base"))
    clients = [larder.client() for _ in range(20)]
    for n, client in enumerate(clients):
        client.send(wire.SET, wire.IF_VERSION, 0, 0, [client.item(b"k", b"%d" % n, version=base)])
    statuses = [client.receive()[2][0][0][0] for client in clients]
    expect(sorted(statuses), [wire.OK] + [wire.CONFLICT] * 19)


def a_get_that_names_the_current_version_is_told_not_modified(larder):
    larder.start()
    client = larder.client()
    held = wire.version(client.set(b"k", b"value"))
    entry = client.get(b"k", flags=NOT_MODIFIED_FLAG, version=held)
    expect((entry.status, entry.value), (wire.NOT_MODIFIED, b""))
    client.set(b"k", b"newer")
    expect(client.get(b"k", flags=NOT_MODIFIED_FLAG, version=held).value, b"newer")


def a_get_may_leave_the_value_out(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"value")
    entry = client.get(b"k", flags=NO_VALUE_FLAG)
    expect((entry.status, entry.value), (wire.HIT, b""))


play(if_absent_stores_once, if_absent_sees_an_entry_that_only_the_warm_tier_has, if_present_stores_only_over_something,
     if_version_stores_only_over_that_version, of_many_writers_with_one_version_exactly_one_wins,
     a_get_that_names_the_current_version_is_told_not_modified, a_get_may_leave_the_value_out)
