"""Why a get found nothing: each reason is told to the caller and counted, by namespace and by policy."""

import os
import signal

import wire_client as wire
from admin import Admin
from redis_client import Redis
from scenario import expect, play, until

REASONS = ["cold", "evicted", "expired", "invalidated", "suspect", "detached", "too_big", "schema", "stale", "disabled"]
POLICY = "[policy users]\npattern = user:*\n"
NO_STALE = 1


def counted(client, admin):
    """Misses by reason, which are the same in all places that tell them; those of the policy beside it.  Not the statistics of
    HTTP, which may be those of a moment ago."""
    stats, metrics = client.stats(), admin.metrics()
    cache = stats["namespaces"]["default"]["cache"]
    by_policy = {row["name"]: row for row in stats["policies"] if row["namespace"] == "default"}
    for reason in REASONS:
        for name, row in by_policy.items():
            expect(metrics[f'larder_misses_total{{namespace="default",policy="{name}",reason="{reason}"}}'], row["misses_" + reason])
        expect(sum(row["misses_" + reason] for row in by_policy.values()), cache["misses_" + reason], reason)
    expect(sum(cache["misses_" + reason] for reason in REASONS), cache["misses"])
    return {reason: n for reason in REASONS if (n := cache["misses_" + reason])}, \
           {reason: n for reason in REASONS if (n := by_policy["users"]["misses_" + reason])}


def misses(client, reason, *keys, **how):
    for key in keys:
        answer = client.get(key, **how)
        expect((answer.status, answer.reason), (wire.MISS, reason), str(key))


def a_key_that_never_was_is_cold(larder):
    admin = Admin(larder, more=POLICY)
    larder.start()
    misses(larder.client(), wire.REASON_COLD, b"a", b"user:1", b"user:1")
    expect(counted(larder.client(), admin), ({"cold": 3}, {"cold": 2}))


def a_life_that_ended_is_told_of_to_all_who_ask(larder):
    admin = Admin(larder, more=POLICY)
    larder.start()
    client = larder.client()
    client.set(b"user:1", b"v", ttl_ms=40)
    asked = 0

    def is_over():
        nonlocal asked
        asked += client.get(b"user:1").status == wire.MISS
        return asked

    until(is_over, "its end")
    misses(client, wire.REASON_EXPIRED, b"user:1", b"user:1")
    expect(counted(larder.client(), admin), ({"expired": 3}, {"expired": 3}))


def what_made_room_was_evicted(larder):
    admin = Admin(larder, more="[namespace default]\nwarm = off\nl1_entries = 100\n" + POLICY)
    larder.start()
    client, keys = larder.client(), [b"user:%d" % n for n in range(300)]
    for key in keys:
        client.set(key, b"v")
    answers = client.mget(keys) + client.mget(keys)
    expect([a.reason for a in answers if a.status == wire.MISS], [wire.REASON_EVICTED] * 400)
    expect(counted(larder.client(), admin), ({"evicted": 400}, {"evicted": 400}))


def whatever_way_it_was_invalidated(larder):
    admin = Admin(larder, more=POLICY)
    larder.start()
    client = larder.client()
    ways = [dict(keys=[b"user:k"]), dict(tags=[b"t"]), dict(prefixes=[b"user:"]), dict(globs=[b"user:*"]), dict(all=True)]
    for way in ways:
        client.set(b"user:k", b"v", tags=[b"t"])
        client.invalidate(**way)
        misses(client, wire.REASON_INVALIDATED, b"user:k", b"user:k")
    client.set(b"user:k", b"v")
    client.set(b"user:k", b"", ttl_ms=0)
    misses(client, wire.REASON_INVALIDATED, b"user:k")
    expect(counted(larder.client(), admin), ({"invalidated": 11}, {"invalidated": 11}))


def what_no_tier_takes_was_too_big(larder):
    admin = Admin(larder, more="[namespace default]\nwarm = off\n" + POLICY + "max_value = 10KiB\n")
    larder.start()
    client = larder.client()
    expect(client.set(b"user:1", bytes(20000)).status, wire.TOO_BIG, "more than its policy allows")
    expect(client.set(b"other", bytes(500000)).status, wire.TOO_BIG, "more than shared memory takes")
    misses(client, wire.REASON_TOO_BIG, b"user:1", b"other", b"other")
    expect(counted(larder.client(), admin), ({"too_big": 3}, {"too_big": 1}))


def another_schema_is_as_if_it_were_not_there(larder):
    admin = Admin(larder, more=POLICY)
    larder.start()
    client = larder.client()
    client.set(b"user:1", b"v", schema=7)
    client.set(b"user:2", b"", schema=7, absent=True)
    misses(client, wire.REASON_SCHEMA, b"user:1", schema=8)
    for key, schema, status in [(b"user:1", 7, wire.HIT), (b"user:1", 0, wire.HIT), (b"user:2", 8, wire.ABSENT)]:
        expect(client.get(key, schema=schema).status, status, (key, schema))
    lease = client.lease(b"user:1", schema=8)
    expect(lease.status, wire.LEASED, "it is loaded anew")
    expect(client.set(b"user:1", b"new", schema=8, token=lease.token).status, wire.OK)
    expect(client.get(b"user:1", schema=8).value, b"new")
    expect(counted(larder.client(), admin), ({"schema": 2}, {"schema": 2}))


def what_is_stale_for_whom_refuses_that(larder):
    admin = Admin(larder, more=POLICY)
    larder.start()
    client = larder.client()
    client.set(b"user:1", b"v", ttl_ms=40, stale_ms=1000000)
    until(lambda: client.get(b"user:1").flags & 1, "it is stale")
    misses(client, wire.REASON_STALE, b"user:1", flags=NO_STALE)
    expect(counted(larder.client(), admin), ({"stale": 1}, {"stale": 1}))


def a_cache_that_is_switched_off(larder):
    admin = Admin(larder, more="[namespace default]\ncache = off\n" + POLICY)
    larder.start()
    misses(larder.client(), wire.REASON_DISABLED, b"user:1")
    expect(counted(larder.client(), admin), ({"disabled": 1}, {"disabled": 1}))


def what_a_fleet_cannot_vouch_for(larder):
    redis = Redis().start()
    try:
        admin = Admin(larder, more=f"[redis]\nurl = unix:{redis.path}\n[namespace default]\nserve_detached = off\n" + POLICY)
        larder.start()
        until(lambda: admin.stats()["state"] == "FRESH", "a fleet")
        client = larder.client()
        told = client.set(b"user:1", b"v")
        misses(client, wire.REASON_SUSPECT, b"user:1", after=(told.partition, told.epoch, told.v + 1000))
        redis.child.send_signal(signal.SIGKILL)
        os.unlink(redis.path)
        until(lambda: admin.stats()["state"] == "DETACHED", "the loss is noticed")
        answer = until(lambda: (a := client.get(b"user:1")).status == wire.MISS and a, "the last promise ran out")
        expect(answer.reason, wire.REASON_DETACHED)
        expect(counted(larder.client(), admin), ({"suspect": 1, "detached": 1}, {"suspect": 1, "detached": 1}))
    finally:
        redis.finish()


play(a_key_that_never_was_is_cold, a_life_that_ended_is_told_of_to_all_who_ask, what_made_room_was_evicted,
     whatever_way_it_was_invalidated, what_no_tier_takes_was_too_big, another_schema_is_as_if_it_were_not_there,
     what_is_stale_for_whom_refuses_that, a_cache_that_is_switched_off, what_a_fleet_cannot_vouch_for)
