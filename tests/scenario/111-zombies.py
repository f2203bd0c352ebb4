"""Bytes of a dead session that arrive late change nothing; who did not hear the answer is told so (C9, F7)."""

import tap
import wire_client as wire
from fleet import play
from scenario import expect, until


def held_request(host, code, *fields):
    """Sent by the host, held by the proxy; the client that waits for the outcome."""
    before = host.proxy.count().held
    host.proxy.tell("hold", "up")
    asking = host.client()
    asking.send(code, *fields)
    until(lambda: host.proxy.count().held > before, "the proxy holds it")
    return asking


def set_of(client, key, value):
    return wire.SET, 0, 0, 5000, [client.item(key, value)]


def a_set_held_on_its_way_never_takes_effect(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    asking = held_request(a, *set_of(a.ask(), b"k", b"zombie"))
    status = asking.receive()[2][0][0][0]
    expect(status, wire.UNKNOWN, "told to the caller")
    expect(b.ask().set(b"k", b"new").status, wire.OK)
    a.proxy.tell("release", "up")
    a.until_fresh()
    fleet.told(a, b)
    fleet.told(b, a)
    for host in (a, b):
        got = host.ask().get(b"k")
        assert got.value not in (b"zombie", b"old"), f"host {host.name}: {got}"


def its_key_is_gone_everywhere_when_nobody_wrote_it_again(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    asking = held_request(a, *set_of(a.ask(), b"k", b"zombie"))
    expect(asking.receive()[2][0][0][0], wire.UNKNOWN)
    expect(a.ask().get(b"k").status, wire.MISS, "on the host at once")
    a.proxy.tell("release", "up")
    a.until_fresh()
    b.until_missed(b"k")
    expect(a.ask().get(b"k").status, wire.MISS)


def an_invalidation_whose_answer_is_lost_happens(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    a.proxy.tell("hold", "down")
    answer = a.ask().invalidate(keys=[b"k"], timeout_ms=5000)
    assert answer.status in (wire.OK, wire.QUEUED, wire.LOCAL), answer
    expect(a.ask().get(b"k").status, wire.MISS)
    b.until_missed(b"k")
    a.proxy.tell("release", "down")
    a.until_fresh()
    expect(a.ask().get(b"k").status, wire.MISS)


def the_old_session_of_a_killed_host_is_over(fleet):
    a, b = fleet.start(2)
    if "warm" not in a.stats()["namespaces"]["default"]:
        raise tap.Skip("without a warm tier a daemon does not know who it was")
    fleet.share(b"k", b"old", a, b)
    held_request(a, *set_of(a.ask(), b"k", b"zombie"))
    a.kill9()
    a.configure_fleet(url=f"unix:{fleet.servers[0].path}")
    a.join()
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    a.proxy.tell("release", "up")
    until(lambda: a.proxy.count().held == 0, "the late bytes are in Redis")
    fleet.told(b, a)
    expect((a.ask().get(b"k").value, b.ask().get(b"k").value), (b"new", b"new"))


play(a_set_held_on_its_way_never_takes_effect, its_key_is_gone_everywhere_when_nobody_wrote_it_again,
     an_invalidation_whose_answer_is_lost_happens, the_old_session_of_a_killed_host_is_over)
