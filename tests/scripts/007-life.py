"""Conditions, touch, comparison and get judge life alike (F15); nothing lives longer than it was given."""

import struct

from redis_scripts import ABSENT, Record, expect, play


def aged(fleet, key, ms):
    """Makes an entry look written ms ago (negative: in the clock's future)."""
    place = fleet.key("e:" + key)
    born = int.from_bytes(fleet.ask("GETRANGE", place, 18, 23), "little") - ms
    fleet.ask("SETRANGE", place, 18, born.to_bytes(6, "little"))


def killed_in_every_way(fleet, host):
    """Entries that are dead, each for a reason of its own: (why, key)."""
    def by_name(name):
        host.set("k:1", "v", tags=["red"])
        host.invalidate(names=[name])

    def expired():
        host.set("k:1", "v", ttl=60000, tags=["red"])
        aged(fleet, "k:1", 60000)

    def of_the_future():
        host.set("k:1", "v", tags=["red"])
        aged(fleet, "k:1", -5000)

    def of_another_epoch():
        host.set("k:1", "v", tags=["red"])
        fleet.ask("SETRANGE", fleet.key("e:k:1"), 3, b"another!")

    def below_the_floor():
        host.set("k:1", "v", tags=["red"])
        fleet.ask("HSET", fleet.key("inc"), "floor", host.hello().v + 1)

    for why, act in [("tag", lambda: by_name("tred")), ("prefix", lambda: by_name("pk:")), ("all", lambda: by_name("a")),
                     ("expired", expired), ("future", of_the_future), ("epoch", of_another_epoch), ("floor", below_the_floor)]:
        act()
        yield why


def what_is_dead_is_dead_to_every_script(fleet):
    a = fleet.host("a")
    for why in killed_in_every_way(fleet, a):
        version = fleet.stored("k:1").version
        expect(fleet.unchanged(a.getl, "k:1", 0).status, "MISS", why)
        expect(fleet.unchanged(a.touch, "k:1", 1000000).status, "NOT_FOUND", why)
        expect(fleet.unchanged(a.same, "k:1", version).verdicts, "0", why)
        expect(fleet.unchanged(a.set, "k:1", "w", condition="present").status, "NOT_FOUND", why)
        expect(fleet.unchanged(a.set, "k:1", "w", condition=version).status, "NOT_FOUND", why)
        token = a.getl("k:1").token
        expect(a.drop("k:1", token), 1)
        expect(a.set("k:1", "w", condition="absent").status, "OK", why)


def conditions_are_judged_on_what_is_there(fleet):
    a = fleet.host("a")
    expect(fleet.unchanged(a.set, "k", "v", condition="present").status, "NOT_FOUND")
    expect(a.set("k", "v", condition="absent", id=5).status, "OK")
    exists = fleet.unchanged(a.set, "k", "w", condition="absent")
    expect((exists.status, exists.v, Record(exists.head).version), ("EXISTS", 1, fleet.stored("k").version))
    expect(a.set("k", "w", condition="present", id=6).status, "OK")
    version = fleet.stored("k").version
    for wrong in [b"\0" * 8 + version[8:], version[:8] + b"\1" + version[9:], version[:15] + b"\0\0\0"]:
        expect(fleet.unchanged(a.set, "k", "x", condition=wrong).status, "CONFLICT")
    expect((a.set("k", "x", condition=version).v, a.get("k")), (3, b"x"))


def a_version_may_have_to_be_fresh_too(fleet):
    """What is stored anew as it was must not lose what softened it: by time, by name, by its key."""
    a = fleet.host("a")
    a.set("k:1", "v", tags=["red"])
    fresh = fleet.stored("k:1").version + b"f"
    expect(a.set("k:1", "v", tags=["red"], condition=fresh).status, "OK")
    for soften in (lambda: a.invalidate(names=["tred"], how="soft"), lambda: a.invalidate(names=["pk:"], how="soft"),
                   lambda: a.invalidate("k:1", how="soft"),
                   lambda: a.set("k:1", "v", soft=0)):
        a.set("k:1", "v", tags=["red"])
        soften()
        version = fleet.stored("k:1").version
        expect(fleet.unchanged(a.set, "k:1", "w", condition=version + b"f").status, "CONFLICT")
        expect(a.set("k:1", "w", condition=version).status, "OK")


def what_is_stored_again_lives_no_longer(fleet):
    """However long the request was on its way: its sender counted what was left before that."""
    a = fleet.host("a")
    for stale, letter in [(False, b"f"), (True, b"s")]:
        a.set("k", "v", ttl=60000, soft=0 if stale else 40000)
        aged(fleet, "k", 20000)
        version = fleet.stored("k").version
        expect(a.set("k", "v", ttl=60000, soft=0 if stale else 40000, condition=version + letter).status, "OK")
        again = fleet.stored("k")
        assert 30000 <= again.hard <= 40000 and fleet.ask("PTTL", fleet.key("e:k")) <= 40000, again.hard
        assert again.soft == 0 if stale else 10000 <= again.soft <= 20000, again.soft
        expect(a.getl("k", 0).stale, int(stale))
        expect(a.set("k", "v", ttl=1000, soft=0, condition=again.version + b"s").status, "OK")
        expect(fleet.stored("k").hard, 1000)


def what_is_stale_is_there_and_so_is_a_known_absence(fleet):
    a = fleet.host("a")
    a.set("k", "v", soft=0)
    expect(a.set("k", "w", condition="absent").status, "EXISTS")
    a.set("none", "", bits=ABSENT)
    expect(a.set("none", "w", condition="absent").status, "EXISTS")
    expect(a.getl("none", 0).status, "HIT")


def a_soft_end_makes_stale_and_a_hard_end_gone(fleet):
    a = fleet.host("a")
    a.set("k", "v", ttl=60000, soft=30000)
    expect(a.getl("k", 0).stale, 0)
    aged(fleet, "k", 30000)
    expect(a.getl("k", 0).stale, 1)
    aged(fleet, "k", 30000)
    expect(a.getl("k", 0).status, "MISS")


def a_softly_invalidated_entry_stays_under_its_version(fleet):
    a = fleet.host("a")
    a.set("k", "v", ttl=60000)
    version, life = fleet.stored("k").version, fleet.ask("PTTL", fleet.key("e:k"))
    expect(a.invalidate("k", "nothing", how="soft").dropped, 1)
    record = fleet.stored("k")
    expect((record.version, record.value, record.soft, record.hard), (version, b"v", 0, 60000))
    assert 0 < fleet.ask("PTTL", fleet.key("e:k")) <= life
    expect((a.getl("k", 0).stale, a.same("k", version).verdicts), (1, "2"))


def touch_prolongs_and_never_shortens(fleet):
    a = fleet.host("a")
    a.set("k", "v", ttl=60000, soft=30000, tags=["red"], id=77)
    before = fleet.stored("k")
    answer = a.touch("k", 1000, soft=500)
    left = Record(answer.head)
    assert 40000 <= left.hard <= 60000 and 10000 <= left.soft <= 30000, (left.hard, left.soft)
    answer = a.touch("k", 100000, soft=80000)
    after = fleet.stored("k")
    expect((after.hard, after.soft, after.version, after.tags, after.value), (100000, 80000, before.version, [b"red"], b"v"))
    expect(answer.head, fleet.ask("GETRANGE", fleet.key("e:k"), 0, 47))
    assert 80000 < fleet.ask("PTTL", fleet.key("e:k")) <= 100000
    expect((fleet.ask("GET", fleet.key("ver")), len(fleet.journal())), (b"1", 1), "no position, no record")


def touch_makes_fresh_what_time_made_stale_but_not_what_was_invalidated(fleet):
    a = fleet.host("a")
    a.set("k", "v", ttl=60000, soft=1000)
    aged(fleet, "k", 1000)
    a.touch("k", 60000, soft=60000)
    expect(a.getl("k", 0).stale, 0)
    a.invalidate("k", how="soft")
    a.touch("k", 90000, soft=90000)
    expect((a.getl("k", 0).stale, fleet.stored("k").hard), (1, 90000))
    a.set("t", "v", tags=["red"])
    a.invalidate(names=["tred"], how="soft")
    a.touch("t", 90000)
    expect(a.getl("t", 0).stale, 1)


def a_soft_end_never_passes_the_hard_one(fleet):
    a = fleet.host("a")
    a.set("k", "v", ttl=100000)
    a.touch("k", 200000, soft=900000)
    expect((fleet.stored("k").soft, fleet.stored("k").hard), (200000, 200000))


def a_comparison_says_of_many_keys_which_are_the_same(fleet):
    a = fleet.host("a")
    for key, tags in [("x", []), ("y", []), ("dead", ["red"]), ("stale", ["blue"]), ("p:1", [])]:
        a.set(key, "v", tags=tags)
    versions = {key: fleet.stored(key).version for key in ["x", "y", "dead", "stale", "p:1"]}
    a.set("y", "another")
    a.invalidate(names=["tred", "pp:"])
    a.invalidate(names=["tblue"], how="soft")
    answer = fleet.unchanged(a.same, "x", versions["x"], "y", versions["y"], "dead", versions["dead"], "gone", versions["x"],
                             "stale", versions["stale"], "p:1", versions["p:1"])
    expect((answer.verdicts, answer.v), ("100020", 8))


def a_thousand_bytes_more_or_less_are_read_whole(fleet):
    a = fleet.host("a")
    for size in [0, 1, 975, 976, 977, 5000, 100000]:
        a.set("k", b"x" * size)
        expect(len(a.get("k")), size)


def the_head_in_redis_is_what_the_page_of_the_layout_says(fleet):
    a = fleet.host("a")
    answer = a.set("k", "v", ttl=0x070605, soft=0x050403, id=0x030201, user_flags=0x11121314, schema=0x21222324, tags=["t"])
    stored = fleet.ask("GET", fleet.key("e:k"))
    stamp = b"Ld\1" + a.epoch + (1).to_bytes(7, "little") + answer.ms.to_bytes(6, "little") + struct.pack("<II", 0x050403, 0x070605)
    expect(stored, stamp + bytes(4) + b"\1\2\3\1" + struct.pack("<II", 0x11121314, 0x21222324) + b"\1\0t" + b"v")


play(what_is_dead_is_dead_to_every_script, conditions_are_judged_on_what_is_there, a_version_may_have_to_be_fresh_too,
     what_is_stored_again_lives_no_longer, what_is_stale_is_there_and_so_is_a_known_absence, a_soft_end_makes_stale_and_a_hard_end_gone,
     a_softly_invalidated_entry_stays_under_its_version, touch_prolongs_and_never_shortens,
     touch_makes_fresh_what_time_made_stale_but_not_what_was_invalidated, a_soft_end_never_passes_the_hard_one,
     a_comparison_says_of_many_keys_which_are_the_same, a_thousand_bytes_more_or_less_are_read_whole,
     the_head_in_redis_is_what_the_page_of_the_layout_says)
