"""A host cut off from Redis: what it serves, what it keeps for itself, and what it sends when it is back (C7, C8, F14)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

KEPT = (wire.QUEUED, wire.LOCAL)


def cut_off(fleet, **options):
    a, b = fleet.start(2, **options)
    fleet.share(b"k", b"old", a, b, tags=[b"t"])
    fleet.share(b"user:1", b"old", a, b)
    a.leave_redis()
    return a, b


def back(a):
    a.return_to_redis()


def a_local_set_dies_on_return(fleet):
    a, b = cut_off(fleet)
    answer = a.ask().set(b"k", b"mine")
    expect(answer.status, wire.LOCAL)
    got = a.ask().get(b"k")
    expect((got.value, got.flags & (wire.IS_LOCAL | wire.IS_DETACHED)), (b"mine", wire.IS_LOCAL | wire.IS_DETACHED))
    assert got.ttl_ms <= 72000, f"no longer than detached_max: {got.ttl_ms}"
    expect(b.ask().get(b"k").value, b"old", "nobody else knows")
    back(a)
    for host in (a, b):
        assert host.ask().get(b"k").value != b"mine", f"on host {host.name}"
    b.until_missed(b"k")
    expect(a.ask().get(b"k").status, wire.MISS)


def a_set_of_another_host_meanwhile_is_found_or_gone_and_the_local_one_never(fleet):
    a, b = cut_off(fleet)
    expect(a.ask().set(b"k", b"mine").status, wire.LOCAL)
    expect(b.ask().set(b"k", b"theirs").status, wire.OK)
    back(a)
    fleet.told(a, b)
    for host in (a, b):
        got = host.ask().get(b"k")
        assert got.status == wire.MISS or got.value == b"theirs", got


def invalidations_are_done_here_at_once_and_sent_on_return(fleet):
    for named, key in [({"keys": [b"k"]}, b"k"), ({"tags": [b"t"]}, b"k"), ({"prefixes": [b"user:"]}, b"user:1")]:
        inner = type(fleet)()
        try:
            a, b = cut_off(inner)
            answer = a.ask().invalidate(**named)
            assert answer.status in KEPT, answer
            expect(a.ask().get(key).status, wire.MISS, "here")
            expect(b.ask().get(key).value, b"old", "not yet there")
            back(a)
            b.until_missed(key)
            expect(a.ask().get(key).status, wire.MISS, "here, after")
        finally:
            inner.finish()


def many_that_waited_are_sent_in_one_go(fleet):
    a, b = fleet.start(2)
    keys = [b"many:%d" % n for n in range(2000)]
    for key in keys:
        b.ask().set(key, b"old")
    fleet.told(b, a)
    a.leave_redis()
    for at in range(0, len(keys), 100):
        assert a.ask().invalidate(keys=keys[at:at + 100]).status in KEPT
    back(a)
    fleet.told(a, b)
    for host in (a, b):
        for at in range(0, len(keys), 500):
            expect([e.status for e in host.ask().mget(keys[at:at + 500])], [wire.MISS] * 500, f"on host {host.name}")


def conditions_cannot_be_decided(fleet):
    a, b = cut_off(fleet)
    version = a.ask().get(b"k")
    for options in [{"flags": wire.IF_ABSENT}, {"flags": wire.IF_PRESENT},
                    {"flags": wire.IF_VERSION, "version": (version.epoch, version.v, version.id)}]:
        expect(a.ask().set(b"k", b"x", **options).status, wire.DETACHED, str(options))
    expect(a.ask().touch(b"k", 60000).status, wire.DETACHED)
    expect(a.ask().get(b"k").value, b"old", "nothing happened")


def tokens_are_good_only_in_the_state_they_were_given_in(fleet):
    a, b = fleet.start(2)
    before = a.ask().get(b"fresh-token").token
    a.leave_redis()
    expect(a.ask().set(b"fresh-token", b"x", token=before).status, wire.REFUSED)
    during = a.ask().get(b"local-token").token
    expect(a.ask().set(b"local-token", b"mine", token=during).status, wire.LOCAL)
    late = a.ask().get(b"late-token").token
    back(a)
    expect(a.ask().set(b"late-token", b"x", token=late).status, wire.REFUSED)
    expect(a.ask().get(b"local-token").status, wire.MISS)


def a_local_fill_older_than_an_invalidation_is_refused(fleet):
    a, b = cut_off(fleet)
    token = a.ask().get(b"cold").token
    a.ask().invalidate(keys=[b"cold"])
    expect(a.ask().set(b"cold", b"x", token=token).status, wire.REFUSED)


def nothing_is_served_when_so_configured(fleet):
    a, b = cut_off(fleet, namespace={"serve_detached": "off"})
    until(lambda: a.ask().get(b"k").status == wire.MISS, "the last fence vouches no more")
    expect(a.ask().get(b"k").reason, wire.REASON_DETACHED)
    assert a.ask().set(b"k", b"mine").status in KEPT
    expect(a.ask().get(b"k").status, wire.MISS)


def after_detached_max_nothing_is_served_any_more(fleet):
    a, b = cut_off(fleet, namespace={"detached_max": "1s"})
    expect(a.ask().get(b"k").value, b"old")
    until(lambda: a.ask().get(b"k").status == wire.MISS, "detached_max is over")
    expect(a.ask().get(b"k").reason, wire.REASON_DETACHED)
    expect(a.puppet().ask("get", "k")[0], "MISS", "by the library too")


play(a_local_set_dies_on_return, a_set_of_another_host_meanwhile_is_found_or_gone_and_the_local_one_never,
     invalidations_are_done_here_at_once_and_sent_on_return, many_that_waited_are_sent_in_one_go,
     conditions_cannot_be_decided, tokens_are_good_only_in_the_state_they_were_given_in,
     a_local_fill_older_than_an_invalidation_is_refused, nothing_is_served_when_so_configured,
     after_detached_max_nothing_is_served_any_more)
