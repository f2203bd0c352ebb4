"""What a caller may ask beyond its own host: nothing older than a change made elsewhere (C4), all hosts waited for (C3)."""

import signal

import wire_client as wire
from fleet import play
from scenario import expect, until
from wire_client import position

ROUNDS = 60


def a_position_from_one_host_is_reached_on_the_other_at_once(fleet):
    a, b = fleet.start(2)
    for n in range(ROUNDS):
        value = b"%d" % n
        told = a.ask().set(b"k", value)
        expect(b.ask().get(b"k", after=position(told)).value, value)


def an_invalidation_told_by_its_position_is_seen_at_once(fleet):
    a, b = fleet.start(2)
    for n in range(ROUNDS):
        key = b"user:%d" % n
        fleet.share(key, b"v", a, b, tags=[b"users"])
        told = a.ask().invalidate(tags=[b"users"])
        expect(b.ask().get(key, after=position(told)).status, wire.MISS)


def a_host_that_slept_answers_nothing_older_when_it_wakes(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b)
    asker = b.ask()
    b.signal(signal.SIGSTOP)
    told = a.ask().set(b"k", b"new")
    asker.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k"], *position(told))
    b.signal(signal.SIGCONT)
    entry = wire.Entry(*asker.receive()[2][0][0])
    assert entry.status == wire.MISS or entry.value == b"new", entry


def a_position_nobody_can_vouch_for_is_a_miss_with_its_reason(fleet):
    a, b = fleet.start(2)
    fleet.share(b"k", b"v", a, b)
    told = a.ask().set(b"other", b"x")
    far = (told.partition, told.epoch, told.v + 1000)
    expect(b.ask().get(b"k", after=far).reason, wire.REASON_SUSPECT)
    b.leave_redis()
    expect(b.ask().get(b"k", after=far).reason, wire.REASON_DETACHED)
    until(lambda: b.ask().get(b"k").flags == wire.IS_DETACHED, "the last promise has run out")


def after_a_set_that_waits_for_all_no_process_of_another_host_sees_the_old_value(fleet):
    a, b = fleet.start(2)
    reader = b.puppet()
    for n in range(5):
        old, new = b"old%d" % n, b"new%d" % n
        fleet.share(b"k", old, a, b)
        reader.ask("get", "k")
        expect(a.ask().set(b"k", new, flags=wire.WAIT_ALL).status, wire.OK)
        expect(reader.ask("get", "k")[2], new.decode())


def partitions_are_told_and_so_are_positions_in_them(fleet):
    a, b = fleet.start(2, redis={"partitions": 4})
    expect(a.ask().welcome.partitions, 4)
    told = [a.ask().set(b"key%d" % n, b"v%d" % n) for n in range(40)]
    expect({t.partition for t in told}, {0, 1, 2, 3})
    for n, t in enumerate(told):
        expect(b.ask().get(b"key%d" % n, after=position(t)).value, b"v%d" % n)


def more_keys_than_a_script_takes_go_in_one_invalidation(fleet):
    a, b = fleet.start(2, redis={"partitions": 4})
    keys = [b"key%d" % n for n in range(1000)]
    told = a.ask().mset([a.ask().item(key, b"v") for key in keys])
    expect({t.status for t in told}, {wire.OK})
    for n in range(0, 1000, 100):
        expect({e.status for e in b.ask().mget(keys[n:n + 100])}, {wire.HIT})
    done = a.ask().invalidate(keys=keys, wait_all=True)
    expect((done.status, done.count), (wire.OK, 1000))
    for host in (a, b):
        expect({e.status for e in host.ask().mget(keys)}, {wire.MISS})


def the_command_hands_positions_on(fleet):
    a, b = fleet.start(2)
    for n in range(5):
        told = a.says("set", "--json", "k", f"v{n}").split('"position":"')[1].split('"')[0]
        expect(b.says("get", "k", "--after", told), f"v{n}\n")
    expect(b.cli("get", "k", "--after", "nonsense").returncode, 2)
    expect(a.says("set", "k", "v", "--wait", "all").split()[0], "ok")
    a.leave_redis()
    expect(a.says("set", "k", "v").split()[0], "local")
    expect(a.says("set", "k", "v", "--if-absent", code=1).split()[0], "detached")


play(a_position_from_one_host_is_reached_on_the_other_at_once, an_invalidation_told_by_its_position_is_seen_at_once,
     a_host_that_slept_answers_nothing_older_when_it_wakes, a_position_nobody_can_vouch_for_is_a_miss_with_its_reason,
     after_a_set_that_waits_for_all_no_process_of_another_host_sees_the_old_value,
     partitions_are_told_and_so_are_positions_in_them, more_keys_than_a_script_takes_go_in_one_invalidation,
     the_command_hands_positions_on)
