#!/usr/bin/env python3
"""Writes a copy of shm_view.c with one step of the reader out of order or left out.

usage: mutate.py NAME SOURCE TARGET.  Each change names text that must be there exactly once: when the reader is
rewritten, this fails loudly instead of testing nothing."""
import sys

R0 = "    take_promises(v, p, f);\n    return look(v, p, f, hash);\n"
R4 = "SHM_RELAXED(p->gen_at) == p->gen && SHM_RELAXED(p->slot_at) == p->slot; /* R4 */"
R2 = "    if (SHM_ACQUIRE(slot_at) != slot) /* R2 */\n        return LOOK_RACE;\n"
BORN = "    p->born = SHM_ACQUIRE(&item->born); /* before life: see R1 in shm.h */\n"
LIFE = "    p->life = SHM_RELAXED(&item->life);\n"
KILL = "    if (born < SHM_ACQUIRE(&h->last_kill) && cells_kill(v, p))\n        return SHM_ASK_KILLED;\n"
FLOOR = "    if (born < SHM_ACQUIRE(&h->floor_seq))\n        return SHM_ASK_FLOOR;\n"
LOCAL = "    if (p->life & SHM_LIFE_LOCAL && born < SHM_ACQUIRE(&h->local_floor))\n        return SHM_ASK_FLOOR;\n"
SWEEPS = "SHM_RELAXED(&h->sweeps) == p->sweeps ? NOTHING_AGAINST_IT : SHM_ASK_RACE"
KEY = "    if (!shm_same(key, p->key.data, p->key.size))\n        return LOOK_NO;\n"
OBJECTION = "    return reason != NOTHING_AGAINST_IT ? reason : outdated(v, p, f);\n"

MUTANTS = {
    "r0-after-lookup": [(R0, "    enum look found = look(v, p, f, hash);\n    take_promises(v, p, f);\n    return found;\n")],
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
    "r5-without-sweeps": [(SWEEPS, "NOTHING_AGAINST_IT")],
    "life-before-born": [(BORN, ""), (LIFE, LIFE + BORN)],
    "key-not-compared": [(KEY, "")],
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
