"""tag: an entry is given tags when it is there already; an invalidation of one of them then takes it along on every host,
over kill -9 too, whoever changes the key meanwhile."""

import threading

import wire_client as wire
from fleet import play
from scenario import expect, until

KEY, TAG = b"page:7", b"user:42"


def tagged(host, key=KEY, *tags):
    outcome = host.ask().tag(key, *(tags or (TAG,)))
    expect(outcome.status, wire.OK)
    return outcome


def what_one_host_tagged_another_host_invalidates_for_both(fleet):
    a, b = fleet.start(2)
    fleet.share(KEY, b"v", a, b, ttl_ms=600000)
    outcome = tagged(a)
    assert 500000 < outcome.ttl_ms <= 600000, outcome
    until(lambda: b.ask().get(KEY).v == outcome.v, "the other host has the one with the tag")
    expect([(entry.value, entry.status) for entry in (a.ask().get(KEY), b.ask().get(KEY))], [(b"v", wire.HIT)] * 2)
    expect(b.ask().invalidate(tags=[TAG]).status, wire.OK)
    expect(b.ask().get(KEY).status, wire.MISS, "on the host itself, at once")
    a.until_missed(KEY)


def readers_of_shared_memory_see_it_too(fleet):
    a, b = fleet.start(2)
    reader = b.puppet()
    fleet.share(KEY, b"v", a, b)
    until(lambda: reader.ask("get", KEY.decode())[1] == "near", "the library maps it")
    tagged(a)
    fleet.told(a, b)
    expect(a.ask().invalidate(tags=[TAG], wait_all=True).status, wire.OK)
    expect(reader.ask("get", KEY.decode())[0], "MISS")


def the_tags_it_had_and_those_of_other_hosts_stay(fleet):
    a, b = fleet.start(2)
    for number, tag in enumerate((b"first", b"second", b"third")):
        key = b"k%d" % number
        expect(a.ask().set(key, b"v" * 5000, tags=[b"first"]).status, wire.OK)  # compressed in Redis
        tagged(b, key, b"second")
        tagged(a, key, b"third", b"first")
        expect(b.ask().get(key).value, b"v" * 5000)
        expect(b.ask().invalidate(tags=[tag]).status, wire.OK)
        expect(b.ask().get(key).status, wire.MISS, tag)
        a.until_missed(key)


def softly_invalidated_it_stays_stale(fleet):
    a, b = fleet.start(2)
    fleet.share(KEY, b"v", a, b, ttl_ms=60000, stale_ms=60000)
    expect(a.ask().invalidate(keys=[KEY], soft=True).status, wire.OK)
    tagged(a)
    assert a.ask().get(KEY).flags & wire.STALE
    until(lambda: b.ask().get(KEY).flags & wire.STALE, "stale on the other host")


def over_kill_9_right_behind_the_reply(fleet):
    a, b = fleet.start(2)
    for round in range(3):
        fleet.share(KEY, b"v%d" % round, a, b)
        tagged(a)
        a.kill9()
        a.start()
        a.until_fresh()
        expect(b.ask().invalidate(tags=[TAG]).status, wire.OK)
        a.until_missed(KEY)
        fleet.told(b, a)
        expect(a.ask().get(KEY).status, wire.MISS, f"round {round}")


def whoever_sets_the_key_meanwhile_wins(fleet):
    """One host counts up, the other tags: no count is lost, and each OK of a tag holds for what is there."""
    a, b = fleet.start(2)
    expect(a.ask().set(KEY, b"0").status, wire.OK)
    counts, statuses = [], []

    def count():
        client = a.client()
        for number in range(1, 300):
            expect(client.set(KEY, b"%d" % number).status, wire.OK)
            counts.append(number)

    def tag():
        client = b.client()
        while len(counts) < 299:
            statuses.append(client.tag(KEY, b"t%d" % (len(statuses) % 8)).status)

    threads = [threading.Thread(target=work) for work in (count, tag)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {wire.OK, wire.CONFLICT}, set(statuses)
    until(lambda: b.ask().get(KEY).value == b"299", "the last set is what is there")
    tagged(b)
    expect(a.ask().invalidate(tags=[TAG]).status, wire.OK)
    b.until_missed(KEY)


def without_redis_nobody_can_say(fleet):
    a, b = fleet.start(2)
    fleet.share(KEY, b"v", a, b)
    a.leave_redis()
    expect(a.ask().tag(KEY, TAG).status, wire.DETACHED)
    a.return_to_redis()
    tagged(a)


def a_tenant_gives_its_own_tags_to_its_own_keys(fleet):
    a, = fleet.start(1)
    bound = a.client(tenant=b"acme")
    expect([a.ask().set(key, b"v").status for key in (b"acme:1", b"other:1")], [wire.OK] * 2)
    expect([bound.tag(key, b"red").status for key in (b"acme:1", b"other:1")], [wire.OK, wire.DENIED])
    expect(a.ask().invalidate(tags=[b"red"]).status, wire.OK)
    expect(a.ask().get(b"acme:1").status, wire.HIT, "that is another tag")
    expect(bound.invalidate(tags=[b"red"]).status, wire.OK)
    expect(a.ask().get(b"acme:1").status, wire.MISS)


def bad_requests_are_told_apart(fleet):
    a, = fleet.start(1)
    ask = a.ask()
    ask.set(KEY, b"v")
    expect(ask.tag(b"nobody", TAG).status, wire.NOT_FOUND)
    for tags, status in (((), wire.BAD_REQUEST), ([b"t%d" % n for n in range(17)], wire.LIMIT), ((b"",), wire.LIMIT)):
        try:
            ask.tag(KEY, *tags)
            raise AssertionError(f"{tags} was taken")
        except wire.Refused as refused:
            expect(refused.result.status, status, str(tags))
    tagged(a, KEY, *[b"t%d" % n for n in range(16)])
    expect(ask.tag(KEY, b"one more").status, wire.LIMIT)


def by_the_command(fleet):
    a, = fleet.start(1)
    a.says("set", "page:7", "v")
    a.says("tag", "page:7", "user:42", "pages")
    expect(a.cli("tag", "nobody", "x").returncode, 1)
    a.says("invalidate", "--tag", "pages")
    expect(a.cli("get", "page:7").returncode, 1)


play(what_one_host_tagged_another_host_invalidates_for_both, readers_of_shared_memory_see_it_too,
     the_tags_it_had_and_those_of_other_hosts_stay, softly_invalidated_it_stays_stale, over_kill_9_right_behind_the_reply,
     whoever_sets_the_key_meanwhile_wins, without_redis_nobody_can_say, a_tenant_gives_its_own_tags_to_its_own_keys,
     bad_requests_are_told_apart, by_the_command)
