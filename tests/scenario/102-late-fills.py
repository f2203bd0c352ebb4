"""A value whose source was read before an invalidation enters no tier, whichever host invalidated (C6, I5)."""

import wire_client as wire
from fleet import play
from scenario import expect


def missed(host, key):
    got = host.ask().get(key)
    expect(got.status, wire.MISS)
    return got.token


def nowhere(key, *hosts):
    for host in hosts:
        expect(host.ask().get(key).status, wire.MISS, f"{key!r} on host {host.name}")


def a_fill_that_nothing_overtook_is_there_for_all(fleet):
    a, b = fleet.start(2)
    expect(a.ask().set(b"k", b"v", token=missed(a, b"k")).status, wire.OK)
    expect((a.ask().get(b"k").value, b.ask().get(b"k").value), (b"v", b"v"))


def a_delete_on_the_other_host_keeps_the_late_fill_out(fleet):
    a, b = fleet.start(2)
    token = missed(a, b"k")
    expect(b.ask().invalidate(keys=[b"k"]).status, wire.OK)
    expect(a.ask().set(b"k", b"old", token=token).status, wire.REFUSED)
    nowhere(b"k", a, b)


def a_delete_on_the_same_host_keeps_the_late_fill_out(fleet):
    a, b = fleet.start(2)
    token = missed(a, b"k")
    expect(a.ask().invalidate(keys=[b"k"]).status, wire.OK)
    expect(a.ask().set(b"k", b"old", token=token).status, wire.REFUSED)
    nowhere(b"k", a, b)


def both_missed_and_the_delete_came_between_their_fills(fleet):
    a, b, c = fleet.start(3)
    tokens = missed(a, b"k"), missed(b, b"k")
    expect(a.ask().set(b"k", b"old", token=tokens[0]).status, wire.OK, "nothing has happened yet")
    expect(c.ask().invalidate(keys=[b"k"]).status, wire.OK)
    expect(b.ask().set(b"k", b"old", token=tokens[1]).status, wire.REFUSED)
    nowhere(b"k", b, c)
    a.until_missed(b"k")


def a_tag_killed_while_the_value_was_computed_keeps_it_out(fleet):
    a, b = fleet.start(2)
    token = missed(a, b"k")
    expect(b.ask().invalidate(tags=[b"t"]).status, wire.OK)
    expect(a.ask().set(b"k", b"old", tags=[b"u", b"t"], token=token).status, wire.REFUSED)
    nowhere(b"k", a, b)


def a_prefix_or_everything_killed_meanwhile_keeps_it_out(fleet):
    a, b = fleet.start(2)
    for named in [{"prefixes": [b"user:1:"]}, {"all": True}]:
        token = missed(a, b"user:1:name")
        expect(b.ask().invalidate(**named).status, wire.OK)
        expect(a.ask().set(b"user:1:name", b"old", token=token).status, wire.REFUSED)
        nowhere(b"user:1:name", a, b)


def a_set_meanwhile_is_not_replaced_by_an_older_fill(fleet):
    a, b = fleet.start(2)
    token = missed(a, b"k")
    expect(b.ask().set(b"k", b"new").status, wire.OK)
    expect(a.ask().set(b"k", b"old", token=token).status, wire.REFUSED)
    expect((a.ask().get(b"k").value, b.ask().get(b"k").value), (b"new", b"new"))


def what_happens_to_other_keys_keeps_no_fill_out(fleet):
    a, b = fleet.start(2)
    token = missed(a, b"k")
    b.ask().set(b"other", b"x")
    b.ask().invalidate(keys=[b"others"], tags=[b"u"], prefixes=[b"user:"])
    expect(a.ask().set(b"k", b"v", tags=[b"t"], token=token).status, wire.OK)
    expect(b.ask().get(b"k").value, b"v")


def a_token_of_one_host_is_good_on_another(fleet):
    a, b = fleet.start(2)
    good, late = missed(a, b"k"), missed(a, b"l")
    b.ask().invalidate(keys=[b"l"])
    expect(b.ask().set(b"k", b"v", token=good).status, wire.OK)
    expect(b.ask().set(b"l", b"old", token=late).status, wire.REFUSED)


play(a_fill_that_nothing_overtook_is_there_for_all, a_delete_on_the_other_host_keeps_the_late_fill_out,
     a_delete_on_the_same_host_keeps_the_late_fill_out, both_missed_and_the_delete_came_between_their_fills,
     a_tag_killed_while_the_value_was_computed_keeps_it_out, a_prefix_or_everything_killed_meanwhile_keeps_it_out,
     a_set_meanwhile_is_not_replaced_by_an_older_fill, what_happens_to_other_keys_keeps_no_fill_out,
     a_token_of_one_host_is_good_on_another)
