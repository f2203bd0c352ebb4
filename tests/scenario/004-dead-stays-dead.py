"""What was acknowledged never un-happens: kill -9 right behind the reply brings nothing back (C1, C11, I12, F10)."""

import wire_client as wire
from scenario import expect, play, until_committed

ROUNDS = 5


def entry(client, n):
    client.set(b"user:%d:name" % n, b"old", ttl_ms=600000, stale_ms=0, tags=[b"tag%d" % n])
    return b"user:%d:name" % n


def survives_kill_9(larder, change):
    """`change(client, n, key)` is acknowledged, then the daemon is shot at once, again and again."""
    larder.start()
    for n in range(ROUNDS):
        client = larder.client()
        key = entry(client, n)
        entry(client, 1000 + n)
        until_committed(larder.client(), 1)
        change(client, n, key)
        larder.kill9()
        larder.start()
        got = larder.client().get(key)
        assert got.value != b"old", f"round {n}: the old value came back, {got}"
        expect(larder.puppet().ask("get", key.decode())[2] == "old", False, "seen by the library")
        yield n, got


def all_missed(larder, change):
    for n, got in survives_kill_9(larder, change):
        expect(got.status, wire.MISS, f"round {n}")


def a_key_invalidated_before_kill_9_stays_dead(larder):
    all_missed(larder, lambda client, n, key: expect(client.invalidate(keys=[key]).status, wire.OK))


def a_tag_invalidated_before_kill_9_stays_dead(larder):
    all_missed(larder, lambda client, n, key: expect(client.invalidate(tags=[b"tag%d" % n]).status, wire.OK))


def a_prefix_invalidated_before_kill_9_stays_dead(larder):
    all_missed(larder, lambda client, n, key: expect(client.invalidate(prefixes=[b"user:%d:" % n]).status, wire.OK))


def everything_invalidated_before_kill_9_stays_dead(larder):
    all_missed(larder, lambda client, n, key: expect(client.invalidate(all=True).status, wire.OK))


def a_set_acknowledged_before_kill_9_never_gives_way_to_the_older_value(larder):
    for n, got in survives_kill_9(larder, lambda client, n, key: expect(client.set(key, b"new").status, wire.OK)):
        assert got.status == wire.MISS or got.value == b"new", f"round {n}: {got}"


def a_neighbour_of_what_was_invalidated_lives_on_over_kill_9(larder):
    larder.start()
    client = larder.client()
    entry(client, 1), entry(client, 2)
    until_committed(larder.client(), 2)
    client.invalidate(tags=[b"tag1"])
    larder.kill9()
    larder.start()
    expect(larder.client().get(b"user:2:name").value, b"old")
    expect(larder.client().get(b"user:1:name").status, wire.MISS)


def what_was_tagged_where_only_shared_memory_has_it_dies_with_the_tags_it_had(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v", tiers=1 << 1, ttl_ms=600000, tags=[b"old"])
    expect(client.tag(b"k", b"new").status, wire.OK)
    expect(client.invalidate(tags=[b"old"]).status, wire.OK)
    expect(client.get(b"k").status, wire.MISS)


def soft_invalidation_over_kill_9_is_stale_or_gone_and_never_fresh(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v", ttl_ms=600000, stale_ms=600000, tags=[b"t"])
    until_committed(larder.client(), 1)
    expect(client.invalidate(tags=[b"t"], soft=True).status, wire.OK)
    larder.kill9()
    larder.start()
    got = larder.client().get(b"k")
    assert got.status == wire.MISS or got.flags & wire.STALE, got


play(a_key_invalidated_before_kill_9_stays_dead, a_tag_invalidated_before_kill_9_stays_dead,
     a_prefix_invalidated_before_kill_9_stays_dead, everything_invalidated_before_kill_9_stays_dead,
     a_set_acknowledged_before_kill_9_never_gives_way_to_the_older_value,
     a_neighbour_of_what_was_invalidated_lives_on_over_kill_9,
     what_was_tagged_where_only_shared_memory_has_it_dies_with_the_tags_it_had,
     soft_invalidation_over_kill_9_is_stale_or_gone_and_never_fresh)
