"""One caller loads, the others wait for it: in the whole fleet, by a lease in Redis."""

import wire_client as wire
from callers import Callers, holder_of, totals, until_answered, waiting_on
from fleet import play
from scenario import expect, until

PROCESSES, EACH = 8, 125
ALL = PROCESSES * EACH


def crowd(a, b, **options):
    """A thousand callers in eight processes on two hosts want one key; all but one wait."""
    groups = [Callers(host) for host in [a, b] * (PROCESSES // 2)]
    for group in groups:
        group.want("k", EACH, scope=wire.FLEET, **options)
    until(lambda: waiting_on(a.ask()) + waiting_on(b.ask()) == ALL - 1, "all but one wait")
    return groups


def a_thousand_callers_on_two_hosts_make_one_load(fleet):
    a, b = fleet.start(2)
    groups = crowd(a, b)
    expect(holder_of(groups).fill("brought"), [wire.OK])
    until_answered(groups, ALL)
    got = totals(groups)
    expect((got["loads"], got["HIT"], got["brought"]), (1, ALL - 1, ALL - 1))
    expect((a.figure("loads") + b.figure("loads")), 1)
    times = [group.times() for group in groups]
    took_ms = (max(last for last, _ in times) - max(filled for _, filled in times)) / 1e6
    print(f"# figure: {took_ms:.1f} ms from the fill until {ALL - 1} callers in Python had the value")


def a_holder_that_is_killed_costs_one_load_more(fleet):
    a, b = fleet.start(2)
    groups = crowd(a, b)
    first = holder_of(groups)
    groups.remove(first)
    first.kill()
    expect(holder_of(groups).fill("second"), [wire.OK])
    until_answered(groups, ALL - EACH)
    got = totals(groups)
    expect((got["loads"], got["second"]), (1, ALL - EACH - 1))


def a_failed_load_is_told_to_all_on_both_hosts_and_the_key_rests(fleet):
    a, b = fleet.start(2)
    groups = crowd(a, b)
    expect(holder_of(groups).fail(60000), [wire.OK])
    until_answered(groups, ALL)
    expect(totals(groups)["LOAD_FAILED"], ALL - 1)
    for group in groups:
        group.want("k", EACH, scope=wire.FLEET)
    until_answered(groups, 2 * ALL)
    got = totals(groups)
    expect((got["loads"], got["LOAD_FAILED"]), (1, 2 * ALL - 1), "no storm")


def the_stale_value_is_served_on_both_hosts_while_one_refreshes_it(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b, ttl_ms=60000, stale_ms=600000)
    a.ask().invalidate(keys=[b"k"], soft=True)
    until(lambda: b.ask().get(b"k").flags & wire.STALE, "b knows that it is stale")
    groups = [Callers(host) for host in [a, b] * (PROCESSES // 2)]
    for group in groups:
        group.want("k", EACH, scope=wire.FLEET)
    until_answered(groups, ALL)
    got = totals(groups)
    expect((got["old"], got["loads"]), (ALL, 1))
    expect(holder_of(groups).fill("new"), [wire.OK])
    for host in (a, b):
        until(lambda: host.ask().lease(b"k", scope=wire.FLEET).value == b"new", "the new value is there")


# ---- a load that overlaps an invalidation ----

def overlap(fleet, invalidate, tags=()):
    """A loads; somebody on B waited before; what B invalidates comes in between."""
    a, b = fleet.start(2)
    holder, before = a.client(), b.client()
    leased = holder.lease(b"acme:k", scope=wire.FLEET)
    expect(leased.status, wire.LEASED)
    before.send_lease([b"acme:k"], scope=wire.FLEET, wait_ms=60000)
    until(lambda: waiting_on(b.ask(), b"acme:k") == 1, "one waits on b")
    expect(invalidate(b.ask()).status, wire.OK)
    expect(holder.set(b"acme:k", b"old", token=leased.token, tags=list(tags)).status, wire.REFUSED)
    again = before.entries()[0]
    expect(again.status, wire.LEASED, "who waits elsewhere loads anew")
    expect(before.set(b"acme:k", b"new", token=again.token, tags=list(tags)).status, wire.OK)
    for host in (a, b):
        until(lambda: host.ask().get(b"acme:k").value == b"new", "the new value is everywhere")


def a_load_that_overlaps_an_invalidation_of_its_key_is_refused(fleet):
    overlap(fleet, lambda client: client.invalidate(keys=[b"acme:k"]))


def a_load_that_overlaps_an_invalidation_of_its_tag_is_refused(fleet):
    overlap(fleet, lambda client: client.invalidate(tags=[b"colour"]), [b"colour"])


def a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused(fleet):
    overlap(fleet, lambda client: client.invalidate(prefixes=[b"acme:"]))


def a_load_that_overlaps_an_invalidation_of_the_namespace_is_refused(fleet):
    overlap(fleet, lambda client: client.invalidate(all=True))


def a_host_scope_load_that_overlaps_a_change_of_another_host_is_refused(fleet):
    a, b = fleet.start(2)
    holder = a.client()
    leased = holder.lease(b"k")
    expect(b.ask().set(b"k", b"newer").status, wire.OK)
    expect(holder.set(b"k", b"old", token=leased.token).status, wire.REFUSED)
    expect(a.ask().get(b"k").value, b"newer")


# ---- without Redis ----

def while_redis_is_away_a_lease_is_the_hosts_and_worth_nothing_after(fleet):
    a, b = fleet.start(2)
    before = a.ask().lease(b"before", scope=wire.FLEET)
    a.leave_redis()
    client, other = a.client(), a.client()
    leased = client.lease(b"k", scope=wire.FLEET)
    expect((leased.status, other.lease(b"k", scope=wire.FLEET).status), (wire.LEASED, wire.WAIT))
    expect(client.set(b"k", b"here", token=leased.token).status, wire.LOCAL)
    expect(a.ask().set(b"before", b"old", token=before.token).status, wire.REFUSED, "granted in the fleet")
    during = client.lease(b"during", scope=wire.FLEET)
    a.return_to_redis()
    expect(client.set(b"during", b"old", token=during.token).status, wire.REFUSED, "granted while it was away")


def a_lease_of_a_daemon_that_died_ends_by_itself(fleet):
    a, b = fleet.start(2)
    expect(a.ask().lease(b"k", scope=wire.FLEET, hold_ms=1500).status, wire.LEASED)
    a.kill9()
    waiter = b.client(seconds=30)
    expect(waiter.lease(b"k", scope=wire.FLEET, wait_ms=20000).status, wire.LEASED)


def a_slow_load_keeps_its_lease_as_long_as_its_connection(fleet):
    a, b = fleet.start(2)
    holder = a.client()
    leased = holder.lease(b"k", scope=wire.FLEET)
    redis = fleet.servers[0].client()
    until(lambda: 0 < redis.call("PTTL", "{default}:l:k") < 7000, "a third of its life is over")
    until(lambda: redis.call("PTTL", "{default}:l:k") > 9000, "it was renewed")
    expect(holder.set(b"k", b"slow", token=leased.token).status, wire.OK)


def whoever_looks_in_redis_first_loads_nothing(fleet):
    """Refresh-ahead on the second host finds what the first one loaded."""
    a, b = fleet.start(2, namespace={"lease_scope": "host"})
    fleet.share(b"k", b"v", a, b, ttl_ms=20000)
    touched = a.ask().touch(b"k", 600000)
    expect(touched.status, wire.OK)
    got = b.ask().lease(b"k", refresh_ms=100000)
    expect((got.value, got.token), (b"v", b""), "it lives longer in Redis: nothing is to be loaded")
    assert got.fresh_ms > 500000, got
    expect(b.figure("loads"), 0)


def the_policy_says_how_far_one_loader_goes_and_when_it_refreshes(fleet):
    a, b = fleet.start(2, namespace={"lease_scope": "fleet", "ttl": "4s", "refresh_at": "25%"})
    first = a.client().lease(b"k")
    expect((first.status, b.ask().lease(b"k").status), (wire.LEASED, wire.WAIT), "one loader in the fleet")
    expect(a.ask().set(b"k", b"1", token=first.token, ttl_ms=wire.TTL_DEFAULT).status, wire.OK)
    b.has_read(b"k", b"1")
    due = until(lambda: next((e for e in [a.ask().lease(b"k")] if e.token), None), "a quarter of its life is over")
    expect((due.value, due.flags & wire.STALE), (b"1", 0), "and it is still fresh")
    expect(b.ask().lease(b"k").token, b"", "one refreshes")
    expect(a.ask().set(b"k", b"2", token=due.token, ttl_ms=wire.TTL_DEFAULT).status, wire.OK)
    until(lambda: b.ask().lease(b"k").value == b"2", "b has the new one")
    expect(a.figure("loads") + b.figure("loads"), 2)


play(a_thousand_callers_on_two_hosts_make_one_load, a_holder_that_is_killed_costs_one_load_more,
     a_failed_load_is_told_to_all_on_both_hosts_and_the_key_rests,
     the_stale_value_is_served_on_both_hosts_while_one_refreshes_it,
     a_load_that_overlaps_an_invalidation_of_its_key_is_refused, a_load_that_overlaps_an_invalidation_of_its_tag_is_refused,
     a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused,
     a_load_that_overlaps_an_invalidation_of_the_namespace_is_refused,
     a_host_scope_load_that_overlaps_a_change_of_another_host_is_refused,
     while_redis_is_away_a_lease_is_the_hosts_and_worth_nothing_after, a_lease_of_a_daemon_that_died_ends_by_itself,
     a_slow_load_keeps_its_lease_as_long_as_its_connection, whoever_looks_in_redis_first_loads_nothing,
     the_policy_says_how_far_one_loader_goes_and_when_it_refreshes)
