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
    "c5-older-stays": ("        if (flight_detached(flight))\n            give_way(get, read, outcome);\n", ""),
    "c7-served-for-ever": ("return !e->suspect && detached_serves(c, get->key_hash, cache_now(c)) ? FLAGGED : NOBODY;", "return FLAGGED;"),
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
