"""A version is given out once, over restarts and kills too: else compare-and-set would lie (F11)."""

import wire_client as wire
from scenario import expect, play


def a_version_is_never_given_out_twice(larder):
    larder.start()
    seen = set()
    for end in [larder.kill9, larder.stop, larder.kill9, larder.kill9]:
        client = larder.client()
        for n in range(100):
            seen.add(wire.version(client.set(b"k%d" % n, b"v")))
        end()
        larder.start()
    expect(len(seen), 400, "different versions")


def positions_grow_over_restarts(larder):
    larder.start()
    last = (None, 0)
    for end in [larder.kill9, larder.stop, larder.kill9]:
        for outcome in [larder.client().set(b"k", b"v"), larder.client().invalidate(keys=[b"k"])]:
            assert last[0] in (None, outcome.epoch) and outcome.v > last[1], f"{outcome} after {last}"
            last = outcome.epoch, outcome.v
        end()
        larder.start()


def a_version_of_before_a_kill_matches_only_the_value_it_was_given_for(larder):
    larder.start()
    held = wire.version(larder.client().set(b"k", b"first"))
    larder.kill9()
    larder.start()
    client = larder.client()
    client.set(b"k", b"second")
    expect(client.set(b"k", b"third", flags=wire.IF_VERSION, version=held).status, wire.CONFLICT)
    expect(client.get(b"k", flags=4, version=held).value, b"second")


play(a_version_is_never_given_out_twice, positions_grow_over_restarts,
     a_version_of_before_a_kill_matches_only_the_value_it_was_given_for)
