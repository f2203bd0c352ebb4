"""A gap in the journal: nothing missed is served, and what nobody changed is compared and kept (I2)."""

import signal

import wire_client as wire
from fleet import play
from scenario import expect

MANY = 60


def with_a_gap(fleet, away, back):
    a, b = fleet.start(2, redis={"command_timeout": "10s"})
    keys = [b"user:%d" % n for n in range(MANY)]
    for key in keys:
        fleet.share(key, b"old", a, tags=[b"t%d" % (len(key) % 2)])
        b.has_read(key, b"old")
    fleet.told(a, b)
    away(b)
    expect(a.ask().invalidate(keys=keys[:10]).status, wire.OK)
    expect(a.ask().set(keys[10], b"new").status, wire.OK)
    fleet.servers[0].client().call("XTRIM", "{default}:j", "MAXLEN", 0)
    back(b)
    return a, b, keys


def nothing_missed_is_served(b, keys):
    for key in keys[:10]:
        expect(b.ask().get(key).status, wire.MISS, repr(key))
    expect(b.ask().get(keys[10]).value, b"new")


def unchanged_entries_are_kept(b, keys):
    before = b.figure("compared")
    found = b.ask().mget(keys[11:])
    expect(sum(e.value == b"old" and not e.flags for e in found), MANY - 11)
    expect(b.figure("compared") - before, MANY - 11, "compared, not read anew")


def while_it_was_cut_off(fleet):
    a, b, keys = with_a_gap(fleet, lambda host: host.leave_redis(), lambda host: host.return_to_redis())
    expect(b.figure("gaps"), 1)
    nothing_missed_is_served(b, keys)
    unchanged_entries_are_kept(b, keys)


def stopped(host):
    host.signal(signal.SIGSTOP)


def continued(host):
    host.signal(signal.SIGCONT)
    host.until_fresh()


def while_the_sidecar_was_stopped(fleet):
    a, b, keys = with_a_gap(fleet, stopped, continued)
    fleet.told(a, b)
    nothing_missed_is_served(b, keys)


def deaf(host):
    host.proxy.tell("hold", "down")


def hearing(host):
    host.proxy.tell("release", "down")
    host.until_fresh()


def while_its_answers_were_held(fleet):
    a, b, keys = with_a_gap(fleet, deaf, hearing)
    fleet.told(a, b)
    nothing_missed_is_served(b, keys)


def tags_killed_in_the_gap_are_known_all_the_same(fleet):
    a, b = fleet.start(2)
    fleet.share(b"dead", b"old", a, b, tags=[b"t"])
    fleet.share(b"alive", b"v", a, b, tags=[b"u"])
    b.leave_redis()
    expect(a.ask().invalidate(tags=[b"t"]).status, wire.OK)
    fleet.servers[0].client().call("XTRIM", "{default}:j", "MAXLEN", 0)
    b.return_to_redis()
    expect((b.ask().get(b"dead").status, b.ask().get(b"alive").value), (wire.MISS, b"v"))


play(while_it_was_cut_off, while_the_sidecar_was_stopped, while_its_answers_were_held,
     tags_killed_in_the_gap_are_known_all_the_same)
