"""Another Redis, or other data in it, is another epoch: nothing of the old one is believed (F5, F6)."""

import os
import shutil

from redis_scripts import expect, play


def restarted(fleet, **options):
    """The server dies and comes back with what it had."""
    fleet.redis.kill9()
    fleet.redis.start(appendonly="yes", appendfsync="always", **options)


def an_epoch_lasts_as_long_as_the_server_and_its_data(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    expect(a.epoch, b.epoch)
    a.set("k", "v")
    answer = a.hello()
    expect((answer.epoch, answer.v, answer.renewed), (b.epoch, 1, 0))


def a_restart_with_all_data_brings_no_killed_entry_back(fleet):
    restarted(fleet)
    a = fleet.host("a")
    a.fill("k", "old", a.getl("k").token, tags=["red"])
    a.set("k2", "alive")
    a.invalidate(names=["tred"])
    expect(a.get("k"), None)
    restarted(fleet)
    again = fleet.host("a")
    assert again.epoch != a.epoch
    expect((again.get("k"), again.get("k2")), (None, None))
    assert fleet.stored("k") is not None and fleet.stored("k2") is not None, "the bytes are there, and are not shown"
    expect(again.getl("k").status, "LEASE")


def a_new_epoch_starts_with_no_names_no_journal_and_goes_on_counting(fleet):
    restarted(fleet)
    a = fleet.host("a")
    a.set("k", "v")
    a.invalidate(names=["tred"])
    restarted(fleet)
    b = fleet.host("b")
    answer = b.hello()
    expect((answer.v, answer.first, answer.killed, answer.floor, answer.renewed), (2, 3, 0, 0, 0))
    expect((fleet.journal(), fleet.ask("ZCARD", fleet.key("tags"))), ([], 0))
    expect(b.set("k", "v2").v, 3)


def a_token_of_before_a_restore_is_refused(fleet):
    # Lease in the snapshot, invalidation after it, the server comes back with the snapshot.
    a = fleet.host("a")
    token = a.getl("k").token
    fleet.ask("SAVE")
    saved = os.path.join(fleet.redis.home, "dump.rdb")
    shutil.copy(saved, saved + ".old")
    a.invalidate("k")
    fleet.redis.kill9()
    shutil.move(saved + ".old", saved)
    fleet.redis.start()
    b = fleet.host("a")
    assert fleet.ask("EXISTS", fleet.key("l:k")) == 1, "the lease came back with the snapshot"
    expect(b.fill("k", "old", token).reason, "epoch")
    expect((b.get("k"), fleet.ask("EXISTS", fleet.key("l:k"))), (None, 0))


def a_counter_that_went_back_with_a_restore_is_no_matter(fleet):
    a = fleet.host("a")
    a.set("k", "v1")
    fleet.ask("SAVE")
    a.set("k", "v2")
    a.set("k", "v3")
    fleet.redis.kill9()
    fleet.redis.start()
    b = fleet.host("b")
    expect((b.hello().v, b.get("k")), (1, None))


def a_counter_behind_what_it_showed_in_its_epoch_begins_another(fleet):
    a = fleet.host("a")
    a.set("k", "v1")
    a.seen = a.set("k", "v2").v
    expect(a.hello().renewed, 0)
    fleet.ask("DEL", fleet.key("j"))
    fleet.ask("SET", fleet.key("ver"), a.seen - 1)
    old = a.epoch
    expect((a.hello().renewed, a.epoch == old, a.get("k")), (1, False, None))
    a.seen -= 1
    expect(a.hello().renewed, 0)


def scripts_of_another_epoch_do_nothing(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("k", "v")
    token = a.getl("miss", lease_ms=600000).token  # outlives a slow machine
    fleet.ask("HSET", fleet.key("inc"), "run", "another")
    b.hello()
    for act in [lambda: a.set("k", "w"), lambda: a.fill("miss", "v", token), lambda: a.invalidate("k", names=["a"]),
                lambda: a.touch("k", 1000), lambda: a.getl("k"), lambda: a.same("k", b"x" * 18), a.fence]:
        expect(fleet.unchanged(act).reply.word(), "EPOCH")
    expect(a.renew("miss", token, 1000).word(), "EPOCH")
    expect(a.drop("miss", token).word(), "EPOCH")


def after_flushall_nobody_counts_from_one_under_the_old_epoch(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("k", "v")
    fleet.ask("FLUSHALL")
    expect(fleet.unchanged(a.set, "k", "v").status, "EPOCH")
    expect(fleet.unchanged(b.fence).status, "EPOCH")
    answer = a.hello()
    expect((answer.renewed, answer.v), (1, 0))
    assert a.epoch != b.epoch


def a_lost_counter_ends_the_epoch(fleet):
    a = fleet.host("a")
    a.set("k", "v")
    fleet.ask("DEL", fleet.key("ver"))
    expect(fleet.unchanged(a.set, "k", "v2").status, "EPOCH")
    old = a.epoch
    expect(a.hello().renewed, 1)
    assert a.epoch != old
    expect((a.get("k"), a.set("k", "v3").status), (None, "OK"))


def a_counter_behind_the_journal_ends_the_epoch(fleet):
    a = fleet.host("a")
    for n in range(5):
        a.invalidate("k")
    fleet.ask("SET", fleet.key("ver"), "2")
    answer = fleet.unchanged(a.invalidate, "k")
    assert "equal or smaller" in str(answer.reply), answer
    expect((a.hello().renewed, a.invalidate("k").v), (1, 3))


def a_lost_journal_is_a_gap_and_no_new_epoch(fleet):
    a = fleet.host("a")
    a.invalidate("k")
    a.invalidate("k")
    fleet.ask("DEL", fleet.key("j"))
    answer = a.hello()
    expect((answer.renewed, answer.v, answer.first), (0, 2, 3))
    a.invalidate("k")
    expect(a.hello().first, 3)


def whoever_divides_the_namespace_otherwise_is_refused(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    b.parts = 4
    expect(fleet.unchanged(b.hello).status, "PARTITIONS")
    expect(a.set("k", "v").status, "OK")
    fleet.ask("HDEL", fleet.key("inc"), "parts")
    expect(b.hello().renewed, 1)
    expect(b.get("k"), None)


def a_replica_is_no_place_to_say_hello(fleet):
    a = fleet.host("a")
    fleet.ask("REPLICAOF", "127.0.0.1", "1")
    expect(fleet.unchanged(a.hello).status, "NOTMASTER")
    expect(fleet.unchanged(a.fence).status, "READONLY")
    expect(fleet.unchanged(a.set, "k", "v").status, "READONLY")
    fleet.ask("REPLICAOF", "NO", "ONE")
    expect(a.hello().renewed, 1, "another replication id")


def hello_tells_what_must_be_known_of_the_server(fleet):
    fleet.ask("CONFIG", "SET", "maxmemory", "100mb")
    fleet.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    answer = fleet.host("a").hello()
    assert int(answer.version.split(b".")[0]) >= 6, answer.version
    expect((answer.policy, answer.max_bytes), ("volatile-lru", 100 * 1024 * 1024))
    assert answer.used_bytes > 100000
    seconds, _ = fleet.ask("TIME")
    assert abs(answer.ms - int(seconds) * 1000) < 60000


play(an_epoch_lasts_as_long_as_the_server_and_its_data, a_restart_with_all_data_brings_no_killed_entry_back,
     a_new_epoch_starts_with_no_names_no_journal_and_goes_on_counting, a_token_of_before_a_restore_is_refused,
     a_counter_that_went_back_with_a_restore_is_no_matter, a_counter_behind_what_it_showed_in_its_epoch_begins_another,
     scripts_of_another_epoch_do_nothing,
     after_flushall_nobody_counts_from_one_under_the_old_epoch, a_lost_counter_ends_the_epoch,
     a_counter_behind_the_journal_ends_the_epoch, a_lost_journal_is_a_gap_and_no_new_epoch,
     whoever_divides_the_namespace_otherwise_is_refused, a_replica_is_no_place_to_say_hello, hello_tells_what_must_be_known_of_the_server)
