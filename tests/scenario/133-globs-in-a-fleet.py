"""invalidate by glob in a fleet: what matches is dead on every host, in Redis, over gaps and kills, and no fill that was read
before it gets in anywhere (C2, C3, C6, C8, I2)."""

import tap
import wire_client as wire
from fleet import play
from scenario import expect, until

HIT, BESIDE = b"acme:user_42:name", b"acme:user_43:name"
GLOB = b"*:user_42:*"


def shared(fleet, *hosts):
    fleet.share(HIT, b"old", *hosts)
    fleet.share(BESIDE, b"beside", *hosts)


def it_reaches_every_host_and_nothing_beside(fleet, **options):
    a, b = fleet.start(2, **options)
    reader = b.puppet()
    shared(fleet, a, b)
    until(lambda: reader.ask("get", HIT.decode())[1] == "near", "the library maps it")
    expect(a.ask().invalidate(globs=[GLOB]).status, wire.OK)
    expect(a.ask().get(HIT).status, wire.MISS, "on the host itself, at once")
    b.until_missed(HIT)
    expect(reader.ask("get", HIT.decode())[0], "MISS", "seen by the library")
    expect((a.ask().get(BESIDE).value, b.ask().get(BESIDE).value), (b"beside", b"beside"))
    expect(a.ask().set(HIT, b"new").status, wire.OK)
    until(lambda: b.ask().get(HIT).value == b"new", "what was set after it lives")


def in_a_divided_namespace_as_well(fleet):
    it_reaches_every_host_and_nothing_beside(fleet, redis={"partitions": "4"})


def softly_it_is_stale_everywhere(fleet):
    a, b = fleet.start(2)
    fleet.share(HIT, b"v", a, b, ttl_ms=60000, stale_ms=60000)
    expect(a.ask().invalidate(globs=[GLOB], soft=True).status, wire.OK)
    until(lambda: b.ask().get(HIT).flags & wire.STALE, "stale on the other host")
    expect(b.ask().get(HIT).value, b"v")


def a_host_that_is_new_reads_from_redis_what_it_did_not_hit_and_nothing_else(fleet):
    a = fleet.start(1)[0]
    shared(fleet, a)
    expect(a.ask().invalidate(globs=[GLOB]).status, wire.OK)
    b = fleet.host()
    b.join()
    expect(b.ask().get(HIT).status, wire.MISS)
    expect(b.ask().get(BESIDE).value, b"beside")


def a_host_that_lost_the_journal_compares(fleet):
    a, b = fleet.start(2)
    shared(fleet, a, b)
    fleet.told(a, b)
    b.leave_redis()
    expect(a.ask().invalidate(globs=[GLOB]).status, wire.OK)
    fleet.servers[0].client().call("XTRIM", "{default}:j", "MAXLEN", 0)
    b.return_to_redis()
    expect(b.ask().get(HIT).status, wire.MISS)
    expect(b.ask().get(BESIDE).value, b"beside")


def a_fill_read_before_it_is_refused_on_every_host(fleet):
    a, b = fleet.start(2)
    held = [(host, host.client().get(HIT).token) for host in (a, b)]
    lease = b.client()
    leased = lease.lease(HIT, scope=2)
    expect(leased.status, wire.LEASED)
    expect(a.ask().invalidate(globs=[GLOB]).status, wire.OK)
    for host, token in held:
        expect(host.ask().set(HIT, b"late", token=token).status, wire.REFUSED, host.name)
    expect(lease.set(HIT, b"late", token=leased.token).status, wire.REFUSED)
    for host in (a, b):
        expect(host.ask().get(HIT).status, wire.MISS)


def with_wait_all_nobody_serves_it_afterwards(fleet):
    a, b = fleet.start(2, redis={"command_timeout": "10s"})
    reader = b.puppet()
    shared(fleet, a, b)
    until(lambda: reader.ask("get", HIT.decode())[1] == "near", "the library maps it")
    b.proxy.tell("hold", "down")
    expect(a.ask().invalidate(globs=[GLOB], wait_all=True).status, wire.OK)
    answer = reader.ask("get", HIT.decode())
    assert answer[1:3] != ["near", "old"], answer
    b.proxy.tell("release", "down")
    b.until_missed(HIT)


def queued_it_is_told_whatever_happens_to_the_daemon(fleet):
    a, b = fleet.start(2)
    shared(fleet, a, b)
    a.leave_redis()
    status = a.ask().invalidate(globs=[GLOB]).status
    if status == wire.LOCAL:
        raise tap.Skip("this host keeps no outbox: it said LOCAL")
    expect(status, wire.QUEUED)
    a.kill9()
    a.start()
    expect(a.ask().get(HIT).status, wire.MISS, "after kill -9, Redis still away")
    a.return_to_redis()
    b.until_missed(HIT)
    expect(a.ask().get(HIT).status, wire.MISS)
    expect((a.ask().get(BESIDE).value, b.ask().get(BESIDE).value), (b"beside", b"beside"))


def killed_as_soon_as_another_hosts_glob_is_here_it_stays_dead(fleet):
    a, b = fleet.start(2)
    for round in range(3):
        shared(fleet, a, b)
        fleet.told(a, b)
        expect(a.ask().invalidate(globs=[GLOB]).status, wire.OK)
        b.until_missed(HIT)
        b.kill9()
        b.start()
        got = b.ask().get(HIT)
        assert got.value != b"old", f"round {round}: {got}"
        b.until_fresh()
        expect(b.ask().get(HIT).status, wire.MISS, f"round {round}")
        expect(b.ask().get(BESIDE).value, b"beside")


def more_globs_than_are_kept_kill_no_less(fleet):
    a, b = fleet.start(2)
    for n in range(70):
        a.ask().set(b"k:%d:x" % n, b"old")
        b.ask().get(b"k:%d:x" % n)
        expect(a.ask().invalidate(globs=[b"*:%d:x" % n]).status, wire.OK)
    fleet.told(a, b)
    for host in (a, b):
        expect([host.ask().get(b"k:%d:x" % n).status for n in range(70)], [wire.MISS] * 70, host.name)


play(it_reaches_every_host_and_nothing_beside, in_a_divided_namespace_as_well, softly_it_is_stale_everywhere,
     a_host_that_is_new_reads_from_redis_what_it_did_not_hit_and_nothing_else, a_host_that_lost_the_journal_compares,
     a_fill_read_before_it_is_refused_on_every_host, with_wait_all_nobody_serves_it_afterwards,
     queued_it_is_told_whatever_happens_to_the_daemon, killed_as_soon_as_another_hosts_glob_is_here_it_stays_dead,
     more_globs_than_are_kept_kill_no_less)
