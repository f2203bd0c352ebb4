#!/usr/bin/env python3
"""Writes a copy of a source with one rule left out, or one step out of order; somebody must notice.

usage: mutate.py NAME SOURCE TARGET.  Each change names text that must be there exactly once: when the source is
rewritten, this fails loudly instead of testing nothing.  Who must notice is in meson.build."""
import sys

R0 = "    shm_take_promises(v, p, f);\n    return shm_look(v, p, f, hash);\n"
R4 = "SHM_RELAXED(p->gen_at) == p->gen && SHM_RELAXED(p->slot_at) == p->slot; /* R4 */"
R2 = "    if (SHM_ACQUIRE(slot_at) != slot) /* R2 */\n        return SHM_LOOK_RACE;\n"
BORN = "    p->born = SHM_ACQUIRE(&item->born); /* before life: see R1 in shm.h */\n"
LIFE = "    p->life = SHM_RELAXED(&item->life);\n"
KILL = "    if (born < SHM_ACQUIRE(&h->last_kill) && shm_cells_kill(v, p))\n        return SHM_ASK_KILLED;\n"
FLOOR = "    if (born < SHM_ACQUIRE(&h->floor_seq))\n        return SHM_ASK_FLOOR;\n"
LOCAL = "    if (p->life & SHM_LIFE_LOCAL && born < SHM_ACQUIRE(&h->local_floor))\n        return SHM_ASK_FLOOR;\n"
SWEEPS = "SHM_RELAXED(&h->sweeps) == p->sweeps ? SHM_NO_OBJECTION : SHM_ASK_RACE"
KEY = "    if (!shm_same(key, p->key.data, p->key.size))\n        return false;\n"
OBJECTION = "    return reason != SHM_NO_OBJECTION ? reason : shm_outdated(v, p, f);\n"

MUTANTS = {
    # the reader of the shared segment
    "r0-after-lookup": [(R0, "    enum shm_look found = shm_look(v, p, f, hash);\n    shm_take_promises(v, p, f);\n    return found;\n")],
    "r0-after-r5": [(OBJECTION, "    ((struct shm_peek *)p)->fresh_until = SHM_ACQUIRE(&v->header->fresh_until[0]);\n" + OBJECTION)],
    "r2-left-out": [(R2, "")],
    "r4-without-gen": [(R4, "SHM_RELAXED(p->slot_at) == p->slot;")],
    "r4-left-out": [(R4, "true;")],
    "r5-before-r0": [
        (R0, "    p->soon = SHM_ACQUIRE(&v->header->last_kill);\n" + R0),
        (KILL, KILL.replace("SHM_ACQUIRE(&h->last_kill)", "p->soon")),
    ],
    "r5-without-kills": [(KILL, "")],
    "r5-without-floor": [(FLOOR, "")],
    "r5-without-local-floor": [(LOCAL, "")],
    "r5-without-sweeps": [(SWEEPS, "SHM_NO_OBJECTION")],
    "life-before-born": [(BORN, ""), (LIFE, LIFE + BORN)],
    "key-not-compared": [(KEY, "")],
    # the fleet
    "i3-late-read-inserted": [("bool insert = !flight_detached(flight);", "bool insert = true;")],
    "i3-late-position-inserted": [("bool late = overtaken(c, set, e);", "bool late = false;")],
    "i5-token-not-judged": [("        if (!t.valid || !token_admits(c, &t.token, &e, set->partition))\n            return refused(c, set);\n        make_fill", "        make_fill")],
    "i7-answer-not-applied": [("    i->unsafe |= apply_record(c, change->partition, &r);\n    i->result = (struct version){change->epoch", "    i->result = (struct version){change->epoch")],
    "i8-promise-from-the-answer": [("shown->fresh_until_ns = clock_after(sent_ns, FLEET_FRESH_NS);", "shown->fresh_until_ns = clock_after(c->tick_ns, FLEET_FRESH_NS);")],
    "i10-entry-of-another-epoch": [("    if (e->epoch != p->epoch)\n        return NOBODY;\n", "")],
    "i13-local-unflagged": [("    if (e->local)\n        return", "    if (false)\n        return")],
    "i2-suspect-not-compared": [("if (!e->suspect && ", "if (")],
    "c2-lease-not-looked-at": [("cache_now(c) < p->fresh_until_ns)", "true)")],
    "c4-position-not-looked-at": [("    return get->not_older.epoch != p->epoch || get->not_older.v > p->applied;", "    return false;")],
    "c4-read-not-exact": [("shares_reads(c, get), ahead, land)", "shares_reads(c, get), false, land)")],
    "i4-reads-in-flight-not-told": [("    flights_detach(c->flights, key, key_hash);\n    guard_note(c->guards[p]", "    guard_note(c->guards[p]")],
    "i1-kill-spares-the-one-before-it": [("    if (row->hard_v > v)\n", "    if (row->hard_v > v + 1)\n")],
    "globs-not-judged": [("bans_count(k->bans) ? judge_bans(k, p, key, v) : ALIVE;", "ALIVE;"),
                         ("    if (bans_count(k->bans))\n        verdict = worse(verdict, judge_bans(k, p, key, v));\n", "    (void)judge_bans;\n")],
    "condition-not-told": [("                                        .condition = fleet_conditions[set->condition],\n", "")],
    "soft-kill-of-a-key-not-told": [("return r->soft ? soften(c, key, key_hash, r->v) :", "return r->soft ? false :")],
    "soft-compared-as-fresh": [("        e->stale |= get->confirmed_stale;\n", "")],
    "c5-older-stays": [("        if (flight_detached(flight))\n            give_way(get, read, outcome);\n", "")],
    "c7-served-for-ever": [("return serves && !e->suspect ? FLAGGED : NOBODY;", "return FLAGGED;")],
    "tag-over-what-came-meanwhile": [(".condition = CACHE_IF_VERSION,", ".condition = CACHE_ALWAYS,")],
    "tag-loses-those-it-had": [("while (copy->tags_count < SHM_TAGS_MAX && ", "while (false && ")],
    "tag-begins-a-new-life": [("    return set->like ? (struct life)", "    return false ? (struct life)")],
    "tag-read-not-exact": [("                           .exact = true, ", "                           .exact = false, ")],
    "tag-makes-fresh": [(".stale = set->like && set->like->stale,", ".stale = false,")],
    "tag-expects-nothing-fresh": [("    return set->like && !set->like->stale;", "    return false;")],
    "tag-elsewhere-not-applied": [("c->setup.warm != NULL : make_way(c, t, found)", "c->setup.warm != NULL : false")],
    "tag-elsewhere-not-waited-for": [("    if (!t->wait_all)\n", "    if (true)\n")],
    "c8-queued-not-applied": [("*ret_unsafe = apply_record(c, change->partition, &r) || kept == TIER_UNSAFE;", "*ret_unsafe = kept == TIER_UNSAFE;")],
    "i11-names-not-judged-when-it-ends": [("    if (verdict == DEAD)\n        return not_found(get, MISS_INVALIDATED);\n    e->stale |=", "    e->stale |=")],
    # units
    "i1-l1-drops-what-is-newer": [("slot != SLOT_NONE && item_of_slot(l1, slot).v < v ? slot", "slot != SLOT_NONE ? slot")],
    "i1-warm-drops-what-is-newer": [("    if (is_newer(w, old, key, v))\n        return op_unsafe(old) ? TIER_UNSAFE : TIER_DONE;\n    bool more", "    bool more")],
    "i4-what-was-pushed-out-is-forgotten": [("    } else if (old > row->floor) {\n        row->floor = old;\n    }", "    }")],
    "i5-what-was-overtaken-fills": [(".valid = !set->lease || !set->lease->overtaken", ".valid = true")],
    "i11-a-change-leaves-before-older-reads": [("bool at_once = list_empty(&w->reads);", "bool at_once = true;")],
    "tag-elsewhere-reads-not-told": [("    flights_detach(c->flights, t->key, key_hash);\n", "")],
    "f15-l1-prolongs-another-version": [("    if (i.v != as->v || shm_item_id(i.shape) != as->id)\n        return TIER_NOT_THERE;\n", "")],
    "f15-warm-prolongs-another-version": [("return change.longer.hard_ns && change.longer.v == v && change.longer.id == id;", "return change.longer.hard_ns;")],
}


def main():
    name, source, target = sys.argv[1:]
    text = open(source).read()
    for old, new in MUTANTS[name]:
        if text.count(old) != 1:
            sys.exit(f"{name}: the text to change is not there exactly once:\n{old}")
        text = text.replace(old, new)
    if "p->soon" in text:  # a place for what is loaded too soon
        text = text.replace("p->soon", "loaded_too_soon").replace(
            "/* ---- R0", "static uint64_t loaded_too_soon;\n/* ---- R0", 1)
    open(target, "w").write(text)


main()
