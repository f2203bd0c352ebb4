"""invalidate by glob: what matches is dead for every reader of the host when it returns, whatever was in flight, and stays so
over kill -9; what does not match lives on.  And in a fleet: on every host (C1, C2, C6, C8)."""

import wire_client as wire
from scenario import expect, play, until, until_committed

HITS = b"acme:user_42:name"
MISSES = b"acme:user_43:name"
GLOB = b"*:user_42:*"
MANY = 20000


def seen(reader, key):
    """What a process finds by itself, in shared memory or by asking: status and value."""
    words = reader.ask("get", key.decode())
    return words[0], words[2] if len(words) > 2 else ""


def near(reader, key):
    until(lambda: reader.ask("get", key.decode())[1] == "near", "the library maps it")


def stored(client, *keys, **options):
    for key in keys:
        expect(client.set(key, b"v", ttl_ms=600000, **options).status, wire.OK)


def what_matches_is_gone_for_every_process_when_it_returns(larder):
    larder.start()
    client, reader = larder.client(), larder.puppet()
    for round in range(50):
        stored(client, HITS, MISSES)
        near(reader, HITS), near(reader, MISSES)
        expect(client.invalidate(globs=[GLOB]).status, wire.OK)
        expect(seen(reader, HITS)[0], "MISS", f"round {round}")
        expect(seen(reader, MISSES), ("HIT", "v"))
        expect(client.get(HITS).status, wire.MISS)


def after_one_question_what_does_not_match_is_found_in_shared_memory_again(larder):
    larder.start()
    client, reader = larder.client(), larder.puppet()
    stored(client, HITS, MISSES)
    near(reader, MISSES)
    client.invalidate(globs=[GLOB])
    near(reader, MISSES)


def a_value_read_before_it_is_not_stored_after_it(larder):
    larder.start()
    client = larder.client()
    token, beside = client.get(HITS).token, client.get(MISSES).token
    expect(larder.client().invalidate(globs=[GLOB]).status, wire.OK)
    expect(client.set(HITS, b"too late", token=token).status, wire.REFUSED)
    expect(client.set(MISSES, b"v", token=beside).status, wire.OK)
    expect(client.get(HITS).status, wire.MISS)


def a_load_that_overlaps_it_is_refused(larder):
    larder.start()
    client = larder.client()
    lease = client.lease(HITS)
    expect(lease.status, wire.LEASED)
    expect(larder.client().invalidate(globs=[GLOB]).status, wire.OK)
    expect(client.set(HITS, b"too late", token=lease.token).status, wire.REFUSED)
    expect(client.get(HITS).status, wire.MISS)


def softly_it_is_stale(larder):
    larder.start()
    client = larder.client()
    stored(client, HITS, MISSES, stale_ms=600000)
    expect(client.invalidate(globs=[GLOB], soft=True).status, wire.OK)
    assert client.get(HITS).flags & wire.STALE, "not stale"
    assert not client.get(MISSES).flags & wire.STALE, "stale beside it"


def a_tenant_cannot_name_what_is_another_ones(larder):
    larder.start()
    stored(larder.client(), b"acme:1", b"other:1")
    bound = larder.client(tenant=b"acme")
    expect(bound.invalidate(globs=[b"*:1"]).status, wire.DENIED)
    expect(bound.invalidate(globs=[b"other:*"]).status, wire.DENIED)
    expect(bound.invalidate(globs=[b"acme:*"]).status, wire.OK)
    expect([larder.client().get(k).status for k in (b"acme:1", b"other:1")], [wire.MISS, wire.HIT])


def it_stays_done_over_kill_9_right_behind_the_reply(larder):
    larder.start()
    for round in range(5):
        client = larder.client()
        stored(client, HITS, MISSES)
        until_committed(client, 2)
        expect(client.invalidate(globs=[GLOB]).status, wire.OK)
        larder.kill9()
        larder.start()
        expect(larder.client().get(HITS).status, wire.MISS, f"round {round}")
        expect(larder.client().get(MISSES).value, b"v", f"round {round}")
        expect(seen(larder.puppet(), HITS)[0], "MISS")


def fill(client, count):
    keys = [b"t%d:user_%d:name" % (n, n % 50) for n in range(count)]
    for at in range(0, count, 1000):
        client.mset([client.item(key, b"v", ttl_ms=600000) for key in keys[at:at + 1000]])
    until_committed(client, count)
    return keys


def statuses(client, keys):
    return [entry.status for at in range(0, len(keys), 1000) for entry in client.mget(keys[at:at + 1000])]


def in_the_middle_of_the_sweep(larder):
    """Readers first, then kill -9, while neither L1 nor the warm tier can have been looked through."""
    larder.start()
    client = larder.client()
    keys = fill(client, MANY)
    expect(client.invalidate(globs=[b"*:user_7:*"]).status, wire.OK)
    wanted = [wire.MISS if n % 50 == 7 else wire.HIT for n in range(MANY)]
    expect(statuses(client, keys), wanted, "before it is swept")
    larder.kill9()
    larder.start()
    got = statuses(larder.client(), keys)
    expect([s for s, w in zip(got, wanted) if w == wire.MISS], [wire.MISS] * (MANY // 50), "after kill -9")
    assert got.count(wire.HIT) > MANY * 0.9, "the others are gone too"


def more_globs_than_are_kept_give_up_what_is_older_than_all_of_them(larder):
    larder.start()
    client = larder.client()
    stored(client, b"ancient")
    for n in range(80):
        stored(client, b"glob:%d:x" % n)
        expect(client.invalidate(globs=[b"*:%d:x" % n]).status, wire.OK)
        expect(client.get(b"glob:%d:x" % n).status, wire.MISS)
    stored(client, b"young")
    larder.kill9()
    larder.start()
    expect([larder.client().get(b"glob:%d:x" % n).status for n in range(80)], [wire.MISS] * 80)


def those_that_are_prefixes_take_no_place(larder):
    larder.start()
    client = larder.client()
    stored(client, b"ancient", b"p:79:x", b"p:79x")
    for n in range(80):
        expect(client.invalidate(globs=[b"p:%d:*" % n]).status, wire.OK)
    expect([client.get(key).status for key in (b"ancient", b"p:79:x", b"p:79x")], [wire.HIT, wire.MISS, wire.HIT])
    expect(client.invalidate(globs=[b"p:1:*"], dry_run=True).count, 0, "names count nothing")


def what_is_no_glob_is_told_apart(larder):
    larder.start()
    client = larder.client()
    for glob in (b"a*b*", b"", b"x" * 256, b":".join([b"a"] * 17), b"{"):
        expect(client.invalidate(globs=[glob]).status, wire.BAD_REQUEST, glob)
    expect(client.invalidate(globs=[b"a:*"] * 17).status, wire.LIMIT)


def by_the_command(larder):
    larder.start()
    stored(larder.client(), HITS, MISSES)
    larder.says("invalidate", "--glob", GLOB.decode())
    expect(larder.cli("get", HITS.decode()).returncode, 1)
    expect(larder.says("get", "--raw", MISSES.decode()), "v")


play(what_matches_is_gone_for_every_process_when_it_returns,
     after_one_question_what_does_not_match_is_found_in_shared_memory_again,
     a_value_read_before_it_is_not_stored_after_it, a_load_that_overlaps_it_is_refused, softly_it_is_stale,
     a_tenant_cannot_name_what_is_another_ones, it_stays_done_over_kill_9_right_behind_the_reply,
     in_the_middle_of_the_sweep, more_globs_than_are_kept_give_up_what_is_older_than_all_of_them,
     those_that_are_prefixes_take_no_place, what_is_no_glob_is_told_apart, by_the_command)
