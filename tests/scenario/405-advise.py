"""larder advise: what half and half more memory would do, beside what they do; lives that end in vain; when it cannot say."""

import json
import random

import wire_client as wire
from scenario import expect, play, until

SPACE = "[namespace default]\nwarm = off\nl1_entry_bytes = 112B\nl1_bytes = %dMiB\n"
KEYS, BATCH, BATCHES, VALUE = 9000, 50, 1000, bytes(1800)
BOUND = 0.03


def advice(larder, **wanted):
    rows = [json.loads(line) for line in larder.cli("--json", "advise").stdout.splitlines()]
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


def skewed():
    """A few keys are asked for often, many now and then: the same stream each time."""
    chance = random.Random(4)
    for _ in range(BATCHES):
        yield [b"k:%d" % int(KEYS * chance.random() ** 2.5) for _ in range(BATCH)]


def miss_ratio(larder, mib):
    """Reads through a cache of that size; what was not found is stored."""
    larder.configure(SPACE % mib)
    larder.start()
    client, missed = larder.client(), 0
    for keys in skewed():
        absent = {k for k, e in zip(keys, client.mget(keys)) if e.status == wire.MISS}
        missed += sum(k in absent for k in keys)
        if absent:
            client.mset([client.item(k, VALUE) for k in sorted(absent)])
    return missed / (BATCH * BATCHES)


def half_and_half_more_do_what_it_says(larder):
    now = miss_ratio(larder, 8)
    said = {row["times"]: row for row in advice(larder, kind="memory")}
    assert abs(said[1.5]["l1_miss_ratio_now"] - now) < 0.02, (said, now)
    for times, mib in ((0.5, 4), (1.5, 12)):
        larder.stop()
        true = miss_ratio(larder, mib)
        print(f"# {mib} MiB: said {said[times]['l1_miss_ratio']:.4f} ± {said[times]['error']:.4f}, true {true:.4f}, with 8 MiB {now:.4f}")
        assert abs(said[times]["l1_miss_ratio"] - true) < BOUND, (times, said, true)
    expect(said[1.5]["line"], "[namespace default] l1_bytes = 12MiB")


def fill_with_large(client):
    for n in range(0, 8000, BATCH):
        client.mset([client.item(b"large:%d" % k, bytes(4000)) for k in range(n, n + BATCH)])
    return client.stats()["namespaces"]["default"]["l1"]["l1_entries"]


def entries_when_full(larder, line):
    larder.configure("[namespace default]\nwarm = off\nl1_bytes = 16MiB\n" + line)
    larder.start()
    return fill_with_large(larder.client())


def an_index_told_to_be_for_smaller_entries_is_told_of_and_the_line_makes_room(larder):
    before = entries_when_full(larder, "l1_entry_bytes = 112B\n")
    said, = advice(larder, kind="index")
    expect(said["line"], "[namespace default] l1_entry_bytes = 0")
    larder.stop()
    entries_when_full(larder, said["line"].split("] ")[1] + "\n")
    client = larder.client()
    until(lambda: client.stats()["namespaces"]["default"]["l1"]["l1_refits"] == 1, "an index made anew")
    assert fill_with_large(client) > 1.05 * before
    expect(advice(larder, kind="index"), [])


def an_idle_daemon_says_that_it_has_seen_too_little(larder):
    larder.start()
    answer = larder.cli("advise")
    expect(answer.returncode, 1)
    assert "too little was seen" in answer.stdout, answer


def hits_in_shared_memory_are_heard(larder):
    larder.start()
    reader = larder.puppet()
    larder.client().set(b"k", b"v")
    until(lambda: reader.ask("get", "k")[1] == "near", "a hit in shared memory")
    before = advice(larder, kind="little_seen")[0]

    def heard():
        for _ in range(100):
            expect(reader.ask("get", "k")[1], "near")
        now = advice(larder, kind="little_seen")[0]
        return now["seen"] > before["seen"] and now["uses"] >= before["uses"] + 100

    until(heard, "they are counted, and seen")


def a_curve_that_is_switched_off_says_nothing(larder):
    larder.configure("[namespace default]\nl1_curve = off\n")
    larder.start()
    expect((larder.cli("advise").returncode, advice(larder)), (0, []))


def lives_that_end_in_vain_are_told_with_the_line_to_change(larder):
    larder.configure("[policy short]\npattern = short:*\nttl = 100ms\n[policy other]\npattern = other:*\nttl = 100ms\n")
    larder.start()
    client = larder.client()

    def round_of(policy, value):
        keys = [b"%s:%d" % (policy, i) for i in range(50)]
        client.mset([client.item(k, value) for k in keys])
        until(lambda: client.get(keys[-1]).status == wire.MISS, "their end")
        for key in keys:
            client.get(key)

    for n in range(5):
        round_of(b"short", b"always the same")
        round_of(b"other", b"another one: %d" % n)
    found = advice(larder, kind="ttl")
    expect([(row["scope"], row["line"]) for row in found], [("default/short", "[policy short] ttl = 200ms")])
    expect((found[0]["came_back_same"], found[0]["came_back"]), (200, 200))


play(half_and_half_more_do_what_it_says, an_index_told_to_be_for_smaller_entries_is_told_of_and_the_line_makes_room,
     an_idle_daemon_says_that_it_has_seen_too_little, hits_in_shared_memory_are_heard, a_curve_that_is_switched_off_says_nothing,
     lives_that_end_in_vain_are_told_with_the_line_to_change)
