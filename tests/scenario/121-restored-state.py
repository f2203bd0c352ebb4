"""The state of yesterday, put back: what was invalidated since is not served (I6, C11)."""

import os
import shutil

import wire_client as wire
from fleet import play
from scenario import expect


def with_yesterdays_state(fleet, meanwhile):
    a, b = fleet.start(2)
    fleet.share(b"k", b"old", a, b, tags=[b"t"])
    fleet.share(b"user:1", b"old", a, b)
    fleet.share(b"beside", b"v", a, b)
    fleet.told(a, b)
    b.stop()
    copy = os.path.join(b.home, "yesterday")
    shutil.copytree(b.state, copy)
    b.join()
    meanwhile(a)
    fleet.told(a, b)
    b.stop()
    shutil.rmtree(b.state)
    shutil.move(copy, b.state)
    b.join()
    return a, b


def invalidate(a):
    expect(a.ask().invalidate(tags=[b"t"]).status, wire.OK)
    expect(a.ask().invalidate(keys=[b"user:1"]).status, wire.OK)


def what_was_invalidated_since_is_not_served(fleet):
    a, b = with_yesterdays_state(fleet, invalidate)
    expect((b.ask().get(b"k").status, b.ask().get(b"user:1").status), (wire.MISS, wire.MISS))
    expect(b.ask().get(b"beside").value, b"v")


def what_was_overwritten_since_is_not_served(fleet):
    a, b = with_yesterdays_state(fleet, lambda a: expect(a.ask().set(b"k", b"new").status, wire.OK))
    expect(b.ask().get(b"k").value, b"new")


def with_the_journal_gone_as_well(fleet):
    def meanwhile(a):
        invalidate(a)
        fleet.servers[0].client().call("XTRIM", "{default}:j", "MAXLEN", 0)
    a, b = with_yesterdays_state(fleet, meanwhile)
    expect((b.ask().get(b"k").status, b.ask().get(b"user:1").status), (wire.MISS, wire.MISS))
    expect(b.ask().get(b"beside").value, b"v")


play(what_was_invalidated_since_is_not_served, what_was_overwritten_since_is_not_served, with_the_journal_gone_as_well)
