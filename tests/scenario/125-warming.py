"""Warming: what is in Redis or on the disk is pulled up before anybody asks, and nothing comes back that was invalidated."""

import json
import os

import wire_client as wire
from fleet import play
from scenario import expect, until

MANY = 3000


def start(fleet, redis=None, **namespace):
    """A host that is warmed with what the test asks for, and not with what is hot in the fleet."""
    return fleet.start(1, namespace={"hot_list": 0, **namespace}, redis=redis or {})


def fill(host, count, prefix=b"user:", **item):
    for n in range(0, count, 200):
        items = [host.ask().item(prefix + b"%d" % k, b"value %d" % k, **item) for k in range(n, min(n + 200, count))]
        expect({o.status for o in host.ask().mset(items)}, {wire.OK})


def refusal(call, *arguments, **options):
    """The status of a refused request, else None."""
    try:
        call(*arguments, **options)
    except wire.Refused as refused:
        return refused.result.status
    return None


def row(text):
    return json.loads(text)


def a_host_that_joins_pulls_a_prefix_and_hits_in_shared_memory(fleet):
    a, = start(fleet)
    fill(a, MANY)
    fill(a, 10, b"other:")
    b, = start(fleet)
    told = row(b.says("warm", "--prefix", "user:", "--json"))
    expect((told["result"], told["loaded"], told["missing"]), ("warmed", MANY, 0))
    reader = b.puppet()
    for n in range(0, MANY, 97):
        reader.ask("get", f"user:{n}")
        assert b.holds(b"user:%d" % n)
    assert not b.holds(b"other:1")


def keys_are_pulled_as_named_and_what_is_nowhere_is_counted(fleet):
    a, = start(fleet)
    fill(a, 20)
    b, = start(fleet)
    told = row(b.says("warm", "user:1", "user:2", "nobody", "--json"))
    expect((told["loaded"], told["missing"], told["here"]), (2, 1, 0))
    told = row(b.says("warm", "--keys-from", "-", "--json", input="user:1\nuser:3\n"))
    expect((told["loaded"], told["missing"], told["here"]), (1, 0, 1))


def a_tag_pulls_what_carries_it_and_nothing_else(fleet):
    a, = start(fleet)
    fill(a, 50, b"red:", tags=[b"red"])
    fill(a, 50, b"blue:", tags=[b"blue"])
    b, = start(fleet)
    told = row(b.says("warm", "--tag", "red", "--json"))
    expect((told["done"], told["loaded"], told["others"]), (100, 50, 50))
    expect([b.holds(b"red:%d" % n) for n in range(50)], [True] * 50)
    expect([b.holds(b"blue:%d" % n) for n in range(50)], [False] * 50)


def what_was_invalidated_does_not_come_back(fleet):
    a, = start(fleet)
    fill(a, 40, b"red:", tags=[b"red"])
    fill(a, 40, b"blue:")
    b, = start(fleet)
    expect(a.ask().invalidate(tags=[b"red"], keys=[b"blue:1"]).status, wire.OK)
    fleet.told(a, b)
    told = row(b.says("warm", "--all", "--json"))
    expect(told["result"], "warmed")
    expect([n for n in range(40) if b.ask().get(b"red:%d" % n).status != wire.MISS], [])
    expect(b.ask().get(b"blue:1").status, wire.MISS)
    expect(b.ask().get(b"blue:2").status, wire.HIT)


def all_partitions_of_a_split_namespace_are_pulled(fleet):
    a, = start(fleet, redis={"partitions": 4})
    fill(a, 400)
    b, = start(fleet, redis={"partitions": 4})
    told = row(b.says("warm", "--prefix", "user:", "--json"))
    expect((told["result"], told["loaded"]), ("warmed", 400))


def a_prefix_is_meant_literally_and_one_that_matches_nothing_is_done_at_once(fleet):
    a, = start(fleet)
    fill(a, 5, b"a[b]*c?\\:")
    fill(a, 5, b"ab:")
    b, = start(fleet)
    expect(row(b.says("warm", "--prefix", "a[b]*c?\\:", "--json"))["loaded"], 5)
    expect(row(b.says("warm", "--prefix", "nobody:", "--json"))["done"], 0)


def a_full_shared_memory_makes_no_room(fleet):
    a, = start(fleet)
    for n in range(0, 4000, 100):
        a.ask().mset([a.ask().item(b"big:%d" % k, b"x" * 4000) for k in range(n, n + 100)])
    b, = start(fleet, l1_bytes="4MiB", l1_entry_bytes="4KiB", warm_bytes="256MiB")
    for n in range(100):
        b.has_read(b"big:%d" % n, b"x" * 4000)
    evictions = b.stats()["namespaces"]["default"]["l1"]["l1_evictions"]
    b.says("warm", "--prefix", "big:")
    expect(b.stats()["namespaces"]["default"]["l1"]["l1_evictions"], evictions)
    expect([n for n in range(100) if not b.holds(b"big:%d" % n)], [])


def without_redis_to_ask_it_fails_and_says_so(fleet):
    a, = start(fleet)
    fill(a, 10)
    a.leave_redis()
    done = a.cli("warm", "--prefix", "user:")
    expect(done.returncode, 4)
    assert "cannot be asked for its keys" in done.stderr, done.stderr


def one_that_is_cancelled_stops_and_the_next_may_begin(fleet):
    a, = start(fleet)
    fill(a, MANY)
    b, = start(fleet)
    client = b.client()
    expect(client.warm(flags=wire.EVERYTHING).state, wire.UNDER_WAY)
    assert client.warm(flags=wire.CANCEL).state == wire.CANCELLED
    expect(client.warm([b"user:1"])[:2], (wire.UNDER_WAY, 1))
    until(lambda: client.warm().state == wire.DONE, "it is done")
    expect(client.warm().done, 1)


def five_at_a_time_are_one_too_many_and_one_ends_with_its_connection(fleet):
    b, = start(fleet)
    clients = [b.client() for _ in range(5)]
    for client in clients[:4]:
        expect(client.warm([b"k"], flags=wire.MORE).state, wire.UNDER_WAY)
    expect(refusal(clients[4].warm, [b"k"]), wire.BUSY)
    clients[0].close()
    until(lambda: refusal(clients[4].warm, [b"k"]) is None, "a place is free")


def connections_that_are_kept_after_their_warming_leave_room_for_the_next(fleet):
    b, = start(fleet)
    for _ in range(6):
        client = b.client()
        client.warm([b"k"])
        until(lambda: client.warm().state == wire.DONE, "it is done")


def a_dump_has_the_tags_that_redis_knows(fleet):
    a, = start(fleet)
    fill(a, 40, b"red:", tags=[b"red"])
    fill(a, 40, b"blue:")
    b, = start(fleet, warm="off")
    b.says("warm", "--all")
    path = os.path.join(b.home, "entries.dump")
    expect(row(b.says("dump", "--json", path))["entries"], 80)
    expect(b.ask().invalidate(all=True).status, wire.OK)
    fleet.told(b, a)
    expect(row(b.says("warm", "--file", path, "--json"))["loaded"], 80)
    expect(a.ask().invalidate(tags=[b"red"]).status, wire.OK)
    fleet.told(a, b)
    expect((b.ask().get(b"red:1").status, b.ask().get(b"blue:1").status), (wire.MISS, wire.HIT))


def a_bound_connection_pulls_what_is_its_own(fleet):
    a, = start(fleet)
    fill(a, 10, b"acme:")
    fill(a, 10, b"evil:")
    b, = start(fleet)
    bound = b.client("default", "acme")
    expect(refusal(bound.warm, [b"evil:1"]), wire.DENIED)
    expect(refusal(bound.warm, prefixes=[b"ev"]), wire.DENIED)
    bound.warm(flags=wire.EVERYTHING)
    until(lambda: bound.warm().state == wire.DONE, "it is done")
    expect((b.holds(b"acme:1"), b.holds(b"evil:1")), (True, False))


play(a_host_that_joins_pulls_a_prefix_and_hits_in_shared_memory,
     keys_are_pulled_as_named_and_what_is_nowhere_is_counted,
     a_tag_pulls_what_carries_it_and_nothing_else,
     what_was_invalidated_does_not_come_back,
     all_partitions_of_a_split_namespace_are_pulled,
     a_prefix_is_meant_literally_and_one_that_matches_nothing_is_done_at_once,
     a_full_shared_memory_makes_no_room,
     without_redis_to_ask_it_fails_and_says_so,
     one_that_is_cancelled_stops_and_the_next_may_begin,
     five_at_a_time_are_one_too_many_and_one_ends_with_its_connection,
     connections_that_are_kept_after_their_warming_leave_room_for_the_next,
     a_dump_has_the_tags_that_redis_knows,
     a_bound_connection_pulls_what_is_its_own)
