"""Entries outlive the daemon, however it ends, with their flags, versions and remaining life."""

import wire_client as wire
from scenario import expect, play, until, until_committed

COUNT = 500


def fill(larder):
    client = larder.client()
    for n in range(COUNT):
        expect(client.set(b"key:%d" % n, b"value %d" % n, ttl_ms=600000, stale_ms=0, user_flags=n, tags=[b"t%d" % (n % 7)]).status,
               wire.OK)
    return {n: client.get(b"key:%d" % n) for n in range(COUNT)}


def same(before, after):
    """What must not change; the life may only have shrunk."""
    assert after.ttl_ms <= before.ttl_ms, "a restart prolonged a life"
    return (after.status, after.value, after.user_flags, after.epoch, after.v, after.id) == (
        wire.HIT, before.value, before.user_flags, before.epoch, before.v, before.id)


def kept(larder, before):
    client = larder.client()
    return [n for n in before if same(before[n], client.get(b"key:%d" % n))]


def a_clean_restart_keeps_every_entry_whole(larder):
    larder.start()
    before = fill(larder)
    larder.restart()
    expect(len(kept(larder, before)), COUNT, "entries after the restart")


def kill_9_keeps_what_was_committed(larder):
    larder.start()
    before = fill(larder)
    until_committed(larder.client(), COUNT)
    larder.kill9()
    larder.start()
    expect(len(kept(larder, before)), COUNT, "entries after kill -9")


def after_a_restart_the_hot_set_is_in_shared_memory(larder):
    larder.start()
    fill(larder)
    larder.restart()
    puppet = larder.puppet()
    until(lambda: puppet.ask("get", "key:1")[:3] == ["HIT", "near", "value"], "a near hit after the restart")


def a_library_that_was_attached_finds_the_new_segment(larder):
    larder.start()
    puppet = larder.puppet()
    puppet.ask("set", "k", "v")
    until(lambda: puppet.ask("get", "k")[:3] == ["HIT", "near", "v"], "a near hit")
    for end in (larder.stop, larder.kill9):
        end()
        expect(puppet.ask("get", "k")[0], "MISS", "with no daemon")
        larder.start()
        until(lambda: puppet.ask("get", "k")[:3] == ["HIT", "near", "v"], "a near hit in the new segment")


play(a_clean_restart_keeps_every_entry_whole, kill_9_keeps_what_was_committed,
     after_a_restart_the_hot_set_is_in_shared_memory, a_library_that_was_attached_finds_the_new_segment)
