"""One caller loads, the others wait for it: on one host."""

import wire_client as wire
from callers import Callers, holder_of, totals, until_answered, waiting_on
from scenario import expect, play, until

PROCESSES, EACH = 8, 125


def crowd(larder, **options):
    """A thousand callers in eight processes want one key; all but one wait."""
    groups = [Callers(larder) for _ in range(PROCESSES)]
    for group in groups:
        group.want("k", EACH, **options)
    until(lambda: waiting_on(larder.client()) == PROCESSES * EACH - 1, "all but one wait")
    return groups


def a_thousand_callers_make_one_load(larder):
    larder.start()
    groups = crowd(larder)
    expect(holder_of(groups).fill("brought"), [wire.OK])
    until_answered(groups, PROCESSES * EACH)
    got = totals(groups)
    expect((got["loads"], got["loaded"], got["HIT"]), (1, 0, PROCESSES * EACH - 1))
    expect(larder.client().get(b"k").value, b"brought")


def a_holder_that_is_killed_passes_its_lease_on(larder):
    larder.start()
    groups = crowd(larder)
    first = holder_of(groups)
    groups.remove(first)
    first.kill()
    expect(holder_of(groups).fill("second"), [wire.OK])
    until_answered(groups, (PROCESSES - 1) * EACH)
    got = totals(groups)
    expect((got["loads"], got["second"]), (1, (PROCESSES - 1) * EACH - 1))


def a_load_that_fails_is_told_to_all_at_once_and_not_tried_by_each(larder):
    larder.start()
    groups = crowd(larder)
    expect(holder_of(groups).fail(60000), [wire.OK])
    until_answered(groups, PROCESSES * EACH)
    expect(totals(groups)["LOAD_FAILED"], PROCESSES * EACH - 1)
    for group in groups:
        group.want("k", EACH)
    until_answered(groups, 2 * PROCESSES * EACH)
    got = totals(groups)
    expect((got["loads"], got["LOAD_FAILED"]), (1, 2 * PROCESSES * EACH - 1), "the key rests")


def what_is_stale_is_served_to_all_while_one_refreshes_it(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"old", ttl_ms=60000, stale_ms=600000)
    client.invalidate(keys=[b"k"], soft=True)
    groups = [Callers(larder) for _ in range(PROCESSES)]
    for group in groups:
        group.want("k", EACH)
    until_answered(groups, PROCESSES * EACH)
    got = totals(groups)
    expect((got["old"], got["loads"]), (PROCESSES * EACH, 1), "nobody waited")
    expect(holder_of(groups).fill("new"), [wire.OK])
    expect(client.lease(b"k").value, b"new")


def a_lease_is_told_by_explain_and_counted(larder):
    larder.start()
    client, other = larder.client(), larder.client()
    leased = client.lease(b"k")
    expect(leased.status, wire.LEASED)
    told = other.document(wire.EXPLAIN, b"k")["lease"]
    expect((told["state"], told["scope"], told["waiting"]), ("held", "host", 0))
    assert told["holder_pid"] > 0 and 0 < told["left_ms"] <= 30000, told
    expect(client.set(b"k", b"v", token=leased.token).status, wire.OK)
    expect(other.document(wire.EXPLAIN, b"k")["lease"], None)
    cache = other.stats()["namespaces"]["default"]["cache"]
    expect((cache["loads"], cache["loads_done"], cache["leases"]), (1, 1, 0))


def a_batch_never_waits(larder):
    larder.start()
    a, b = larder.client(), larder.client()
    expect([e.status for e in a.mlease([b"1", b"2"], wait_ms=60000)], [wire.LEASED, wire.LEASED])
    expect([e.status for e in b.mlease([b"2", b"3"], wait_ms=60000)], [wire.WAIT, wire.LEASED])
    a.set(b"3", b"not loaded")
    expect([e.status for e in a.mlease([b"3"])], [wire.HIT])


def a_bound_tenant_leases_its_own_keys_only(larder):
    larder.start()
    acme = larder.client(tenant="acme")
    expect([e.status for e in acme.mlease([b"acme:k", b"other:k"])], [wire.LEASED, wire.DENIED])
    foreign = larder.client().lease(b"other:k")
    try:
        expect(acme.fail(b"other:k", foreign.token).status, wire.DENIED)
    except wire.Refused as refusal:
        expect(refusal.result.status, wire.DENIED)


def leases_end_with_their_daemon(larder):
    larder.start()
    leased = larder.client().lease(b"k")
    larder.restart()
    client = larder.client()
    expect(client.set(b"k", b"late", token=leased.token).status, wire.REFUSED)
    expect(client.lease(b"k").status, wire.LEASED)


def a_daemon_that_drains_lets_nobody_wait(larder):
    larder.start()
    holder, waiter = larder.client(), larder.client()
    holder.lease(b"k")
    waiter.send_lease([b"k"], wait_ms=60000)
    until(lambda: waiting_on(larder.client()) == 1, "one waits")
    larder.stop()
    expect(waiter.entries()[0].status, wire.WAIT)


play(a_thousand_callers_make_one_load, a_holder_that_is_killed_passes_its_lease_on,
     a_load_that_fails_is_told_to_all_at_once_and_not_tried_by_each,
     what_is_stale_is_served_to_all_while_one_refreshes_it, a_lease_is_told_by_explain_and_counted, a_batch_never_waits,
     a_bound_tenant_leases_its_own_keys_only, leases_end_with_their_daemon, a_daemon_that_drains_lets_nobody_wait)
