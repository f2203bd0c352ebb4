"""An entry is fresh, then stale, then gone; nobody gets it after its end, and nothing but a touch prolongs it."""

import wire_client as wire
from scenario import expect, play, until


def an_entry_past_its_ttl_is_a_miss_for_socket_and_shared_memory(larder):
    larder.start()
    client, puppet = larder.client(), larder.puppet()
    client.set(b"short", b"v", ttl_ms=1500, stale_ms=0)
    expect(client.get(b"short").status, wire.HIT)
    entry = until(lambda: (e := client.get(b"short")).status == wire.MISS and e, "a miss")
    expect(entry.reason, wire.REASON_EXPIRED)
    expect(puppet.ask("get", "short")[0], "MISS")


def remaining_life_only_shrinks(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v", ttl_ms=60000, stale_ms=0)
    last = 60000
    for _ in range(50):
        now = client.get(b"k").ttl_ms
        assert now <= last, f"life grew from {last} to {now} ms"
        last = now


def between_ttl_and_stale_end_an_entry_is_served_flagged_unless_refused(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v", ttl_ms=100, stale_ms=60000)
    entry = until(lambda: (e := client.get(b"k")).flags & wire.STALE and e, "a stale hit")
    expect((entry.status, entry.value, entry.fresh_ms), (wire.HIT, b"v", 0))
    refused = client.get(b"k", flags=1)
    expect((refused.status, refused.reason), (wire.MISS, wire.REASON_STALE))


def touch_prolongs_and_never_shortens(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v", ttl_ms=10000, stale_ms=0)
    expect(client.touch(b"k", 100000).status, wire.OK)
    assert client.get(b"k").ttl_ms > 90000
    expect(client.touch(b"k", 1).status, wire.OK)
    assert client.get(b"k").ttl_ms > 90000, "touch made a life shorter"
    expect(client.touch(b"nobody", 1000).status, wire.NOT_FOUND)


def a_ttl_of_zero_stores_nothing_and_drops_what_was_there(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"old")
    expect(client.set(b"k", b"new", ttl_ms=0).status, wire.SKIPPED)
    expect(client.get(b"k").status, wire.MISS)


def the_configured_life_is_used_when_none_is_said(larder):
    larder.configure("[namespace default]\nttl = 7s\nmax_ttl = 1m\n")
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    assert 0 < client.get(b"k").ttl_ms <= 7000, client.get(b"k")
    client.set(b"k", b"v", ttl_ms=3600 * 1000, stale_ms=0)
    assert client.get(b"k").ttl_ms <= 60000, "max_ttl was passed"


play(an_entry_past_its_ttl_is_a_miss_for_socket_and_shared_memory, remaining_life_only_shrinks,
     between_ttl_and_stale_end_an_entry_is_served_flagged_unless_refused, touch_prolongs_and_never_shortens,
     a_ttl_of_zero_stores_nothing_and_drops_what_was_there, the_configured_life_is_used_when_none_is_said)
