"""Judges the history of a fleet: every operation with begin, end, host, position and result (traffic.h).

What a hit may be, by the contract of the fleet (C1 to C13):

  known     its value was stored for this key by an operation that began before the hit ended and did not fail
  current   no acknowledged change that is newer than the value ended before the hit began: on the same host at once, on
            another one Δ and a tick later when the hit is not flagged (at once, when the change waited for all), and
            `detached_max` and a fifth later when it is; a soft invalidation counts for hits that are not flagged stale
  reached   asked for nothing older than a position, nothing older than any change up to there
  monotone  on one host a key never goes back: no smaller position in one epoch, no epoch that was left
  alive     not past the life its set gave it
  local     a value kept on one host only is seen there only, flagged
  once      of two compare-and-sets that named the same version at most one succeeded

Newer is told twice, and either suffices: by time (the change began after the value's set had ended; after its source was
read, when it was a fill), and by position (same epoch and partition, greater V).  A change without a certain answer may
take effect or not, late too: its value may be seen, nothing is expected of it.

    history.py FILE…   judges files of traffic; without arguments the judge is judged, by histories known to be wrong"""

import bisect
import os
import re
import struct
import sys
from collections import defaultdict, namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import read

WORDS = re.findall(r"^    uint64_t (\w+);", read("tests/fault/traffic.h"), re.MULTILINE)
Op = namedtuple("Op", WORDS)
GET, SET, FILL, COMPARE, INVALIDATE, SOFTEN = range(1, 7)
MISS = OK = 0
HIT, QUEUED, LOCAL = 1, 9, 10
NOTHING_HAPPENED = {4, 5, 6, 7, 8, -1, -4, -5, -6, -7, -8, -9, -15}  # refused, not met, not sent: what was not stored
MAYBE = {-2, -3}
STALE, IS_LOCAL, IS_DETACHED, NEAR, FOREIGN = 1, 2, 4, 1 << 16, 1 << 17

MS = 1_000_000
DELTA_NS = 250 * MS
TICK_NS = 10 * MS
NEVER = -1


class Rules:
    """What the fleet under test was told; times in ns."""

    def __init__(self, detached_max_ns=60_000 * MS, restarts=()):
        self.unflagged_ns = DELTA_NS + TICK_NS
        self.flagged_ns = detached_max_ns * 6 // 5 + DELTA_NS + TICK_NS
        self.restarts = sorted(restarts)  # (time, host): what was only LOCAL is forgotten there


class Violation(namedtuple("Violation", "rule why hit other")):
    def __str__(self):
        lines = [f"{self.rule}: {self.why}", f"  hit   {tell(self.hit)}"]
        return "\n".join(lines + ([f"  other {tell(self.other)}"] if self.other else []))


def tell(op):
    verb = ["?", "get", "set", "fill", "compare-and-set", "invalidate", "soften"][op.verb]
    flags = "".join(word for bit, word in [(STALE, " stale"), (IS_LOCAL, " local"), (IS_DETACHED, " detached"), (NEAR, " near")]
                    if op.flags & bit)
    read_at = f" read {op.read / MS:.3f}" if op.read else ""
    return (f"{verb} host {op.host} client {op.client} keys {op.names:#x} result {op.result}{flags} value {op.value:#x} at "
            f"{op.epoch & 0xffff:04x}.{op.v}.{op.id:x} from {op.begin / MS:.3f} to {op.end / MS:.3f} ms{read_at}")


RESULTS = {OK: "OK", QUEUED: "QUEUED", LOCAL: "LOCAL", 8: "REFUSED", 6: "NOT_FOUND", 7: "CONFLICT", -1: "UNREACHABLE",
           -2: "TIMEOUT", -3: "UNKNOWN", -8: "BUSY", -9: "DRAINING", -15: "DETACHED"}


def outcome(op):
    """In one word, for tables."""
    if op.verb != GET:
        return RESULTS.get(op.result, str(op.result))
    if op.result != HIT:
        return "miss"
    return "local hit" if op.flags & IS_LOCAL else "flagged hit" if op.flags & IS_DETACHED else "hit"


def signed(word):
    return word - (1 << 64) if word >> 63 else word


def load(paths):
    ops = []
    for path in paths:
        with open(path, "rb") as file:
            ops += [Op(*words)._replace(result=signed(words[WORDS.index("result")]))
                    for words in struct.iter_unpack(f"<{len(WORDS)}Q", file.read())]
    return ops


# ---- what is expected of a reader ------------------------------------------------------------------------------


class Changes:
    """Acknowledged changes of one key that a host must know of, in the order in which they were acknowledged."""

    def __init__(self, changes):
        self.ends, self.latest_begin, self.greatest = [], [], []
        begun, newest = None, {}
        for op in sorted(changes, key=lambda op: op.end):
            begun = op if begun is None or op.begin > begun.begin else begun
            place = (op.partition, op.epoch)
            if op.epoch and (place not in newest or op.v > newest[place].v):
                newest = {**newest, place: op}
            self.ends.append(op.end)
            self.latest_begin.append(begun)
            self.greatest.append(newest)

    def newer(self, hit, set_op, before):
        """A change acknowledged before that moment which is newer than what was hit."""
        count = bisect.bisect_left(self.ends, before)
        if count == 0:
            return None
        begun = self.latest_begin[count - 1]
        settled = set_op.read or (set_op.end if set_op.result in (OK, LOCAL) else None)
        if settled is not None and begun.begin > settled and begun is not set_op:
            return begun
        if hit.flags & IS_LOCAL:
            return None  # its position is only that of the absence it was made in
        greatest = self.greatest[count - 1].get((set_op.partition, hit.epoch))
        return greatest if greatest is not None and greatest.v > hit.v else None


def change_stays(op, rules, at):
    """What was done on one host only is forgotten when that host dies."""
    return op.result != LOCAL or not any(host == op.host and op.begin < when < at for when, host in rules.restarts)


class Key:
    def __init__(self):
        self.hits, self.changes = [], []

    def prepare(self):
        """By whether a hit is flagged stale: what it must know of."""
        self.hosts = {op.host for op in self.hits} | {op.host for op in self.changes}
        self.by_stale = [Known(self.changes, self.hosts, (FILL,)), Known(self.changes, self.hosts, (FILL, SOFTEN))]

    def known(self, hit):
        return self.by_stale[hit.flags & STALE != 0]


class Known:
    """A fill does not claim to be newer than anything; a soft invalidation says nothing to who takes stale."""

    def __init__(self, changes, hosts, without):
        claims = [op for op in changes if op.verb not in without]
        acknowledged = [op for op in claims if op.result == OK]
        self.of_all = Changes(acknowledged)
        self.waited = Changes([op for op in acknowledged if op.waited])
        self.of_host = {h: Changes([op for op in acknowledged if op.host == h]) for h in hosts}
        self.here_only = {h: [op for op in claims if op.host == h and op.result in (QUEUED, LOCAL)] for h in hosts}
        self.by_v = sorted((op.epoch, op.partition, op.v) for op in acknowledged if op.epoch)
        self.of_position = {(op.epoch, op.partition, op.v): op for op in acknowledged}

    def up_to(self, hit):
        """The newest acknowledged change up to the position that was asked for."""
        at = bisect.bisect_right(self.by_v, (hit.after_epoch, hit.after_partition, hit.after_v)) - 1
        return self.of_position[self.by_v[at]] if at >= 0 else None


def judge_known(key, hit, sets, rules):
    set_op = sets.get(hit.value)
    if hit.flags & FOREIGN:
        return Violation("known", "the bytes are those of another key, or torn", hit, set_op)
    if set_op is None:
        return Violation("known", "nobody ever set that value", hit, None)
    if set_op.names != hit.names:
        return Violation("known", "it was set for another key", hit, set_op)
    if set_op.begin > hit.end:
        return Violation("known", "it was set later", hit, set_op)
    if set_op.result in NOTHING_HAPPENED or set_op.result == QUEUED:
        return Violation("known", "its set said that nothing was stored", hit, set_op)
    return None


def judge_local(key, hit, sets, rules):
    set_op, flagged = sets[hit.value], hit.flags & IS_LOCAL
    if set_op.result == LOCAL and not (flagged and set_op.host == hit.host):
        return Violation("local", "a value of one host only, elsewhere or not flagged", hit, set_op)
    if flagged and (set_op.result == OK or set_op.host != hit.host):
        return Violation("local", "flagged as of this host only", hit, set_op)
    return None


def judge_alive(key, hit, sets, rules):
    set_op = sets[hit.value]
    if set_op.ttl_ms and set_op.result in (OK, LOCAL) and hit.begin > set_op.end + set_op.ttl_ms * MS + TICK_NS:
        return Violation("alive", "past its ttl", hit, set_op)
    return None


def judge_current(key, hit, sets, rules):
    set_op, known = sets[hit.value], key.known(hit)
    other = known.of_host[hit.host].newer(hit, set_op, hit.begin)
    if other:
        return Violation("current", "this host had acknowledged a newer change", hit, other)
    flagged = hit.flags & IS_DETACHED
    slack = rules.flagged_ns if flagged else rules.unflagged_ns
    other = known.of_all.newer(hit, set_op, hit.begin - slack)
    if other:
        return Violation("current", f"another host had acknowledged a newer change {slack / MS:.0f} ms before", hit, other)
    other = None if flagged else known.waited.newer(hit, set_op, hit.begin)
    if other:
        return Violation("current", "a newer change had waited until all hosts know", hit, other)
    settled = set_op.read or (set_op.end if set_op.result in (OK, LOCAL) else None)
    for op in known.here_only[hit.host]:
        if settled is not None and op is not set_op and settled < op.begin and op.end < hit.begin and \
                change_stays(op, rules, hit.begin):
            return Violation("current", "this host had taken a newer change", hit, op)
    return None


def judge_reached(key, hit, sets, rules):
    """Of the same partition and epoch; positions of others say nothing here."""
    if not hit.after_epoch or hit.epoch != hit.after_epoch or hit.flags & IS_LOCAL:
        return None
    other = key.known(hit).up_to(hit)
    if other and (other.epoch, other.partition) == (hit.after_epoch, hit.after_partition) and other.v > hit.v:
        return Violation("reached", "older than the position it was asked for", hit, other)
    return None


def judge_monotone(key, rules):
    """Of all hits that had ended when this one began none was newer."""
    for host in key.hosts:
        hits = [op for op in key.hits if op.host == host and not op.flags & IS_LOCAL]
        ended, at, greatest, left, current = sorted(hits, key=lambda op: op.end), 0, {}, set(), None
        for hit in sorted(hits, key=lambda op: op.begin):
            while at < len(ended) and ended[at].end < hit.begin:
                op, at = ended[at], at + 1
                if op.epoch != current and op.epoch not in left:
                    left |= {current}
                    current = op.epoch
                if op.epoch not in greatest or op.v > greatest[op.epoch].v:
                    greatest[op.epoch] = op
            if hit.epoch in left:
                yield Violation("monotone", "of an epoch this host had left", hit, greatest.get(current))
            elif hit.epoch in greatest and greatest[hit.epoch].v > hit.v:
                yield Violation("monotone", "this host had shown a newer one", hit, greatest[hit.epoch])


def judge_once(changes):
    winners = {}
    for op in changes:
        if op.verb == COMPARE and op.result == OK:
            other = winners.setdefault((op.names, op.expected), op)
            if other is not op:
                yield Violation("once", "two compare-and-sets of one version succeeded", op, other)


def keys_of(ops):
    keys = defaultdict(Key)
    for op in ops:
        if op.verb == GET:
            if op.result == HIT:
                keys[op.names].hits.append(op)
        else:
            for bit in range(op.names.bit_length()):
                if op.names >> bit & 1:
                    keys[1 << bit].changes.append(op)
    return keys


def judge(ops, rules=None):
    """All violations, the earliest first."""
    rules = rules or Rules()
    sets = {op.value: op for op in ops if op.verb in (SET, FILL, COMPARE)}
    found = list(judge_once(ops))
    for key in keys_of(ops).values():
        key.prepare()
        found += judge_monotone(key, rules)
        for hit in key.hits:
            wrong = judge_known(key, hit, sets, rules)
            for rule in (judge_local, judge_alive, judge_current, judge_reached):
                wrong = wrong or rule(key, hit, sets, rules)
            found += [wrong] if wrong else []
    return sorted(found, key=lambda v: v.hit.begin)


# ---- the judge is judged ---------------------------------------------------------------------------------------


class Story:
    """Operations one after the other, a millisecond each and one between; `at` jumps."""

    def __init__(self):
        self.ops, self.now, self.values = [], 1000, 0

    def at(self, ms):
        self.now = ms
        return self

    def add(self, verb, host, key=0, result=OK, v=0, epoch=1, flags=0, value=0, names=None, took=1, read=0, ttl=0, expected=0,
            waited=0, after=0):
        begin, self.now = self.now, self.now + took + 1
        self.ops.append(Op(verb=verb, host=host, client=host, begin=begin * MS, end=(begin + took) * MS, read=read * MS,
                           result=result, flags=flags, value=value, names=names or 1 << key, partition=0, epoch=epoch, v=v,
                           id=v, ttl_ms=ttl, expected=expected, waited=waited, after_partition=0, after_epoch=1 if after else 0,
                           after_v=after))
        return self.ops[-1]

    def set(self, host, verb=SET, **more):
        self.values += 1
        return self.add(verb, host, value=self.values, **more).value

    def get(self, host, value, **more):
        return self.add(GET, host, result=HIT, value=value, **more)

    def invalidate(self, host, **more):
        return self.add(INVALIDATE, host, **more)


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


def main(paths):
    if not paths:
        judge_the_judge()
    wrong = judge(load(paths))
    print("\n".join(map(str, wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
