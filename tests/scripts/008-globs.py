"""Globs in Redis: what they hit, in every script, and that too many of them kill more, never less."""

from redis_scripts import HOUR_MS, expect, play

# glob, keys it hits, keys it does not: the same as base/pattern.h says.
CASES = [
    ("org:*", ["org:1", "org:1:2", "org:"], ["org", "orga:1", "x:org:1"]),
    ("*:user_42:*", ["a:user_42:b", ":user_42:", "a:user_42:b:c:d"], ["user_42:a", "a:b:user_42:c", "a:user_4:b", "a:user_42"]),
    ("a:*:c", ["a:b:c", "a::c"], ["a:b:b:c", "a:b:c:d", "a:b"]),
    ("user_*", ["user_", "user_1", "user_1:2"], ["use", "a:user_1"]),
    ("user_*x:b", ["user_x:b", "user_yx:b"], ["user_:b", "user_x:bb", "user_y:x:b"]),
    ("{t}:k", ["a:k"], [":k", "a:b:k", "k"]),
    ("a{t}b:*", ["axb:", "axb:c:d"], ["ab:", "a:b:"]),
    ("plain:key", ["plain:key"], ["plain:key:", "plain:keys", "plain"]),
    ("%d+.-[x]*", ["%d+.-[x]", "%d+.-[x]y:z"], ["5.-x"]),
    ("*", ["a", "a:b", ":"], []),
]


def it_hits_what_the_pattern_says_and_nothing_else(fleet):
    a = fleet.host("a")
    for glob, hits, misses in CASES:
        for key in hits + misses:
            a.set(key, "old")
        a.invalidate(names=["g" + glob])
        for key in hits:
            expect(a.get(key), None, f"{glob} {key}")
        for key in misses:
            expect(a.get(key), b"old", f"{glob} {key}")
        for key in hits:
            a.set(key, "new")
            expect(a.get(key), b"new", f"{glob} {key}")


def softly_it_makes_stale(fleet):
    a = fleet.host("a")
    a.set("k:1", "v")
    a.invalidate(names=["gk:*"], how="soft")
    answer = a.getl("k:1", 0)
    expect((answer.status, answer.stale), ("HIT", 1))


def a_fill_that_was_read_before_it_is_refused(fleet):
    a = fleet.host("a")
    for how in ("hard", "soft"):
        lease = a.getl("k:1")
        beside = a.getl("l:1")
        v = a.invalidate(names=["gk:*"], how=how).v
        expect(a.fill("k:1", "late", lease.token).reason, "name", how)
        expect(a.fill("l:1", "v", beside.token).status, "OK", how)
        expect(a.fill("k:1", "late", str(v - 1)).reason, "name", how)
        expect(a.fill("k:1", "v", str(v)).status, "OK", how)
        a.invalidate("k:1", "l:1")


def what_it_hit_is_dead_to_every_script(fleet):
    a = fleet.host("a")
    a.set("k:1", "v")
    version = fleet.stored("k:1").version
    a.invalidate(names=["g*:1"])
    expect(a.same("k:1", version).verdicts, "0")
    expect(a.touch("k:1", 60000).status, "NOT_FOUND")
    expect(a.set("k:1", "w", condition="present").status, "NOT_FOUND")
    expect(a.set("k:1", "w", condition="absent").status, "OK")


def one_too_many_takes_what_is_older_than_the_oldest(fleet):
    a = fleet.host("a")
    a.set("ancient", "v")
    for n in range(64):
        a.invalidate(names=[f"g{n}:*"])
        if n == 0:
            a.set("younger", "v")
    expect(a.get("ancient"), b"v")
    a.invalidate(names=["g7:*"])
    expect(a.get("ancient"), b"v", "the same once more is not one more")
    a.set("x:1", "v")
    a.invalidate(names=["gx:*"])
    expect((a.get("ancient"), a.get("younger"), a.get("x:1")), (None, b"v", None))


def what_is_older_than_every_entry_is_forgotten(fleet):
    a = fleet.host("a")
    a.invalidate(names=["gold:*"])
    a.invalidate(names=["gyoung:*"])
    now = a.fence().ms
    fleet.ask("DEL", fleet.key("marks"))
    fleet.ask("ZADD", fleet.key("marks"), now - 2 * HOUR_MS, "1")
    fleet.ask("HSET", fleet.key("inc"), "tended", 0)
    a.fence(keep_ms=HOUR_MS)
    bans = fleet.ask("HGET", fleet.key("inc"), "bans")
    expect((b"old:*" in bans, b"young:*" in bans, fleet.ask("HGET", fleet.key("inc"), "pruned")), (False, True, b"1"))
    expect(a.fill("z", "v", "0").reason, "floor", "a token that old cannot be judged any more")


def a_new_epoch_begins_without_them(fleet):
    a = fleet.host("a")
    a.invalidate(names=["gk:*"])
    fleet.ask("HSET", fleet.key("inc"), "run", "another server")
    expect(a.hello().renewed, 1)
    expect(fleet.ask("HMGET", fleet.key("inc"), "bans", "banned"), [b"", b"0"])


def names_that_are_forgotten_do_not_lower_the_floor_of_globs(fleet):
    a = fleet.host("a")
    a.names_max = 250
    a.invalidate(names=[f"told{n}" for n in range(250)])
    a.set("x:2", "v")
    a.invalidate(names=["gx:*"])
    for n in range(64):
        a.invalidate(names=[f"g{n}:*"])
    expect(a.get("x:2"), None)
    a.invalidate(names=["tone more"])
    expect(a.get("x:2"), None, "the oldest names are older than the glob that was forgotten")


def they_are_one_record_with_the_rest(fleet):
    a = fleet.host("a")
    a.invalidate("x", names=["gk:*", "tred"], how="soft")
    expect(fleet.journal(), [("1-0", [("K", b"x"), ("G", b"k:*"), ("T", b"red")])])
    expect(a.hello().killed, 1)


play(it_hits_what_the_pattern_says_and_nothing_else, softly_it_makes_stale, a_fill_that_was_read_before_it_is_refused,
     what_it_hit_is_dead_to_every_script, one_too_many_takes_what_is_older_than_the_oldest,
     what_is_older_than_every_entry_is_forgotten, a_new_epoch_begins_without_them,
     names_that_are_forgotten_do_not_lower_the_floor_of_globs, they_are_one_record_with_the_rest)
