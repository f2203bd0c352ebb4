"""A value whose source was read in the past enters only if nothing it depends on has changed since (C6): with a
lease (I5, D3, D4), or with the token of a plain miss (D5)."""

import os
import struct

from redis_scripts import Record, expect, play


def one_caller_gets_the_lease_the_others_are_busy(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    lease = a.getl("k")
    expect((lease.status, lease.v, len(lease.token)), ("LEASE", 0, 24))
    expect(struct.unpack("<8s8sQ", lease.token)[1:], (a.epoch, 0))
    busy = b.getl("k")
    expect(busy.status, "BUSY")
    assert 0 < busy.left_ms <= 10000
    expect((a.fill("k", "v", lease.token).status, b.get("k")), ("OK", b"v"))


def a_lease_is_used_once(fleet):
    a = fleet.host("a")
    token = a.getl("k").token
    expect(a.fill("k", "v", token).status, "OK")
    expect(fleet.unchanged(a.fill, "k", "w", token).reason, "lease")


def whatever_happens_to_the_key_voids_the_lease(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    for act in [lambda: b.set("k", "newer"), lambda: b.invalidate("k"), lambda: b.invalidate("k", how="soft"),
                lambda: b.set("k", None), lambda: b.fill("k", "without a lease", str(b.hello().v)),
                lambda: fleet.ask("DEL", fleet.key("l:k"))]:
        fleet.ask("DEL", fleet.key("e:k"))
        token = a.getl("k").token
        act()
        expect(fleet.unchanged(a.fill, "k", "older", token).reason, "lease")


def an_expired_lease_refuses_though_nobody_took_it(fleet):
    a = fleet.host("a")
    token = a.getl("k").token
    expect(fleet.ask("PEXPIRE", fleet.key("l:k"), 0), 1)
    expect(a.fill("k", "v", token).reason, "lease")


def a_kill_of_a_name_of_the_new_record_refuses_and_ends_the_lease(fleet):
    a = fleet.host("a")
    for name, how in [("tred", "hard"), ("tred", "soft"), ("pacme:", "hard"), ("pacme:", "soft"), ("a", "hard"), ("a", "soft")]:
        token = a.getl("acme:k").token
        a.invalidate(names=[name], how=how)
        # Which tags it has, nobody knew when it was asked for.
        expect(a.fill("acme:k", "older", token, tags=["blue", "red"]).reason, "name", name)
        expect((a.get("acme:k"), fleet.ask("EXISTS", fleet.key("l:acme:k"))), (None, 0))


def a_kill_before_the_grant_or_of_another_name_does_not_matter(fleet):
    a = fleet.host("a")
    a.invalidate(names=["tred", "pacme:", "a"])
    token = a.getl("acme:k").token
    a.invalidate(names=["tgreen", "pacme2:", "pacme:k:"])
    expect(a.fill("acme:k", "v", token, tags=["red"]).status, "OK")
    expect(a.get("acme:k"), b"v")


def a_fill_is_stamped_so_that_a_later_kill_kills_it(fleet):
    a = fleet.host("a")
    token = a.getl("k").token
    a.set("other", "v")
    expect(a.fill("k", "v", token, tags=["red"]).v, 1)
    a.invalidate(names=["tred"])
    expect(a.get("k"), None)


def a_fill_over_something_dead_is_a_fill_of_nothing(fleet):
    a = fleet.host("a")
    a.set("k", "old", tags=["red"])
    a.invalidate(names=["tred"])
    answer = a.fill("k", "new", a.getl("k").token, tags=["red"])
    expect((answer.recorded, answer.v, a.get("k")), (0, 2, b"new"))


def waiters_on_other_hosts_find_a_note_when_the_lease_ends(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("x", "v")
    token = a.getl("k").token
    b.getl("k")
    a.fill("k", "v", token)
    token = a.getl("k2").token
    b.getl("k2")
    a.drop("k2", token)
    token = a.getl("k3").token
    b.getl("k3")
    a.invalidate(names=["tred"])
    expect(a.fill("k3", "v", token, tags=["red"]).reason, "name")
    expect(fleet.journal(), [("1-0", [("s", b"x")]), ("1-1", [("w", b"k")]), ("1-2", [("w", b"k2")]),
                             ("2-0", [("t", b"red")]), ("2-1", [("w", b"k3")])])
    expect((a.hello().v, a.set("x", "w").v), (2, 3), "a note is no mutation")


def without_waiters_there_is_no_note_and_with_a_record_none_is_needed(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.fill("k", "v", a.getl("k").token)
    expect(fleet.journal(), [])
    a.set("k", "v", soft=0)
    token = a.getl("k").token
    fleet.ask("SETRANGE", fleet.key("l:k"), 24, "w")
    a.fill("k", "w", token)
    expect(fleet.journal(), [("1-0", [("s", b"k")]), ("2-0", [("s", b"k")])])


def a_lease_keeps_its_life_when_somebody_begins_to_wait(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.getl("k", 5000)
    b.getl("k")
    expect(fleet.ask("GETRANGE", fleet.key("l:k"), 24, 24), b"w")
    assert 0 < fleet.ask("PTTL", fleet.key("l:k")) <= 5000
    expect(fleet.unchanged(b.getl, "k").status, "BUSY")


def only_the_holder_renews_and_drops(fleet):
    a = fleet.host("a")
    token = a.getl("k", 1000).token
    expect(a.renew("k", token, 30000), 1)
    assert fleet.ask("PTTL", fleet.key("l:k")) > 20000
    for act in [a.renew, lambda key, other, *_: a.drop(key, other)]:
        expect(fleet.unchanged(act, "k", os.urandom(8) + token[8:], 1000), 0)
    expect((a.drop("k", token), a.drop("k", token), a.renew("k", token, 1000)), (1, 0, 0))


def a_renewed_lease_still_knows_who_waits(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    token = a.getl("k").token
    b.getl("k")
    a.renew("k", token, 30000)
    a.fill("k", "v", token)
    expect(fleet.journal(), [("0-1", [("w", b"k")])])


def a_stale_hit_gives_one_caller_the_lease_and_all_the_value(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("k", "old" * 1000, soft=0)
    first, second = a.getl("k"), b.getl("k")
    expect((first.status, first.stale, len(first.token), Record(first.record).value), ("HIT", 1, 24, b"old" * 1000))
    expect((second.status, second.stale, second.token), ("HIT", 1, b""))
    expect(a.fill("k", "new", first.token).recorded, 1)


def an_exact_get_takes_no_lease(fleet):
    a = fleet.host("a")
    expect(fleet.unchanged(a.getl, "k", 0).status, "MISS")
    a.set("k", "v", soft=0)
    expect(fleet.unchanged(a.getl, "k", 0).token, b"")


# ---- without a lease ----


def a_fill_without_a_lease_enters_when_nothing_happened(fleet):
    a = fleet.host("a")
    a.set("x", "v")
    answer = a.fill("k", "v", "1")
    expect((answer.status, answer.v, answer.recorded, a.get("k")), ("OK", 1, 0, b"v"))


def a_fill_without_a_lease_is_refused_when_the_journal_names_its_key(fleet):
    a = fleet.host("a")
    for act in [lambda: a.set("k", "v"), lambda: a.invalidate("k"), lambda: a.invalidate("x", "k", "y"),
                lambda: a.invalidate("k", how="soft")]:
        since = a.hello().v
        a.invalidate("other")
        act()
        a.invalidate("other")
        expect(fleet.unchanged(a.fill, "k", "older", str(since)).reason, "key")
        expect(a.fill("unnamed", "v", str(since)).status, "OK")


def a_fill_without_a_lease_is_refused_when_a_name_of_it_was_killed(fleet):
    a = fleet.host("a")
    for name, how in [("tred", "hard"), ("tred", "soft"), ("pk:", "hard"), ("a", "soft")]:
        since = a.hello().v
        a.invalidate(names=[name], how=how)
        expect(fleet.unchanged(a.fill, "k:1", "older", str(since), tags=["red"]).reason, "name", name)
        expect(a.fill("k:1", "v", str(since + 1), tags=["red"]).status, "OK", name)
        a.invalidate("k:1")


def what_the_journal_cannot_tell_any_more_is_refused(fleet):
    a = fleet.host("a")
    for n in range(300):
        a.invalidate(f"other{n}")
    expect(fleet.unchanged(a.fill, "k", "v", "43").reason, "gap", "more records than are scanned")
    expect(a.fill("k", "v", "44").status, "OK")
    fleet.ask("XDEL", fleet.key("j"), "290-0")
    expect(fleet.unchanged(a.fill, "k2", "v", "289").reason, "gap", "a record is missing")
    expect(a.fill("k2", "v", "290").status, "OK")
    fleet.ask("XTRIM", fleet.key("j"), "MAXLEN", "5")
    expect(fleet.unchanged(a.fill, "k3", "v", "294").reason, "gap", "trimmed")
    expect(a.fill("k3", "v", "295").status, "OK")
    fleet.ask("DEL", fleet.key("j"))
    expect(fleet.unchanged(a.fill, "k4", "v", "299").reason, "gap", "no journal")
    expect(fleet.unchanged(a.fill, "k4", "v", "301").reason, "gap", "a position nobody has given out")


def the_scan_is_bounded_in_names_and_notes_too(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    for _ in range(5):
        a.invalidate(*[f"other{n}" for n in range(250)])
    expect(fleet.unchanged(a.fill, "k", "v", "0").reason, "gap")
    expect(a.fill("k", "v", "1").status, "OK")
    for n in range(40):
        token = a.getl(f"n{n}").token
        b.getl(f"n{n}")
        a.drop(f"n{n}", token)
    a.invalidate("other")
    expect(len(fleet.journal()), 46)
    expect(a.fill("k2", "v", "4").status, "OK", "notes between records are passed over")


def a_fill_without_a_lease_ends_the_lease_of_others_and_wakes_their_waiters(fleet):
    a, b, c = fleet.host("a"), fleet.host("b"), fleet.host("c")
    token = a.getl("k").token
    b.getl("k")
    expect(c.fill("k", "v", "0").status, "OK")
    expect((a.fill("k", "w", token).reason, fleet.journal()), ("lease", [("0-1", [("w", b"k")])]))


def a_fill_beside_the_leases_of_the_fleet_replaces_nothing_fresh(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    expect(a.fill("k", "v", a.getl("k").token).status, "OK")
    expect(fleet.unchanged(b.fill, "k", "w", "0e").reason, "lease")
    expect(b.fill("nothing", "w", "0e").status, "OK")
    a.set("stale", "v", soft=0)
    expect(b.fill("stale", "w", "1e").status, "OK")
    a.set("newer", "v")
    expect(fleet.unchanged(b.fill, "newer", "w", "2e").reason, "key")


def what_is_soon_stale_gives_one_caller_the_lease_when_asked_so(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    a.set("k", "v", ttl=60000)
    hit = a.getl("k")
    expect((hit.status, hit.stale, hit.token), ("HIT", 0, b""))
    early = a.getl("k", ahead_ms=30000)
    expect((early.stale, early.token), (0, b""), "a minute is left")
    due, other = a.getl("k", ahead_ms=70000), b.getl("k", ahead_ms=70000)
    expect((due.stale, len(due.token), other.stale, other.token), (2, 24, 2, b""))
    expect(a.fill("k", "w", due.token).status, "OK")
    expect(a.get("k"), b"w")


def a_failed_load_lets_the_key_rest_for_all(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    token = a.getl("k").token
    b.getl("k")
    expect(a.drop("k", token, 30000), 1)
    expect(fleet.journal(), [("0-1", [("w", b"k")])], "who waited learns of it")
    for host in (a, b):
        rest = fleet.unchanged(host.getl, "k")
        expect(rest.status, "RESTS")
        assert 0 < rest.left_ms <= 30000, rest.left_ms
    expect((a.renew("k", token, 1000), a.drop("k", token, 30000), a.drop("k", bytes(24)[:23] + b"-")), (0, 0, 0))
    expect(a.fill("k", "late", token).reason, "lease")
    fleet.ask("PEXPIRE", fleet.key("l:k"), 0)
    expect(b.getl("k").status, "LEASE")


def what_ends_a_lease_ends_a_rest(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    for act in [lambda: b.set("k", "v"), lambda: b.invalidate("k"), lambda: b.fill("k", "v", str(b.hello().v))]:
        fleet.ask("DEL", fleet.key("e:k"))
        a.drop("k", a.getl("k").token, 30000)
        act()
        expect(fleet.ask("EXISTS", fleet.key("l:k")), 0)


def the_token_of_a_rest_is_nobodys(fleet):
    a = fleet.host("a")
    a.drop("k", a.getl("k").token, 30000)
    expect(fleet.unchanged(a.fill, "k", "v", bytes(24)).status, "REFUSED")


play(one_caller_gets_the_lease_the_others_are_busy, a_lease_is_used_once, whatever_happens_to_the_key_voids_the_lease,
     an_expired_lease_refuses_though_nobody_took_it, a_kill_of_a_name_of_the_new_record_refuses_and_ends_the_lease,
     a_kill_before_the_grant_or_of_another_name_does_not_matter, a_fill_is_stamped_so_that_a_later_kill_kills_it,
     a_fill_over_something_dead_is_a_fill_of_nothing, waiters_on_other_hosts_find_a_note_when_the_lease_ends,
     without_waiters_there_is_no_note_and_with_a_record_none_is_needed, a_lease_keeps_its_life_when_somebody_begins_to_wait,
     only_the_holder_renews_and_drops, a_renewed_lease_still_knows_who_waits,
     a_stale_hit_gives_one_caller_the_lease_and_all_the_value, an_exact_get_takes_no_lease,
     a_fill_without_a_lease_enters_when_nothing_happened, a_fill_beside_the_leases_of_the_fleet_replaces_nothing_fresh,
     a_fill_without_a_lease_is_refused_when_the_journal_names_its_key,
     a_fill_without_a_lease_is_refused_when_a_name_of_it_was_killed, what_the_journal_cannot_tell_any_more_is_refused,
     the_scan_is_bounded_in_names_and_notes_too, a_fill_without_a_lease_ends_the_lease_of_others_and_wakes_their_waiters,
     what_is_soon_stale_gives_one_caller_the_lease_when_asked_so, a_failed_load_lets_the_key_rest_for_all, what_ends_a_lease_ends_a_rest, the_token_of_a_rest_is_nobodys)
