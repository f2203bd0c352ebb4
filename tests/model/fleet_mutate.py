#!/usr/bin/env python3
"""Writes a copy of a source with one rule of coherence left out; the model must notice.

usage: fleet_mutate.py NAME SOURCE TARGET.  Each change names text that must be there exactly once: when the source is
rewritten, this fails loudly instead of testing nothing."""
import sys

MUTANTS = {
    # name: (text that must be there once, what stands there instead)
    "i3-late-read-inserted": ("bool insert = !flight_detached(flight);", "bool insert = true;"),
    "i3-late-position-inserted": ("bool late = overtaken(c, set, e);", "bool late = false;"),
    "i5-token-not-judged": ("        if (!t.valid || !token_admits(c, &t.token, &e, set->partition))\n            return refused(c, set);\n        make_fill", "        make_fill"),
    "i7-answer-not-applied": ("    i->unsafe |= apply_record(c, change->partition, &r);\n    i->result = (struct version){change->epoch", "    i->result = (struct version){change->epoch"),
    "i8-promise-from-the-answer": ("shown->fresh_until_ns = clock_after(sent_ns, FLEET_FRESH_NS);", "shown->fresh_until_ns = clock_after(c->tick_ns, FLEET_FRESH_NS);"),
    "i10-entry-of-another-epoch": ("    if (e->epoch != p->epoch)\n        return NOBODY;\n", ""),
    "i13-local-unflagged": ("    if (e->local)\n        return", "    if (false)\n        return"),
    "i2-suspect-not-compared": ("if (!e->suspect && ", "if ("),
    "c2-lease-not-looked-at": ("cache_now(c) < p->fresh_until_ns)", "true)"),
    "c4-position-not-looked-at": ("    return get->not_older.epoch != p->epoch || get->not_older.v > p->applied;", "    return false;"),
    "c4-read-not-exact": ("shares_reads(c, get), ahead, land)", "shares_reads(c, get), false, land)"),
    "i4-reads-in-flight-not-told": ("    flights_detach(c->flights, key, key_hash);\n    guard_note(c->guards[p]", "    guard_note(c->guards[p]"),
    "i1-kill-spares-the-one-before-it": ("    if (row->hard_v > v)\n", "    if (row->hard_v > v + 1)\n"),
    "condition-not-told": ("                                        .condition = fleet_conditions[set->condition],\n", ""),
    "soft-kill-of-a-key-not-told": ("return r->soft ? soften(c, key, key_hash, r->v) :", "return r->soft ? false :"),
    "soft-compared-as-fresh": ("        e->stale |= get->confirmed_stale;\n", ""),
    "c5-older-stays": ("        if (flight_detached(flight))\n            give_way(get, read, outcome);\n", ""),
    "c7-served-for-ever": ("return serves && !e->suspect ? FLAGGED : NOBODY;", "return FLAGGED;"),
    "c8-queued-not-applied": ("*ret_unsafe = apply_record(c, change->partition, &r) || kept == TIER_UNSAFE;", "*ret_unsafe = kept == TIER_UNSAFE;"),
}


def main():
    name, source, target = sys.argv[1:]
    old, new = MUTANTS[name]
    text = open(source).read()
    if text.count(old) != 1:
        sys.exit(f"{name}: the text to change is not there exactly once:\n{old}")
    open(target, "w").write(text.replace(old, new))


main()
