"""Lives, and what is no value, over the fleet: touch, ttl 0, values that leave Redis out (F15)."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def touched_on_one_host_it_lives_longer_for_all(fleet):
    a, b = fleet.start(2)
    a.ask().set(b"k", b"v", ttl_ms=60000, stale_ms=0)
    answer = b.ask().touch(b"k", 600000)
    expect(answer.status, wire.OK)
    assert answer.ttl_ms > 500000, answer
    fresh = fleet.host().join()
    assert fresh.ask().get(b"k").ttl_ms > 500000


def touch_never_shortens(fleet):
    a, b = fleet.start(2)
    a.ask().set(b"k", b"v", ttl_ms=600000, stale_ms=0)
    expect(b.ask().touch(b"k", 1000).status, wire.OK)
    assert b.ask().get(b"k").ttl_ms > 500000


def touch_revives_nothing_whose_tag_is_dead(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b, tags=[b"t"])
    a.ask().invalidate(tags=[b"t"])
    expect(b.ask().touch(b"k", 600000).status, wire.NOT_FOUND)
    expect((a.ask().get(b"k").status, b.ask().get(b"k").status), (wire.MISS, wire.MISS))


def ttl_0_removes_it_everywhere(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    expect(a.ask().set(b"k", b"ignored", ttl_ms=0).status, wire.SKIPPED)
    expect(a.ask().get(b"k").status, wire.MISS)
    b.until_missed(b"k")


def a_short_life_ends_everywhere(fleet):
    a, b = fleet.start(2)
    a.ask().set(b"k", b"v", ttl_ms=3000, stale_ms=0)
    expect(b.ask().get(b"k").value, b"v")
    for host in (a, b):
        host.until_missed(b"k")
    until(lambda: not fleet.servers[0].client().call("EXISTS", "{default}:e:k"), "Redis has dropped it too")


def a_value_that_leaves_redis_out_stays_on_its_host(fleet):
    a, b = fleet.start(2)
    here = 1 << wire.L1 | 1 << wire.WARM
    expect(a.ask().set(b"k", b"mine", tiers=here, tags=[b"t"]).status, wire.OK)
    until(lambda: a.ask().get(b"k").value == b"mine", "while a fence vouches it is served")
    expect(b.ask().get(b"k").status, wire.MISS)
    expect(b.ask().invalidate(tags=[b"t"]).status, wire.OK)
    a.until_missed(b"k")


def a_late_fill_does_not_replace_a_value_of_this_host(fleet):
    a, = fleet.start(1)
    here = 1 << wire.L1 | 1 << wire.WARM
    token = a.ask().get(b"k").token
    expect(a.ask().set(b"k", b"new", tiers=here).status, wire.OK)
    expect(a.ask().set(b"k", b"old", tiers=here, token=token).status, wire.REFUSED)
    until(lambda: a.ask().get(b"k").value == b"new", "while a fence vouches it is served")


def one_too_large_for_shared_memory_replaces_the_small_one(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"small", a, b)
    large = b"x" * 300000
    expect(a.ask().set(b"k", large).status, wire.OK)
    expect(a.ask().get(b"k").value, large)
    until(lambda: b.ask().get(b"k").value == large, "the other host reads it")


play(touched_on_one_host_it_lives_longer_for_all, touch_never_shortens, touch_revives_nothing_whose_tag_is_dead,
     ttl_0_removes_it_everywhere, a_short_life_ends_everywhere, a_value_that_leaves_redis_out_stays_on_its_host,
     a_late_fill_does_not_replace_a_value_of_this_host, one_too_large_for_shared_memory_replaces_the_small_one)
