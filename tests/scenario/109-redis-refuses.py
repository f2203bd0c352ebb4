"""Redis says no: full, a replica, without our scripts, with another password, evicting: nothing is lost, health says why."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def two(fleet, **options):
    a, b = fleet.start(2, **options)
    fleet.share(b"k", b"old", a, b)
    return a, b, fleet.servers[0].client()


def works_again(a, b):
    for host in (a, b):
        host.until_fresh()
    until(lambda: a.ask().set(b"again", b"v").status == wire.OK, "changes are taken again")
    expect(b.ask().get(b"again").value, b"v")


def trouble_is_told(host, word):
    until(lambda: any(word in issue for issue in host.health()["issues"]), f"health names {word!r}")


def full(fleet):
    a, b, redis = two(fleet)
    redis.call("CONFIG", "SET", "maxmemory", 1)
    answer = a.ask().set(b"k", b"new")
    assert answer.status in (wire.BUSY, wire.LOCAL, wire.QUEUED), answer
    trouble_is_told(a, "memory")
    got = a.ask().get(b"k")
    assert got.value != b"old", f"the old value is not served where a newer one was meant: {got}"
    redis.call("CONFIG", "SET", "maxmemory", 0)
    works_again(a, b)
    b.until_missed(b"k")


def a_replica(fleet):
    a, b, redis = two(fleet)
    redis.call("REPLICAOF", "127.0.0.1", 1)
    a.until_mode("DETACHED")
    trouble_is_told(a, "replica")
    answer = a.ask().invalidate(keys=[b"k"])
    assert answer.status in (wire.QUEUED, wire.LOCAL), answer
    expect(a.ask().get(b"k").status, wire.MISS)
    redis.call("REPLICAOF", "NO", "ONE")
    works_again(a, b)
    expect(b.ask().get(b"k").status, wire.MISS)


def scripts_forgotten(fleet):
    a, b, redis = two(fleet)
    for value in [b"new", b"newer"]:
        redis.call("SCRIPT", "FLUSH")
        expect(a.ask().set(b"k", value).status, wire.OK, "nobody notices")
        until(lambda: b.ask().get(b"k").value == value, "the other host knows")
    redis.call("SCRIPT", "FLUSH")
    expect(a.ask().invalidate(keys=[b"k"]).status, wire.OK, "nor now")
    b.until_missed(b"k")
    for host in (a, b):
        expect("Redis is away" in host.log(), False, f"host {host.name} was never away")


def another_password(fleet):
    a, b, redis = two(fleet)
    redis.call("CONFIG", "SET", "requirepass", "secret")
    a.proxy.tell("cut")
    a.until_mode("DETACHED")
    trouble_is_told(a, "password")
    expect(a.ask().get(b"k").value, b"old", "served")
    redis.call("CONFIG", "SET", "requirepass", "")
    works_again(a, b)


def one_that_may_evict_the_journal(fleet):
    a, b, redis = two(fleet)
    for policy in ["allkeys-lru", "volatile-ttl"]:
        redis.call("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", policy)
        a.proxy.tell("cut")
        a.until_mode("DETACHED")
        trouble_is_told(a, "CONFIG SET maxmemory-policy")
        redis.call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        works_again(a, b)


play(full, a_replica, scripts_forgotten, another_password, one_that_may_evict_the_journal)
