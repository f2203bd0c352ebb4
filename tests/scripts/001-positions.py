"""One mutation, one position, one record; a fill of nothing takes none (F4); a call that fails changes nothing (F16)."""

from redis_scripts import expect, play


def every_mutation_takes_the_next_position_and_leaves_one_record(fleet):
    a = fleet.host("a")
    expect(a.set("k", "v1").v, 1)
    expect(a.set("k", "v2").v, 2)
    expect(a.invalidate("k").v, 3)
    expect(a.invalidate(names=["tred", "pacme:", "a"]).v, 4)
    expect(fleet.journal(), [("1-0", [("s", b"k")]), ("2-0", [("s", b"k")]), ("3-0", [("k", b"k")]),
                             ("4-0", [("t", b"red"), ("p", b"acme:"), ("a", b"")])])
    expect(fleet.ask("GET", fleet.key("ver")), b"4")


def many_keys_and_names_are_one_record_and_any_bytes(fleet):
    a = fleet.host("a")
    keys = [b"\0\r\n%s" + bytes([n]) for n in range(250)]
    for key in keys[:3]:
        a.set(key, "v")
    answer = a.invalidate(*keys, names=[b"t\0\xff", b"p:", b"t" + b"x" * 300])
    expect((answer.v, answer.dropped), (4, 3))
    expect(fleet.journal()[3], ("4-0", [("k", key) for key in keys] + [("t", b"\0\xff"), ("p", b":"), ("t", b"x" * 300)]))


def a_soft_record_is_soft_throughout(fleet):
    a = fleet.host("a")
    a.invalidate("k", names=["tred", "pk:", "a"], how="soft")
    expect(fleet.journal(), [("1-0", [("K", b"k"), ("T", b"red"), ("P", b"k:"), ("A", b"")])])


def a_set_stamps_its_own_position_and_epoch(fleet):
    a = fleet.host("a")
    a.set("x", "1")
    a.set("k", "value", ttl=5000, soft=2000, tags=["red", b"\0"], id=0xabcdef, user_flags=7, schema=9)
    record = fleet.stored("k")
    expect((record.epoch, record.v, record.id), (a.epoch, 2, 0xabcdef))
    expect((record.soft, record.hard, record.user_flags, record.schema), (2000, 5000, 7, 9))
    expect((record.tags, record.value), ([b"red", b"\0"], b"value"))
    assert 0 < fleet.ask("PTTL", fleet.key("e:k")) <= 5000


def a_fill_of_an_absent_key_takes_no_position_and_leaves_no_record(fleet):
    a = fleet.host("a")
    a.set("other", "x")
    lease = a.getl("k")
    answer = a.fill("k", "v", lease.token)
    expect((answer.status, answer.v, answer.recorded), ("OK", 1, 0))
    expect((fleet.stored("k").v, len(fleet.journal())), (1, 1))


def a_fill_over_a_live_entry_takes_a_position(fleet):
    a = fleet.host("a")
    a.set("k", "v1")
    a.invalidate("k", how="soft")
    stale = a.getl("k")
    expect((stale.status, stale.stale), ("HIT", 1))
    answer = a.fill("k", "v2", stale.token)
    expect((answer.status, answer.v, answer.recorded), ("OK", 3, 1))
    expect(fleet.journal()[-1], ("3-0", [("s", b"k")]))


def the_journal_is_trimmed_but_its_newest_records_stay(fleet):
    a = fleet.host("a")
    a.maxlen = 200
    for n in range(1000):
        a.invalidate("k")
    journal = fleet.journal()
    expect(journal[-1][0], "1000-0")
    assert 200 <= len(journal) < 500, len(journal)
    first = a.hello().first
    expect(first, int(journal[0][0].split("-")[0]))


def a_set_of_nothing_removes_the_key_for_all(fleet):
    a = fleet.host("a")
    a.set("k", "v")
    expect(a.set("k", None, condition=fleet.stored("k").version).status, "OK")
    expect((fleet.stored("k"), fleet.journal()[-1]), (None, ("2-0", [("k", b"k")])))


def positions_beyond_a_double_s_print_format_are_exact(fleet):
    a = fleet.host("a")
    big = 2 ** 52 - 3
    fleet.ask("SET", fleet.key("ver"), str(big))
    expect(a.set("k", "v").v, big + 1)
    expect((fleet.journal()[-1][0], fleet.ask("GET", fleet.key("ver")), fleet.stored("k").v),
           (f"{big + 1}-0", str(big + 1).encode(), big + 1))
    a.invalidate(names=["tred"])
    expect(int(fleet.ask("ZSCORE", fleet.key("tags"), "tred")), big + 2)


play(every_mutation_takes_the_next_position_and_leaves_one_record, many_keys_and_names_are_one_record_and_any_bytes,
     a_soft_record_is_soft_throughout, a_set_stamps_its_own_position_and_epoch,
     a_fill_of_an_absent_key_takes_no_position_and_leaves_no_record, a_fill_over_a_live_entry_takes_a_position,
     the_journal_is_trimmed_but_its_newest_records_stay, a_set_of_nothing_removes_the_key_for_all,
     positions_beyond_a_double_s_print_format_are_exact)
