"""`invalidate --tag user:42` is the logout call: afterwards nothing of that user is served, by any process, on any host, from any
tier, nor by a daemon that starts again."""

import wire_client as wire
from fleet import play
from scenario import expect, until

KEYS = [b"acme:user:42", b"acme:user:42:settings", b"session:of:42", b"page:7"]
OTHERS = [b"acme:user:43", b"page:8"]


def log_in(fleet, *hosts):
    """Both users are everywhere: in Redis, and in L1 and the warm tier of each host."""
    first = hosts[0].ask()
    for key in KEYS:
        expect(first.set(key, b"private", tags=[b"user:42", b"users"]).status, wire.OK)
    for key in OTHERS:
        expect(first.set(key, b"others", tags=[b"user:43", b"users"]).status, wire.OK)
    for host in hosts:
        for key in KEYS + OTHERS:
            until(lambda: host.ask().get(key).status == wire.HIT, f"{key!r} on {host.name}")


def log_out(host):
    host.says("invalidate", "--tag", "user:42", "--wait", "all")


def is_out(host, others=wire.HIT):
    for tiers in (0, 1 << 1, 1 << 2, 1 << 3):
        for key in KEYS:
            expect(host.client().get(key, tiers=tiers).status, wire.MISS, f"{key!r} of tiers {tiers} on {host.name}")
    for key in OTHERS:
        expect(host.client().get(key).status, others, key)


def no_process_of_any_host_finds_the_user(fleet):
    hosts = fleet.start(2)
    log_in(fleet, *hosts)
    before = [host.client() for host in hosts]
    log_out(hosts[0])
    for host, old in zip(hosts, before):
        expect([old.get(key).status for key in KEYS], [wire.MISS] * len(KEYS), "a connection that was there before")
        host.says("get", "acme:user:42", code=1)
        is_out(host)


def neither_the_warm_tier_nor_a_restart_brings_the_user_back(fleet):
    a, b = fleet.start(2)
    log_in(fleet, a, b)
    log_out(b)
    a.kill9()
    a.start()
    a.until_fresh()
    is_out(a)
    b.stop()
    b.start()
    b.until_fresh()
    is_out(b)


def a_host_that_was_down_meanwhile_does_not_know_the_user_any_more(fleet):
    a, b = fleet.start(2)
    log_in(fleet, a, b)
    b.stop()
    log_out(a)
    b.start()
    b.until_fresh()
    is_out(b)


def a_load_that_was_under_way_does_not_bring_the_user_back(fleet):
    a, b = fleet.start(2)
    log_in(fleet, a, b)
    log_out(a)
    token = a.ask().get(KEYS[0]).token
    leased = b.client()
    lease = leased.lease(KEYS[1], scope=wire.FLEET).token
    log_out(a)
    expect(a.ask().set(KEYS[0], b"late", token=token, tags=[b"user:42"]).status, wire.REFUSED)
    expect(leased.set(KEYS[1], b"late", token=lease, tags=[b"user:42"]).status, wire.REFUSED)
    for host in (a, b):
        is_out(host)


def while_redis_is_away_the_host_itself_forgets_at_once_and_over_a_kill(fleet):
    a, b = fleet.start(2)
    log_in(fleet, a, b)
    a.leave_redis()
    a.says("invalidate", "--tag", "user:42")
    expect([a.ask().get(key).status for key in KEYS], [wire.MISS] * len(KEYS))
    a.kill9()
    a.start()
    expect([a.ask().get(key).status for key in KEYS], [wire.MISS] * len(KEYS), "after kill -9")
    a.return_to_redis()
    a.until_fresh()
    is_out(a)
    for key in KEYS:
        until(lambda: b.ask().get(key).status == wire.MISS, f"{key!r} is gone on b too")


play(no_process_of_any_host_finds_the_user, neither_the_warm_tier_nor_a_restart_brings_the_user_back,
     a_host_that_was_down_meanwhile_does_not_know_the_user_any_more, a_load_that_was_under_way_does_not_bring_the_user_back,
     while_redis_is_away_the_host_itself_forgets_at_once_and_over_a_kill)
