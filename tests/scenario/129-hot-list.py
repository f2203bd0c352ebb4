"""What is hot in the fleet: hosts tell each other through Redis, and one that joins with an empty disk begins with it."""

import json

import wire_client as wire
from fleet import play
from scenario import expect, until

KEYS, HOT, BIG = 400, 100, 3000


def start(fleet, **options):
    return fleet.start(1, namespace={"hot_list": 1000, **options})


def work(host, hot=range(HOT), **options):
    """All keys are set, some are asked for again and again, over the socket, which is what heat is counted by."""
    client = host.client()
    for n in range(0, KEYS, 100):
        client.mset([client.item(b"k:%d" % k, b"v%d" % k, **options) for k in range(n, n + 100)])
    for _ in range(20):
        client.mget([b"k:%d" % k for k in hot])


def hot_list(fleet):
    return fleet.servers[0].client().call("ZREVRANGE", "{default}:hot", "0", "-1")


def told(fleet, host):
    until(lambda: set(f"k:{n}" for n in range(HOT)) <= set(map(_text, hot_list(fleet))), "the list has what is hot", 30)


def _text(key):
    return key.decode() if isinstance(key, bytes) else key


def a_host_that_joins_has_what_is_hot_before_anybody_asks(fleet):
    a, = start(fleet)
    work(a)
    told(fleet, a)
    until(lambda: all(int(_text(name)[2:]) < HOT for name in hot_list(fleet)[:HOT // 2]), "the hottest are first", 30)
    b, = start(fleet)
    until(lambda: b.figure("hot_warmed") >= HOT, "it is warm")
    expect([n for n in range(HOT) if not b.holds(b"k:%d" % n)], [])


def what_was_invalidated_does_not_come_back(fleet):
    a, = start(fleet)
    work(a, tags=[b"colour"])
    told(fleet, a)
    expect(a.ask().invalidate(tags=[b"colour"]).status, wire.OK)
    b, = start(fleet)
    until(lambda: "warmed from what is hot" in b.log(), "the list was read")
    expect((b.figure("hot_warmed"), b.ask().get(b"k:1").status), (0, wire.MISS))


def the_list_is_bounded_and_the_coldest_go(fleet):
    a, = start(fleet, hot_list=50)
    work(a)
    until(lambda: a.figure("hot_told") > 200 and all(int(_text(name)[2:]) < HOT for name in hot_list(fleet)),
          "what is hot has pushed out what is not", 30)
    expect(len(hot_list(fleet)), 50)


def who_takes_no_part_tells_nothing_and_asks_nothing(fleet):
    a, = start(fleet)
    work(a)
    told(fleet, a)
    b, = start(fleet, hot_list=0)
    b.ask().ping()
    fleet.told(a, b)
    expect((b.figure("hot_told"), b.figure("hot_warmed")), (0, 0))
    assert not b.holds(b"k:1")


def names_of_what_stays_on_its_host_are_not_told(fleet):
    a, = start(fleet, l2="off")
    work(a)
    told_before = a.stats()["loop"]["turns"]
    until(lambda: a.stats()["loop"]["turns"] > told_before + 200, "it had its turns", 30)
    expect((a.figure("hot_told"), hot_list(fleet)), (0, []))


def a_policy_may_warm_from_it_when_it_likes(fleet):
    a, = start(fleet)
    work(a)
    b = fleet.host(namespace={"hot_list": 1000})
    with open(b.config, "a", encoding="utf-8") as file:
        file.write("[policy k]\npattern = k:*\nwarming = hot\n")
    b.join()
    told(fleet, a)
    b.says("warm", "--policy", "k")
    expect([n for n in range(HOT) if not b.holds(b"k:%d" % n)], [])


def a_prefix_is_pulled_hottest_first_and_pushes_nothing_out(fleet):
    a, = start(fleet, l1_entry_bytes="4KiB")  # an index made anew would forget what was hot
    client = a.client()
    for n in range(0, BIG, 100):
        client.mset([client.item(b"k:%d" % k, b"x" * 4000) for k in range(n, n + 100)])
    for _ in range(20):
        client.mget([b"k:%d" % k for k in range(HOT)])
    until(lambda: {f"k:{n}" for n in range(HOT)} == set(map(_text, hot_list(fleet)[:HOT])), "what is hot is before all else", 30)
    b, = start(fleet, warming="off", l1_bytes="4MiB", l1_entry_bytes="4KiB", warm_bytes="256MiB")
    b.ask().get(b"k:%d" % (BIG - 1))
    warmed = json.loads(b.says("warm", "--prefix", "k:", "--json"))
    expect((warmed["done"], warmed["loaded"], warmed["here"]), (BIG, BIG - 1, 1))
    expect([n for n in [*range(HOT), BIG - 1] if not b.holds(b"k:%d" % n)], [])
    expect(b.stats()["namespaces"]["default"]["l1"]["l1_evictions"], 0)


play(a_host_that_joins_has_what_is_hot_before_anybody_asks, what_was_invalidated_does_not_come_back,
     the_list_is_bounded_and_the_coldest_go, who_takes_no_part_tells_nothing_and_asks_nothing,
     names_of_what_stays_on_its_host_are_not_told, a_policy_may_warm_from_it_when_it_likes,
     a_prefix_is_pulled_hottest_first_and_pushes_nothing_out)
