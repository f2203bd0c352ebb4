"""A namespace split in four on one Redis: each contract holds, names reach every part (D2)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

FOUR = {"redis": {"partitions": 4}}
KEYS = [b"user:%d" % n for n in range(40)]


def shared(fleet):
    a, b = fleet.start(2, **FOUR)
    for key in KEYS:
        expect(a.ask().set(key, b"old", tags=[b"t"]).status, wire.OK)
        b.has_read(key, b"old")
    return a, b


def gone(host, keys=KEYS):
    until(lambda: all(e.status == wire.MISS for e in host.ask().mget(keys)), f"host {host.name} misses all")


def keys_are_in_all_parts(fleet):
    a, b = shared(fleet)
    redis = fleet.servers[0].client()
    counters = [int(redis.call("GET", "{default%s}:ver" % (f"/{p}" if p else ""))) for p in range(4)]
    expect(sum(counters), len(KEYS))
    assert all(counters), counters
    parts = {a.ask().set(key, b"new").partition for key in KEYS}
    expect(parts, set(range(4)))
    until(lambda: all(e.value == b"new" for e in b.ask().mget(KEYS)), "the other host knows")


def a_tag_reaches_every_part(fleet):
    a, b = shared(fleet)
    expect(a.ask().invalidate(tags=[b"t"]).status, wire.OK)
    gone(a), gone(b)


def a_prefix_reaches_every_part(fleet):
    a, b = shared(fleet)
    expect(a.ask().invalidate(prefixes=[b"user:"]).status, wire.OK)
    gone(a), gone(b)


def many_keys_of_one_call_reach_theirs(fleet):
    a, b = shared(fleet)
    expect(a.ask().invalidate(keys=KEYS[:20]).status, wire.OK)
    gone(b, KEYS[:20])
    expect([e.value for e in b.ask().mget(KEYS[20:])], [b"old"] * 20)


def fills_and_late_ones(fleet):
    a, b = fleet.start(2, **FOUR)
    tokens = {key: a.ask().get(key).token for key in KEYS}
    expect(b.ask().invalidate(keys=KEYS[:10], tags=[b"t"]).status, wire.OK)
    for key in KEYS:
        late = key in KEYS[:20]
        answer = a.ask().set(key, b"v", tags=[b"t"] if key in KEYS[10:20] else [], token=tokens[key])
        expect(answer.status, wire.REFUSED if late else wire.OK, repr(key))


def what_waited_for_redis_reaches_all_parts(fleet):
    a, b = shared(fleet)
    a.leave_redis()
    assert a.ask().invalidate(tags=[b"t"]).status in (wire.QUEUED, wire.LOCAL)
    gone(a)
    a.return_to_redis()
    gone(b), gone(a)


def hosts_that_disagree_about_the_number_notice(fleet):
    a, = fleet.start(1, **FOUR)
    expect(a.ask().set(b"k", b"v").status, wire.OK)
    for partitions in (1, 2):
        other = fleet.host(redis={"partitions": partitions})
        other.start()
        other.until_mode("DETACHED")
        until(lambda: any("number of partitions" in issue for issue in other.health()["issues"]), "health names it")
        step = next(step for step in other.ask().doctor()["steps"] if step["name"] == "partitions")
        assert step["result"] == "failed" and f"have 4, this one has {partitions}" in step["says"], step
        assert other.ask().set(b"k", b"lost").status in (wire.QUEUED, wire.LOCAL)
        other.configure_fleet(partitions=4)
        other.restart()
        other.until_fresh(20)
    expect(a.mode(), "FRESH")


def an_undivided_namespace_is_no_part_of_a_divided_one(fleet):
    a, = fleet.start(1, **FOUR)
    b = fleet.host(namespaces=("default.1",))
    b.start()
    with b.client("default.1") as client:
        until(lambda: client.set(b"k", b"v").status == wire.OK, "it is in the fleet")
    for key in KEYS:
        expect(a.ask().set(key, b"old").status, wire.OK)
    expect(all(e.value == b"old" for e in a.ask().mget(KEYS)), True)


def one_part_without_its_counter_begins_anew(fleet):
    a, b = shared(fleet)
    fleet.servers[0].client().call("DEL", "{default/2}:ver")
    until(lambda: all(a.ask().set(key, b"new").status == wire.OK for key in KEYS), "changes are taken in all parts")
    until(lambda: all(e.value == b"new" for e in b.ask().mget(KEYS)), "the other host knows")


play(hosts_that_disagree_about_the_number_notice, an_undivided_namespace_is_no_part_of_a_divided_one, keys_are_in_all_parts,
     a_tag_reaches_every_part, a_prefix_reaches_every_part, many_keys_of_one_call_reach_theirs,
     fills_and_late_ones, what_waited_for_redis_reaches_all_parts, one_part_without_its_counter_begins_anew)
