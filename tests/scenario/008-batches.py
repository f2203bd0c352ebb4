"""Batches: each item by itself, all in order, nothing half, limits by name."""

import wire_client as wire
from scenario import expect, play


def refused(client, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except wire.Refused as refusal:
        return refusal.result
    raise AssertionError("it was carried out")


def a_batch_answers_every_key_in_order(larder):
    larder.start()
    client = larder.client()
    keys = [b"k%d" % n for n in range(client.welcome.batch_max)]
    outcomes = client.mset([client.item(key, b"value of " + key) for key in keys[::2]])
    expect({o.status for o in outcomes}, {wire.OK})
    entries = client.mget(keys)
    expect([e.status for e in entries], [wire.HIT, wire.MISS] * (len(keys) // 2))
    expect([e.value for e in entries[::2]], [b"value of " + key for key in keys[::2]])


def one_key_more_than_the_limit_is_refused_and_the_limit_named(larder):
    larder.start()
    client = larder.client()
    limit = client.welcome.batch_max
    keys = [b"k%d" % n for n in range(limit + 1)]
    for result in [refused(client, client.mget, keys),
                   refused(client, client.mset, [client.item(key, b"v") for key in keys])]:
        expect(result.status, wire.LIMIT)
        assert str(limit) in result.message, f"the limit {limit} is not named: {result.message}"
    expect({e.status for e in client.mget(keys[:-1])}, {wire.MISS}, "nothing of it was stored")
    expect(client.invalidate(keys=keys).status, wire.LIMIT)


def a_bad_item_does_not_harm_its_neighbours(larder):
    larder.start()
    client = larder.client()
    tags = [b"t%d" % n for n in range(17)]
    outcomes = client.mset([client.item(b"a", b"1"), client.item(b"", b"2"), client.item(b"c", b"3", tags=tags),
                            client.item(b"d", b"4", tags=tags[:16] + tags[:16]), client.item(b"e", b"5", ttl_ms=0)])
    expect([o.status for o in outcomes], [wire.OK, wire.BAD_KEY, wire.LIMIT, wire.OK, wire.SKIPPED])
    expect([e.status for e in client.mget([b"a", b"c", b"d", b"e"])], [wire.HIT, wire.MISS, wire.HIT, wire.MISS])


def values_that_do_not_fit_into_the_reply_are_told_to_come_alone(larder):
    larder.start()
    client = larder.client()
    keys, value = [b"big%d" % n for n in range(5)], b"v" * (client.welcome.value_max // 2)
    for key in keys:
        expect(client.set(key, value + key).status, wire.OK)
    entries = client.mget(keys)
    statuses = [e.status for e in entries]
    assert wire.ALONE in statuses and wire.HIT in statuses, statuses
    for key, entry in zip(keys, entries):
        expect((entry if entry.status == wire.HIT else client.get(key)).value, value + key)


def the_same_key_twice_in_a_batch_is_answered_twice(larder):
    larder.start()
    client = larder.client()
    expect([o.status for o in client.mset([client.item(b"k", b"1"), client.item(b"k", b"2")])], [wire.OK] * 2)
    expect([e.value for e in client.mget([b"k", b"k"])], [b"2", b"2"])


def an_invalidation_of_many_kinds_is_one_change_with_one_position(larder):
    larder.start()
    client = larder.client()
    client.mset([client.item(b"a", b"1"), client.item(b"b", b"2", tags=[b"t"]), client.item(b"c:d", b"3"),
                 client.item(b"stays", b"4", tags=[b"u"])])
    dry = client.invalidate(keys=[b"a"], tags=[b"t"], prefixes=[b"c:"], dry_run=True)
    expect((dry.status, client.get(b"a").status), (wire.OK, wire.HIT))
    done = client.invalidate(keys=[b"a"], tags=[b"t"], prefixes=[b"c:"])
    assert done.status == wire.OK and done.v > 0
    expect([e.status for e in client.mget([b"a", b"b", b"c:d", b"stays"])], [wire.MISS] * 3 + [wire.HIT])


play(a_batch_answers_every_key_in_order, one_key_more_than_the_limit_is_refused_and_the_limit_named,
     a_bad_item_does_not_harm_its_neighbours, values_that_do_not_fit_into_the_reply_are_told_to_come_alone,
     the_same_key_twice_in_a_batch_is_answered_twice, an_invalidation_of_many_kinds_is_one_change_with_one_position)
