"""Scripts are not rolled back, so they fail before they write: foreign values, no memory, read-only (F16, D1)."""

from redis_scripts import expect, play


def a_foreign_value_at_any_of_our_keys_fails_a_mutation_with_nothing_done(fleet):
    a = fleet.host("a")
    a.set("k", "v", tags=["red"])
    for name in ["inc", "ver", "j", "tags"]:
        key = fleet.key(name)
        kept = fleet.ask("DUMP", key)
        fleet.ask("DEL", key)
        fleet.ask("LPUSH" if name != "ver" else "SADD", key, "somebody else's")
        answer = fleet.unchanged(a.invalidate, "k", names=["tred"])
        expect(answer.status, "WRONGTYPE", name)
        if name not in ("tags",):  # a set without a condition does not ask for tags
            expect(fleet.unchanged(a.set, "k", "w").status, "WRONGTYPE", name)
        fleet.ask("DEL", key)
        fleet.ask("RESTORE", key, 0, kept) if kept else None
    expect((a.get("k"), a.set("k", "w").v), (b"v", 2))


def a_foreign_string_for_a_counter_is_no_counter(fleet):
    a = fleet.host("a")
    fleet.ask("SET", fleet.key("ver"), "many")
    expect(fleet.unchanged(a.invalidate, "k").status, "EPOCH")


def a_foreign_value_at_an_entry_is_a_miss_to_everybody(fleet):
    a = fleet.host("a")
    for plant in [["SET", "plain text, and quite a lot of it, so that it is longer than a head"], ["SET", "x"], ["SET", ""],
                  ["LPUSH", "a"], ["SET", "Ld\x01" + "\xff" * 80], ["SET", "Ld\x02" + "\0" * 80]]:
        fleet.ask("DEL", fleet.key("e:k"))
        fleet.ask(plant[0], fleet.key("e:k"), plant[1].encode("latin-1"))
        expect((a.getl("k", 0).status, a.touch("k", 1000).status), ("MISS", "NOT_FOUND"), plant)
        expect(a.set("k", "v", condition="present").status, "NOT_FOUND", plant)
        expect(a.same("k", b"\0" * 18).verdicts, "0", plant)


def a_fill_leaves_a_foreign_value_alone_a_set_does_not(fleet):
    a = fleet.host("a")
    fleet.ask("LPUSH", fleet.key("e:k"), "theirs")
    token = a.getl("k").token
    expect(a.fill("k", "v", token).reason, "foreign")
    expect((fleet.ask("LRANGE", fleet.key("e:k"), 0, -1), fleet.ask("EXISTS", fleet.key("l:k"))), ([b"theirs"], 0))
    expect((a.set("k", "v").status, a.get("k")), ("OK", b"v"))


def a_soft_invalidation_leaves_foreign_bytes_alone(fleet):
    a = fleet.host("a")
    fleet.ask("SET", fleet.key("e:k"), "theirs, longer than the place of a soft end")
    expect(a.invalidate("k", how="soft").dropped, 0)
    expect(fleet.ask("GET", fleet.key("e:k")), b"theirs, longer than the place of a soft end")


def an_entry_whose_tag_list_runs_over_its_end_is_a_miss(fleet):
    a = fleet.host("a")
    a.set("k", "v", tags=["red"])
    a.invalidate(names=["tblue"])
    broken = bytearray(fleet.ask("GET", fleet.key("e:k")))
    broken[48:50] = b"\xff\xff"
    fleet.ask("SET", fleet.key("e:k"), bytes(broken))
    expect(a.getl("k", 0).status, "MISS")


def a_foreign_value_at_a_lease_is_an_error_and_nothing_is_done(fleet):
    a = fleet.host("a")
    fleet.ask("LPUSH", fleet.key("l:k"), "theirs")
    expect(fleet.unchanged(a.getl, "k").status, "WRONGTYPE")
    expect(fleet.unchanged(a.fill, "k", "v", b"t" * 24).status, "WRONGTYPE")
    expect(a.set("k", "v").status, "OK")


def without_memory_nothing_is_done(fleet):
    a = fleet.host("a")
    a.set("k", "v", tags=["red"])
    a.set("stale", "v", soft=0)
    token = a.getl("miss").token
    fleet.ask("CONFIG", "SET", "maxmemory", "1")
    for act in [lambda: a.set("k", "w"), lambda: a.fill("miss", "v", token), lambda: a.invalidate("k", names=["tred"]),
                lambda: a.getl("other"), a.fence]:
        expect(fleet.unchanged(act).reply.word(), "OOM")
    expect((fleet.unchanged(a.getl, "k").status, fleet.unchanged(a.getl, "stale").token), ("HIT", b""))
    fleet.ask("CONFIG", "SET", "maxmemory", "0")
    expect(a.set("k", "w").v, 3)


def a_journal_that_cannot_take_the_record_stops_the_mutation(fleet):
    a = fleet.host("a")
    a.set("k", "v")
    fleet.ask("XADD", fleet.key("j"), "18446744073709551615-0", "f", "somebody's")
    for act in [lambda: a.set("k", "w"), lambda: a.invalidate("k", names=["tred", "a"])]:
        assert "equal or smaller" in str(fleet.unchanged(act).reply)


play(a_foreign_value_at_any_of_our_keys_fails_a_mutation_with_nothing_done, a_foreign_string_for_a_counter_is_no_counter,
     a_foreign_value_at_an_entry_is_a_miss_to_everybody, a_fill_leaves_a_foreign_value_alone_a_set_does_not,
     a_soft_invalidation_leaves_foreign_bytes_alone, an_entry_whose_tag_list_runs_over_its_end_is_a_miss,
     a_foreign_value_at_a_lease_is_an_error_and_nothing_is_done, without_memory_nothing_is_done,
     a_journal_that_cannot_take_the_record_stops_the_mutation)
