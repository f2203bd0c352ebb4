"""Tags, prefixes, everything: one number each, looked up when an entry is judged; forgotten when nothing can be that
old any more, or, when there are too many, together with what they might have killed (F17)."""

import struct

from redis_scripts import HOUR_MS, expect, play


def a_name_kills_what_is_older_and_not_what_is_newer(fleet):
    a = fleet.host("a")
    for name, key, tags in [("tred", "x", ["red", "blue"]), ("pacme:", "acme:1", []), ("pacme:users:", "acme:users:7", []), ("a", "y", [])]:
        a.set(key, "old", tags=tags)
        a.set("bystander", "v", tags=["green"])
        a.invalidate(names=[name])
        expect(a.get(key), None, name)
        expect(a.get("bystander"), None if name == "a" else b"v", name)
        a.set(key, "new", tags=tags)
        expect(a.get(key), b"new", name)


def a_name_kills_no_namesake(fleet):
    a = fleet.host("a")
    a.set("tagged", "v", tags=["red:"])
    a.set("red:", "v")
    a.invalidate(names=["tred"])
    a.invalidate(names=["predx:"])
    a.invalidate(names=["pred"])
    expect((a.get("tagged"), a.get("red:")), (b"v", b"v"))
    a.invalidate(names=["pred:"])
    expect((a.get("tagged"), a.get("red:")), (b"v", None))


def the_first_eight_prefixes_of_a_key_count(fleet):
    a = fleet.host("a")
    key = "1:2:3:4:5:6:7:8:9:"
    for level in range(1, 10):
        a.set(key, "v")
        a.invalidate(names=["p" + "".join(f"{n}:" for n in range(1, level + 1))])
        expect(a.get(key), None if level <= 8 else b"v", level)


def sixteen_long_tags_are_all_looked_at_though_they_pass_the_first_kilobyte(fleet):
    a = fleet.host("a")
    tags = [f"{n:02}" + "x" * 1000 for n in range(16)]
    a.set("k", "v" * 3000, tags=tags)
    a.invalidate(names=["tother"])
    expect(a.get("k"), b"v" * 3000)
    a.invalidate(names=["t" + tags[15]])
    expect(a.get("k"), None)


def a_soft_kill_by_name_makes_stale(fleet):
    a = fleet.host("a")
    for name in ["tred", "pk:", "a"]:
        a.set("k:1", "v", tags=["red"])
        a.invalidate(names=[name], how="soft")
        answer = a.getl("k:1", 0)
        expect((answer.status, answer.stale), ("HIT", 1), name)
        expect(a.getl("k:1").token != b"", True, "and gives one the lease")
        a.set("k:1", "v2", tags=["red"])
        expect(a.getl("k:1", 0).stale, 0, name)
        a.invalidate(names=[name])
        expect(a.getl("k:1", 0).status, "MISS", "hard beats soft")


def nothing_is_looked_up_for_an_entry_newer_than_every_kill(fleet):
    a = fleet.host("a")
    a.invalidate(names=["tred"])
    expect(a.hello().killed, 1)
    a.set("k", "v", tags=["red"])
    fleet.ask("ZADD", fleet.key("tags"), 99, "tred")  # were it looked at, it would kill
    expect(a.get("k"), b"v")
    a.invalidate(names=["tblue"], how="soft")
    expect(a.hello().killed, 3)


def too_many_names_go_oldest_first_and_take_along_what_they_might_have_killed(fleet):
    a = fleet.host("a")
    a.names_max = 300
    a.set("before", "v", tags=["t0"])
    for n in range(300):
        a.invalidate(names=[f"tt{n}"])
    a.set("between", "v")
    expect(fleet.ask("ZCARD", fleet.key("tags")), 300)
    expect((a.get("before"), a.get("between")), (None, b"v"))
    a.invalidate(names=["tlast"])
    expect(fleet.ask("ZCARD", fleet.key("tags")), 100)
    expect(fleet.ask("ZSCORE", fleet.key("tags"), "tt0"), None)
    expect((a.hello().floor, a.get("before"), a.get("between")), (202, None, b"v"))
    token_before = struct.pack("<8s8sQ", b"n" * 8, a.epoch, 100)
    fleet.ask("SET", fleet.key("l:z"), token_before + b"-")
    expect(a.fill("z", "v", token_before).reason, "floor")


def a_mark_is_made_once_a_minute(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("k", "v")
    first = a.fence()
    a.set("k", "v")
    b.fence()
    a.fence()
    expect(fleet.ask("ZRANGE", fleet.key("marks"), 0, -1, "WITHSCORES"), [b"1", str(first.ms).encode()])
    for field in ["marked", "tended"]:
        fleet.ask("HSET", fleet.key("inc"), field, first.ms - 60001)
    b.fence()
    expect(fleet.ask("ZRANGE", fleet.key("marks"), 0, -1), [b"1", b"2"])


def an_idle_minute_leaves_the_older_mark(fleet):
    a = fleet.host("a")
    first = a.fence()
    fleet.ask("HSET", fleet.key("inc"), "marked", 0, "tended", 0)
    a.fence()
    expect(fleet.ask("ZRANGE", fleet.key("marks"), 0, -1, "WITHSCORES"), [b"0", str(first.ms).encode()])


def kills_older_than_every_entry_are_forgotten_two_hundred_at_a_time(fleet):
    a = fleet.host("a")
    for n in range(450):
        a.invalidate(names=[f"tt{n}"])
    now = a.fence().ms
    fleet.ask("DEL", fleet.key("marks"))
    fleet.ask("ZADD", fleet.key("marks"), now - 3 * HOUR_MS, "100", now - 2 * HOUR_MS, "420", now - HOUR_MS // 2, "440")
    left = []
    for _ in range(4):
        fleet.ask("HSET", fleet.key("inc"), "tended", 0)
        a.fence(keep_ms=HOUR_MS)
        left.append(fleet.ask("ZCARD", fleet.key("tags")))
    expect(left, [250, 50, 30, 30])
    expect((fleet.ask("ZRANGE", fleet.key("tags"), 0, 0), fleet.ask("HGET", fleet.key("inc"), "pruned")), ([b"tt420"], b"420"))
    expect(fleet.ask("ZRANGE", fleet.key("marks"), 0, -1)[:2], [b"420", b"440"], "the mark that holds stays")
    expect(a.fill("z", "v", "419").reason, "floor", "a token that old cannot be judged any more")


def a_fence_that_forgets_comes_again_soon_while_there_is_more(fleet):
    a = fleet.host("a")
    for n in range(250):
        a.invalidate(names=[f"tt{n}"])
    now = a.hello().ms
    fleet.ask("ZADD", fleet.key("marks"), now - 2 * HOUR_MS, "250")
    first = a.fence(keep_ms=HOUR_MS)
    expect(int(fleet.ask("HGET", fleet.key("inc"), "tended")), first.ms + 50)
    fleet.ask("HSET", fleet.key("inc"), "tended", first.ms)
    second = a.fence(keep_ms=HOUR_MS)
    expect((int(fleet.ask("HGET", fleet.key("inc"), "tended")), fleet.ask("ZCARD", fleet.key("tags"))), (second.ms + 60000, 0))


play(a_name_kills_what_is_older_and_not_what_is_newer, a_name_kills_no_namesake, the_first_eight_prefixes_of_a_key_count,
     sixteen_long_tags_are_all_looked_at_though_they_pass_the_first_kilobyte, a_soft_kill_by_name_makes_stale,
     nothing_is_looked_up_for_an_entry_newer_than_every_kill,
     too_many_names_go_oldest_first_and_take_along_what_they_might_have_killed, a_mark_is_made_once_a_minute,
     an_idle_minute_leaves_the_older_mark, kills_older_than_every_entry_are_forgotten_two_hundred_at_a_time,
     a_fence_that_forgets_comes_again_soon_while_there_is_more)
