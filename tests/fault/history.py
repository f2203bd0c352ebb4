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
  tagged    no acknowledged invalidation of a tag that the value got later, once that was acknowledged
  once      of two compare-and-sets that named the same version at most one succeeded

Newer is told twice, and either suffices: by time (the change began after the value's set had ended; after its source was
read, when it was a fill), and by position (same epoch and partition, greater V).  A change without a certain answer may
take effect or not, late too: its value may be seen, nothing is expected of it.

What came straight from a loader (flagged `loaded`) may have been refused by every tier (C6): who waited for it before it was
overtaken gets it all the same (F9).  So of it is asked what is asked of a source read at that time: it is known, and no
change that had ended before the caller asked began after the source was read.  And of leases:

  single    a lease is good for one fill; of two leases of a key that were held at the same time, in one scope, at most
            one is (I5)

    history.py FILE…   judges files of traffic (histories.py judges the judge)"""

import bisect
import os
import re
import struct
import sys
from collections import defaultdict, namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from tree import read

WORDS = re.findall(r"^    uint64_t (\w+);", read("tests/fault/traffic.h"), re.MULTILINE)
Op = namedtuple("Op", WORDS)
GET, SET, FILL, COMPARE, INVALIDATE, SOFTEN, LEASE, TAG = range(1, 9)
READS = GET, LEASE
MISS = OK = 0
HIT, QUEUED, LOCAL, LEASED, WAIT, FAILED = 1, 9, 10, 11, 12, -19
NOTHING_HAPPENED = {4, 5, 6, 7, 8, -1, -4, -5, -6, -7, -8, -9, -15}  # refused, not met, not sent: what was not stored
MAYBE = {-2, -3}
STALE, IS_LOCAL, IS_DETACHED, IS_LOADED, NEAR, FOREIGN = 1, 2, 4, 16, 1 << 16, 1 << 17
OF_THE_FLEET = 2

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
    verb = ["?", "get", "set", "fill", "compare-and-set", "invalidate", "soften", "lease", "tag"][op.verb]
    flags = "".join(word for bit, word in [(STALE, " stale"), (IS_LOCAL, " local"), (IS_DETACHED, " detached"),
                                    (IS_LOADED, " loaded"), (NEAR, " near")]
                    if op.flags & bit)
    read_at = f" read {op.read / MS:.3f}" if op.read else ""
    read_at += f" lease {op.lease & 0xffff:04x}" if op.lease else ""
    read_at += f" shade {op.shade}" if op.shade else ""
    return (f"{verb} host {op.host} client {op.client} keys {op.names:#x} result {op.result}{flags} value {op.value:#x} at "
            f"{op.epoch & 0xffff:04x}.{op.v}.{op.id:x} from {op.begin / MS:.3f} to {op.end / MS:.3f} ms{read_at}")


RESULTS = {OK: "OK", QUEUED: "QUEUED", LOCAL: "LOCAL", 8: "REFUSED", 6: "NOT_FOUND", 7: "CONFLICT", -1: "UNREACHABLE",
           -2: "TIMEOUT", -3: "UNKNOWN", -8: "BUSY", -9: "DRAINING", -15: "DETACHED", LEASED: "LEASE", WAIT: "WAIT", FAILED: "LOAD_FAILED"}


def outcome(op):
    """In one word, for tables."""
    if op.verb not in READS or op.result in (LEASED, WAIT, FAILED):
        return RESULTS.get(op.result, str(op.result))
    if op.result != HIT:
        return "miss"
    if op.flags & IS_LOADED:
        return "loaded"
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
        if hit.flags & (IS_LOCAL | IS_LOADED):
            return None  # its position is only that of the absence it was made in
        greatest = self.greatest[count - 1].get((set_op.partition, hit.epoch))
        return greatest if greatest is not None and greatest.v > hit.v else None


def change_stays(op, rules, at):
    """What was done on one host only is forgotten when that host dies."""
    return op.result != LOCAL or not any(host == op.host and op.begin < when < at for when, host in rules.restarts)


class Key:
    def __init__(self):
        self.hits, self.changes, self.tags = [], [], []

    def prepare(self, shades):
        """By whether a hit is flagged stale: what it must know of."""
        self.ends = [(tag, shades[tag.shade].behind(tag)) for tag in self.tags if tag.result == OK]
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


class Shade:
    """A tag that entries get later: its acknowledged invalidations, in the order in which they began."""

    def __init__(self, kills=()):
        self.kills = sorted(kills, key=lambda op: op.begin)
        self.begins = [op.begin for op in self.kills]

    def behind(self, tag):
        return self.kills[bisect.bisect_right(self.begins, tag.end):]


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
    if hit.flags & IS_LOADED:
        return None
    if set_op.result in NOTHING_HAPPENED or set_op.result == QUEUED:
        return Violation("known", "its set said that nothing was stored", hit, set_op)
    return None


def judge_local(key, hit, sets, rules):
    set_op, flagged = sets[hit.value], hit.flags & IS_LOCAL
    if hit.flags & IS_LOADED:
        return None if set_op.host == hit.host and set_op.lease else Violation("local", "loaded, and not here", hit, set_op)
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


def judge_tagged(key, hit, sets, rules):
    """Who tagged the key when the value had been set tagged that value, or one that is newer."""
    set_op = sets[hit.value]
    if set_op.result != OK or hit.flags & IS_LOADED:
        return None
    slack = rules.flagged_ns if hit.flags & IS_DETACHED else rules.unflagged_ns
    for tag, kills in key.ends:
        for kill in kills if tag.begin > set_op.end else ():
            at_once = hit.host == kill.host == tag.host or (kill.waited and not hit.flags & IS_DETACHED)
            if kill.end + (0 if at_once else slack) < hit.begin:
                return Violation("tagged", f"it had shade {kill.shade} since {tag.end / MS:.3f} ms", hit, kill)
    return None


def judge_reached(key, hit, sets, rules):
    """Of the same partition and epoch; positions of others say nothing here."""
    if not hit.after_epoch or hit.epoch != hit.after_epoch or hit.flags & (IS_LOCAL | IS_LOADED):
        return None
    other = key.known(hit).up_to(hit)
    if other and (other.epoch, other.partition) == (hit.after_epoch, hit.after_partition) and other.v > hit.v:
        return Violation("reached", "older than the position it was asked for", hit, other)
    return None


def judge_monotone(key, rules):
    """Of all hits that had ended when this one began none was newer."""
    for host in key.hosts:
        hits = [op for op in key.hits if op.host == host and not op.flags & (IS_LOCAL | IS_LOADED)]
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


def judge_single(ops):
    """A fill that is not refused ends the lease it came with and, with the record it leaves, all others of the scope."""
    filled = defaultdict(list)
    for op in sorted((op for op in ops if op.lease and op.result == OK), key=lambda op: op.begin):
        for other in filled[op.names, op.scope, 0 if op.scope == OF_THE_FLEET else op.host]:
            if other.lease == op.lease:
                yield Violation("single", "a lease was good for two fills", op, other)
            elif op.read < other.begin:
                yield Violation("single", "of two holders at the same time both filled", op, other)
        filled[op.names, op.scope, 0 if op.scope == OF_THE_FLEET else op.host].append(op)


def keys_of(ops):
    keys = defaultdict(Key)
    for op in ops:
        if op.verb in READS:
            if op.result == HIT:
                keys[op.names].hits.append(op)
        else:
            for bit in range(op.names.bit_length()):
                if op.names >> bit & 1:
                    (keys[1 << bit].tags if op.verb == TAG else keys[1 << bit].changes).append(op)
    return keys


def shades_of(ops):
    kills = defaultdict(list)
    for op in ops:
        if op.shade and op.verb == INVALIDATE and op.result == OK:
            kills[op.shade].append(op)
    return defaultdict(Shade, {shade: Shade(found) for shade, found in kills.items()})


def judge(ops, rules=None):
    """All violations, the earliest first."""
    rules = rules or Rules()
    sets = {op.value: op for op in ops if op.verb in (SET, FILL, COMPARE)}
    found = [*judge_once(ops), *judge_single(ops)]
    shades = shades_of(ops)
    for key in keys_of(ops).values():
        key.prepare(shades)
        found += judge_monotone(key, rules)
        for hit in key.hits:
            wrong = judge_known(key, hit, sets, rules)
            for rule in (judge_local, judge_alive, judge_current, judge_tagged, judge_reached):
                wrong = wrong or rule(key, hit, sets, rules)
            found += [wrong] if wrong else []
    return sorted(found, key=lambda v: v.hit.begin)


def main(paths):
    wrong = judge(load(paths))
    print("\n".join(map(str, wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
