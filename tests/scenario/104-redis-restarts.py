"""Redis killed and started again, with and without its data: a new epoch, nothing old is fresh, the fleet goes on (C12, F5, F6)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

FLAGGED = 4  # the entry flag "detached"
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


def restart(fleet, *hosts, **options):
    redis = fleet.servers[0]
    redis.kill9()
    for host in hosts:
        host.until_mode("DETACHED")
    redis.start(**options)
    for host in hosts:
        host.until_fresh()


def flagged(got):
    assert got.status == wire.HIT, got
    return got if got.flags & FLAGGED else None


def without_data_everything_is_new(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    restart(fleet, a, b)
    expect((a.ask().get(b"k").status, b.ask().get(b"k").status), (wire.MISS, wire.MISS))
    expect(a.ask().set(b"k", b"new").status, wire.OK)
    expect(b.ask().get(b"k").value, b"new")


def with_its_data_what_was_invalidated_does_not_come_back(fleet):
    fleet.redis(**DURABLE)
    a, b = fleet.start(2)
    for n in range(4):
        fleet.share(b"user:%d" % n, b"old", a, b, tags=[b"t%d" % n])
    a.ask().invalidate(keys=[b"user:0"])
    a.ask().invalidate(tags=[b"t1"])
    a.ask().invalidate(prefixes=[b"user:"])
    restart(fleet, a, b, **DURABLE)
    for host in (a, b):
        for n in range(4):
            expect(host.ask().get(b"user:%d" % n).status, wire.MISS, f"key {n} on host {host.name}")


def bytes_of_another_epoch_are_not_handed_out(fleet):
    fleet.redis(**DURABLE)
    a, b = fleet.start(2)
    a.ask().set(b"k", b"old")
    restart(fleet, a, b, **DURABLE)
    assert fleet.servers[0].client().call("EXISTS", "{default}:e:k") == 1, "Redis still has the bytes"
    expect((a.ask().get(b"k").status, b.ask().get(b"k").status), (wire.MISS, wire.MISS))


def a_token_from_before_admits_nothing_after(fleet):
    fleet.redis(**DURABLE)
    a, b = fleet.start(2)
    token = a.ask().get(b"k").token
    b.ask().invalidate(keys=[b"k"])
    restart(fleet, a, b, **DURABLE)
    expect(a.ask().set(b"k", b"old", token=token).status, wire.REFUSED)
    expect(a.ask().get(b"k").status, wire.MISS)


def a_version_from_before_meets_no_condition_after(fleet):
    fleet.redis(**DURABLE)
    a, b = fleet.start(2)
    told = a.ask().set(b"k", b"old")
    restart(fleet, a, b, **DURABLE)
    answer = a.ask().set(b"k", b"x", flags=wire.IF_VERSION, version=(told.epoch, told.v, told.id))
    expect(answer.status, wire.NOT_FOUND)


def reads_go_on_flagged_while_it_is_away(fleet):
    a, b = fleet.start(2)
    reader = a.puppet()
    fleet.share(b"k", b"v", a, b)
    until(lambda: reader.ask("get", "k")[1] == "near", "the library maps it")
    fleet.servers[0].kill9()
    a.until_mode("DETACHED")
    got = until(lambda: flagged(a.ask().get(b"k")), "the last fence vouches no more")
    expect((got.status, got.value), (wire.HIT, b"v"))
    expect(reader.ask("get", "k")[:3], ["HIT", "near", "v"])
    fleet.servers[0].start()
    a.until_fresh()
    expect(a.ask().get(b"k").status, wire.MISS, "of an epoch that is gone")


play(without_data_everything_is_new, with_its_data_what_was_invalidated_does_not_come_back,
     bytes_of_another_epoch_are_not_handed_out, a_token_from_before_admits_nothing_after,
     a_version_from_before_meets_no_condition_after, reads_go_on_flagged_while_it_is_away)
