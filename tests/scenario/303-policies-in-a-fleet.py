"""Policies where several hosts share a Redis: what never leaves its host, what all must know of, and how often."""

import wire_client as wire
from fleet import play
from scenario import expect, until

POLICIES = """
[policy local]
pattern = local:*
l2 = off
[policy users]
pattern = {t}:user:{id}
tags = user:{id}
l2_ttl = 20s
cascade = {t}:list:*, tag "of:{t}"
[policy packed]
pattern = packed:*
compress_min = 1GiB
[event user.left]
invalidate = key "a:user:{id}"
"""
SECRET = b"q7Zp0xK9wT4"  # so short that nobody compresses it


def hosts(fleet, count=2):
    made = [fleet.host() for _ in range(count)]
    for host in made:
        with open(host.config, "a", encoding="utf-8") as file:
            file.write(POLICIES)
        host.start()
    for host in made:
        host.until_fresh(20)
    return made


def in_redis(fleet, needle):
    """Every byte it has, by its own dump of each key."""
    client = fleet.servers[0].client()
    return any(needle in (client.call("DUMP", key) or b"") for key in client.call("KEYS", "*"))


def a_value_that_stays_on_its_host_never_gets_to_redis(fleet):
    a, b = hosts(fleet)
    expect(b.ask().set(b"local:1", b"older").status, wire.OK)
    expect(a.ask().set(b"local:1", SECRET).status, wire.OK)
    until(lambda: a.ask().get(b"local:1").value == SECRET, "while a fence vouches it is served")
    b.until_missed(b"local:1")  # its own is old now, and there is none to fetch
    assert not in_redis(fleet, SECRET), "the value is in Redis"
    a.ask().set(b"shared:1", SECRET)
    assert in_redis(fleet, SECRET), "this test would not see it there"


def it_does_not_leave_after_a_restart_either(fleet):
    a, b = hosts(fleet)
    a.ask().set(b"local:1", SECRET)
    a.restart()
    a.until_fresh(20)
    a.asker = None
    expect(a.ask().get(b"local:1").status in (wire.HIT, wire.MISS), True)
    expect(b.ask().get(b"local:1").status, wire.MISS)
    assert not in_redis(fleet, SECRET), "the value is in Redis"


def an_invalidation_elsewhere_reaches_what_stays_here(fleet):
    a, b = hosts(fleet)
    a.ask().set(b"local:1", b"v")
    expect(b.ask().invalidate(keys=[b"local:1"]).status, wire.OK)
    a.until_missed(b"local:1")


def tags_of_a_policy_are_known_to_all_hosts(fleet):
    a, b = hosts(fleet)
    fleet.share(b"a:user:1", b"v", a, b)
    expect(b.ask().invalidate(tags=[b"user:1"]).status, wire.OK)
    a.until_missed(b"a:user:1")
    expect(b.ask().get(b"a:user:1").status, wire.MISS, "and not in Redis")


def a_cascade_is_followed_once_for_the_whole_fleet(fleet):
    a, b = hosts(fleet)
    fleet.share(b"a:list:x", b"v", a, b)
    fleet.share(b"page", b"v", a, b, tags=[b"of:a"])
    before = a.ask().invalidate(keys=[b"nothing"]).v
    result = a.ask().invalidate(keys=[b"a:user:1"])
    expect((result.status, result.v), (wire.OK, before + 1), "one change")
    for key in (b"a:list:x", b"page"):
        expect(a.ask().get(key).status, wire.MISS)
        b.until_missed(key)
    fleet.told(b, a)
    expect((a.figure("cascaded"), b.figure("cascaded")), (2, 0))


def an_event_reaches_all_hosts(fleet):
    a, b = hosts(fleet)
    fleet.share(b"a:user:7", b"v", a, b)
    fleet.share(b"a:list:x", b"v", a, b)
    expect(a.ask().event("user.left", id="7").status, wire.OK)
    b.until_missed(b"a:user:7")
    b.until_missed(b"a:list:x")


def bytes_in_redis(fleet, key):
    client = fleet.servers[0].client()
    names = [name for name in client.call("KEYS", "*") if name.endswith(key)]
    expect(len(names), 1, "one entry")
    return client.call("MEMORY", "USAGE", names[0])


def what_is_packed_already_is_not_compressed_again(fleet):
    a, = hosts(fleet, 1)
    a.ask().set(b"packed:1", b"x" * 5000)
    a.ask().set(b"plain:1", b"x" * 5000)
    assert bytes_in_redis(fleet, b"packed:1") > 5000 > 1000 > bytes_in_redis(fleet, b"plain:1")


def life_in_redis_has_its_own_bound(fleet):
    a, b = hosts(fleet)
    expect(a.ask().set(b"a:user:1", b"v", ttl_ms=600000).status, wire.OK)
    got = until(lambda: b.ask().get(b"a:user:1"), "read by the other host")
    assert got.status == wire.HIT and got.ttl_ms <= 20000, got
    assert a.ask().get(b"a:user:1").ttl_ms > 500000


play(a_value_that_stays_on_its_host_never_gets_to_redis, it_does_not_leave_after_a_restart_either,
     an_invalidation_elsewhere_reaches_what_stays_here, tags_of_a_policy_are_known_to_all_hosts,
     a_cascade_is_followed_once_for_the_whole_fleet, an_event_reaches_all_hosts,
     what_is_packed_already_is_not_compressed_again, life_in_redis_has_its_own_bound)
