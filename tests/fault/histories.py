"""The judge is judged: histories known to be right, and histories known to be wrong, told one operation after the other."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from history import (COMPARE, FILL, FOREIGN, GET, HIT, INVALIDATE, IS_DETACHED, IS_LOADED, IS_LOCAL, LEASE, LOCAL, MS,
                     OF_THE_FLEET, OK, QUEUED, SET, SOFTEN, STALE, TAG, Op, Rules, judge)

REFUSED = 8


class Story:
    """Operations one after the other, a millisecond each and one between; `at` jumps."""

    def __init__(self):
        self.ops, self.now, self.values = [], 1000, 0

    def at(self, ms):
        self.now = ms
        return self

    def add(self, verb, host, key=0, result=OK, v=0, epoch=1, flags=0, value=0, names=None, took=1, read=0, ttl=0, expected=0,
            waited=0, after=0, lease=0, scope=OF_THE_FLEET, shade=0):
        begin, self.now = self.now, self.now + took + 1
        self.ops.append(Op(verb=verb, host=host, client=host, begin=begin * MS, end=(begin + took) * MS, read=read * MS,
                           result=result, flags=flags, value=value, names=1 << key if names is None else names, partition=0, epoch=epoch, v=v,
                           id=v, ttl_ms=ttl, expected=expected, waited=waited, lease=lease, scope=scope if lease else 0, shade=shade,
                           after_partition=0, after_epoch=1 if after else 0,
                           after_v=after))
        return self.ops[-1]

    def set(self, host, verb=SET, **more):
        self.values += 1
        return self.add(verb, host, value=self.values, **more).value

    def get(self, host, value, **more):
        return self.add(GET, host, result=HIT, value=value, **more)

    def invalidate(self, host, **more):
        return self.add(INVALIDATE, host, **more)

    def tag(self, host, shade, **more):
        return self.add(TAG, host, shade=shade, **more)

    def kill(self, host, shade, **more):
        return self.invalidate(host, shade=shade, names=0, **more)


def passes(tell_story, **rules):
    story = Story()
    tell_story(story)
    wrong = judge(story.ops, Rules(**rules))
    assert not wrong, "\n".join(map(str, wrong))


def is_found(tell_story, rule, **rules):
    story = Story()
    tell_story(story)
    wrong = judge(story.ops, Rules(**rules))
    assert [v.rule for v in wrong] == [rule], f"expected one of {rule}, found {[str(v) for v in wrong]}"


def two_sets(s, host=1):
    return s.set(host, v=1), s.set(host, v=2)


def right_histories():
    def current(s):
        s.get(1, s.set(1, v=1), v=1)
        s.get(2, s.set(1, v=2), v=2)
    yield "what was just set is read everywhere", current

    def lagging(s):
        old, new = two_sets(s)
        s.get(2, old, v=1)
        s.at(1300).get(2, new, v=2)
    yield "another host is behind for less than Δ", lagging

    def overlapping(s):
        old = s.set(1, v=1)
        new = s.set(1, v=2, took=100)
        s.at(1050).get(1, old, v=1)
        s.at(1060).get(1, new, v=2)
    yield "before an overlapping set is answered either may be read", overlapping

    def unknown(s):
        old = s.set(1, v=1)
        s.set(1, result=-3)
        s.get(1, old, v=1)
        s.at(5000).get(2, 2, v=2)
    yield "a set without an answer may take effect, late too", unknown

    def flagged(s):
        old, _ = two_sets(s)
        s.at(4000).get(2, old, v=1, flags=IS_DETACHED)
    yield "a host cut off is behind for longer, flagged", flagged

    def kept_here(s):
        s.set(1, v=1)
        mine = s.set(1, result=LOCAL)
        s.get(1, mine, v=1, flags=IS_LOCAL | IS_DETACHED)
    yield "a value of one host is read there, flagged", kept_here

    def forgotten(s):
        old = s.set(2, v=1)
        s.invalidate(1, result=LOCAL)
        s.at(3000).get(1, old, v=1)
    yield "what was done on one host only dies with its daemon", forgotten

    def another_epoch(s):
        old, new = s.set(1, v=9), s.set(1, v=3, epoch=2)
        s.get(2, old, v=9)
        s.at(2000).get(2, new, v=3, epoch=2)
    yield "positions of two epochs are not compared", another_epoch

    def refilled(s):
        s.invalidate(2, v=5)
        s.get(1, s.set(1, verb=FILL, v=5, read=1001), v=5)
    yield "a fill read after the invalidation", refilled


    def softened(s):
        old = s.set(1, v=1)
        s.add(SOFTEN, 1, v=2)
        s.get(1, old, v=1, flags=STALE)
    yield "softly invalidated it is served, flagged stale", softened

    def reached(s):
        old, new = two_sets(s)
        s.get(2, old, v=1, after=1)
        s.get(2, new, v=2, after=2)
    yield "a position that was reached", reached


    def handed_over(s):
        s.add(LEASE, 1, result=HIT, value=1, flags=IS_LOADED, took=100)
        s.at(1010).invalidate(2, v=5)
        s.at(1020).set(1, verb=FILL, result=REFUSED, read=1005, lease=7)
    yield "who waited before an invalidation gets what was loaded before it", handed_over

    def one_after_the_other(s):
        s.set(1, verb=FILL, v=1, read=1000, lease=7)
        s.invalidate(1, v=2)
        s.set(2, verb=FILL, v=2, read=1004, lease=8)
    yield "two leases one after the other", one_after_the_other

    def one_a_host(s):
        s.set(1, verb=FILL, v=1, read=1000, lease=7, scope=1)
        s.set(2, verb=FILL, v=2, read=1000, lease=8, scope=1)
    yield "two hosts with a lease each", one_a_host


    def tagged_and_set_again(s):
        s.set(1, v=1)
        s.tag(1, 1, v=2)
        new = s.set(1, v=3)
        s.kill(1, 1, v=4)
        s.get(1, new, v=3)
    yield "set again it has lost the tag it got", tagged_and_set_again

    def another_tag(s):
        old = s.set(1, v=1)
        s.tag(1, 1)
        s.tag(1, 2, result=6)
        s.kill(1, 2, v=4)
        s.get(1, old, v=3)
    yield "another tag than it got, and one it did not get", another_tag

    def tagged_elsewhere(s):
        old = s.set(1, v=1)
        s.tag(2, 1)
        s.kill(1, 1, v=4)
        s.get(1, old, v=1)
        s.get(3, old, v=3)
    yield "a tag got elsewhere is known within Δ", tagged_elsewhere

    def tagged_meanwhile(s):
        old = s.set(1, v=1)
        s.at(1010).tag(1, 1, took=100)
        s.at(1050).kill(1, 1, v=4)
        s.at(1200).get(1, old, v=5)
    yield "tagged while the tag was invalidated", tagged_meanwhile


def wrong_histories():
    def own_old(s):
        old, _ = two_sets(s)
        s.get(1, old, v=1)
    yield "the host itself serves what it overwrote", "current", own_old

    def own_dead(s):
        old = s.set(1, v=1)
        s.invalidate(1, v=2)
        s.get(1, old, v=1, flags=IS_DETACHED)
    yield "the host itself serves what it invalidated, flagged too", "current", own_dead

    def others_old(s):
        old, _ = two_sets(s)
        s.at(2000).get(2, old, v=1)
    yield "another host is behind for longer than Δ", "current", others_old

    def flagged_for_ever(s):
        old, _ = two_sets(s)
        s.at(9000).get(2, old, v=1, flags=IS_DETACHED)
    yield "a host cut off is behind for longer than it may", "current", flagged_for_ever

    def by_position(s):
        old = s.set(1, v=1, result=-3)
        s.set(2, v=2)
        s.at(2000).get(3, old, v=1)
    yield "a set without an answer, older by its position", "current", by_position

    def late_fill(s):
        s.at(1010).invalidate(2, v=5)
        late = s.set(1, verb=FILL, v=5, read=1000)
        s.at(2000).get(1, late, v=5)
    yield "a fill read before the invalidation", "current", late_fill

    def dead_by_name(s):
        old = s.set(1, v=1, key=3)
        s.invalidate(1, names=0b1010, v=2)
        s.get(1, old, v=1, key=3)
    yield "an entry whose tag was invalidated", "current", dead_by_name

    def taken_here(s):
        old = s.set(2, v=1)
        s.invalidate(1, result=QUEUED)
        s.at(3000).get(1, old, v=1)
    yield "an invalidation that was queued, over a restart too", "current", taken_here

    def backwards(s):
        old, new = s.set(1, v=1), s.set(1, v=2)
        s.get(2, new, v=2)
        s.get(2, old, v=1)
    yield "a host goes back", "monotone", backwards

    def old_epoch(s):
        old, new = s.set(1, v=1), s.set(1, v=1, epoch=2)
        s.get(2, old, v=1)
        s.get(2, new, v=1, epoch=2)
        s.get(2, old, v=1)
    yield "a host goes back to an epoch it had left", "monotone", old_epoch

    def from_nowhere(s):
        s.get(1, 77, v=1)
    yield "a value nobody set", "known", from_nowhere

    def of_another_key(s):
        s.get(1, s.set(1, v=1, key=1), v=1, key=2)
    yield "the value of another key", "known", of_another_key

    def torn(s):
        s.get(1, s.set(1, v=1), v=1, flags=FOREIGN)
    yield "bytes that are no value", "known", torn

    def from_the_future(s):
        s.at(2000).set(1, v=1)
        s.at(1000).get(1, 1, v=1)
    yield "a value before it was set", "known", from_the_future

    def refused(s):
        s.get(1, s.set(1, verb=FILL, result=8, read=999), v=1)
    yield "a fill that was refused", "known", refused

    def not_sent(s):
        s.get(1, s.set(1, result=-15), v=1)
    yield "a set that could not be decided", "known", not_sent

    def elsewhere(s):
        s.get(2, s.set(1, result=LOCAL), v=1, flags=IS_LOCAL | IS_DETACHED)
    yield "a value of one host on another", "local", elsewhere

    def unflagged(s):
        s.get(1, s.set(1, result=LOCAL), v=1)
    yield "a value of one host without its flag", "local", unflagged

    def flagged_without_reason(s):
        s.get(1, s.set(1, v=1), v=1, flags=IS_LOCAL)
    yield "a value of all flagged as one of this host", "local", flagged_without_reason

    def expired(s):
        short = s.set(1, v=1, ttl=100)
        s.at(1200).get(1, short, v=1)
    yield "a value past its ttl", "alive", expired

    def waited_for_nobody(s):
        old = s.set(1, v=1)
        s.set(1, v=2, waited=1)
        s.get(2, old, v=1)
    yield "a change that waited for all and was not known", "current", waited_for_nobody

    def softened(s):
        old = s.set(1, v=1)
        s.add(SOFTEN, 1, v=2)
        s.get(1, old, v=1)
    yield "softly invalidated and not flagged", "current", softened

    def not_reached(s):
        old, _ = two_sets(s)
        s.get(2, old, v=1, after=2)
    yield "older than the position asked for", "reached", not_reached

    def twice(s):
        s.set(1, verb=COMPARE, v=2, expected=1)
        s.set(2, verb=COMPARE, v=3, expected=1)
    yield "two compare-and-sets of one version", "once", twice

    def handed_over_late(s):
        s.at(1005).invalidate(1, v=5)
        late = s.set(1, verb=FILL, result=REFUSED, read=1000, lease=7)
        s.at(1010).add(LEASE, 1, result=HIT, value=late, flags=IS_LOADED)
    yield "who asked after an invalidation gets what was loaded before it", "current", handed_over_late

    def handed_to_another_host(s):
        loaded = s.set(1, verb=FILL, v=1, read=999, lease=7)
        s.add(LEASE, 2, result=HIT, value=loaded, flags=IS_LOADED)
    yield "what was loaded is handed over on a host that did not load it", "local", handed_to_another_host

    def used_twice(s):
        s.set(1, verb=FILL, v=1, read=999, lease=7)
        s.set(1, verb=FILL, v=2, read=999, lease=7)
    yield "a lease is good for two fills", "single", used_twice

    def two_holders(s):
        s.set(1, verb=FILL, v=1, read=998, lease=7)
        s.set(2, verb=FILL, v=2, read=999, lease=8)
    yield "of two holders in the fleet both filled", "single", two_holders

    def tagged_late(s):
        old = s.set(1, v=1)
        s.tag(1, 1)
        s.kill(1, 1, v=4)
        s.get(1, old, v=3)
    yield "the host itself serves what it tagged and invalidated", "tagged", tagged_late

    def tagged_by_another(s):
        old = s.set(1, v=1)
        s.tag(2, 1)
        s.kill(3, 1, v=4)
        s.at(2000).get(1, old, v=1)
    yield "what others tagged and invalidated is there for longer than Δ", "tagged", tagged_by_another

    def tagged_and_awaited(s):
        old = s.set(1, v=1)
        s.tag(2, 1)
        s.kill(3, 1, v=4, waited=1)
        s.get(1, old, v=1)
    yield "an invalidation of a tag it got had waited for all", "tagged", tagged_and_awaited


RULES = {"detached_max_ns": 5000 * MS, "restarts": [(2000 * MS, 1)]}


def judge_the_judge():
    report = tap.Report()
    for name, story in right_histories():
        with report.case(f"passes: {name}"):
            passes(story, **RULES)
    for name, rule, story in wrong_histories():
        with report.case(f"found: {name}"):
            is_found(story, rule, **RULES)
    report.end()


if __name__ == "__main__":
    judge_the_judge()
