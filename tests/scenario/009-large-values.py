"""A value too large for shared memory is served by the socket, says so, and lives as long as any other (D9)."""

import wire_client as wire
from scenario import expect, play, until

LARGE = bytes(range(256)) * 1600  # 400 KiB: more than a quarter of the largest segment


def a_value_too_large_for_shared_memory_is_served_by_the_socket_and_says_so(larder):
    larder.start()
    client = larder.client()
    expect(client.set(b"large", LARGE).status, wire.OK)
    client.set(b"small", b"v")
    entry = client.get(b"large")
    expect((entry.status, entry.value == LARGE), (wire.HIT, True))
    assert entry.flags & wire.TOO_BIG_FOR_L1, entry.flags
    assert not client.get(b"small").flags & wire.TOO_BIG_FOR_L1
    expect(larder.cli("get", "--raw", "large", input=b"").stdout == LARGE, True, "by the command")


def a_large_value_takes_the_place_of_a_small_one_and_back(larder):
    larder.start()
    client, puppet = larder.client(), larder.puppet()
    client.set(b"k", b"small")
    until(lambda: puppet.ask("get", "k")[1] == "near", "a near hit")
    client.set(b"k", LARGE)
    expect(puppet.ask("get", "k")[1], "socket", "the small value must not be found in shared memory any more")
    expect(client.get(b"k").value == LARGE, True)
    client.set(b"k", b"small again")
    expect(client.get(b"k").value, b"small again")


def a_large_value_outlives_the_daemon_and_dies_when_invalidated(larder):
    larder.start()
    larder.client().set(b"large", LARGE)
    larder.restart()
    client = larder.client()
    expect(client.get(b"large").value == LARGE, True)
    client.invalidate(keys=[b"large"])
    expect(client.get(b"large").status, wire.MISS)
    larder.kill9()
    larder.start()
    expect(larder.client().get(b"large").status, wire.MISS)


def without_a_warm_tier_a_value_that_fits_nowhere_is_refused_and_the_old_one_goes(larder):
    larder.configure("[namespace default]\nwarm = off\n")
    larder.start()
    client = larder.client()
    client.set(b"k", b"small")
    expect(client.set(b"k", LARGE).status, wire.TOO_BIG)
    expect(client.get(b"k").status, wire.MISS)


KEYS, BATCH = 6000, 200


def middling(n):
    return b"%d " % n + bytes(4000)


def l1_of(client):
    return client.stats()["namespaces"]["default"]["l1"]


HOT = [b"middling:%d" % k for k in range(100)]


def fill_with_middling_values(client, keys):
    """The first ones are read again and again."""
    for n in range(keys.start, keys.stop, BATCH):
        client.mset([client.item(b"middling:%d" % k, middling(k)) for k in range(n, n + BATCH)])
        client.mget(HOT)


def commits(client):
    return client.stats()["namespaces"]["default"]["warm"]["warm_commits"]


def what_is_hot_is_on_disk(client):
    """Nothing else commits anything now.  A round may have begun before the last set: the second one has seen all."""
    until(lambda: client.stats()["namespaces"]["default"]["warm"]["warm_overlay"] == 0, "everything committed")
    before = commits(client)
    until(lambda: commits(client) >= before + 2, "two rounds saved")


def hot_ones_of_l1(client):
    return sum(entry.tier == wire.L1 for entry in client.mget(HOT))


def an_index_made_for_small_entries_finds_its_size_and_the_next_run_knows_it(larder):
    larder.configure("[namespace default]\nl1_bytes = 16MiB\n")
    larder.start()
    client, puppet = larder.client(), larder.puppet()
    expect(l1_of(client)["l1_made_for"], 112)
    fill_with_middling_values(client, range(0, KEYS // 3))
    what_is_hot_is_on_disk(client)
    fill_with_middling_values(client, range(KEYS // 3, KEYS))
    until(lambda: l1_of(client)["l1_refits"] == 1, "an index made anew")
    assert 3900 < l1_of(client)["l1_made_for"] < 4200, l1_of(client)
    until(lambda: "entries are back in L1" in larder.log(), "it is refilled")
    assert hot_ones_of_l1(client) >= 95, "what was hot is where it was"
    for n in range(0, KEYS, BATCH):
        found = client.mget([b"middling:%d" % k for k in range(n, n + BATCH)])
        expect([e.value == middling(k) for k, e in zip(range(n, n + BATCH), found)], [True] * BATCH, "all are served still")
    until(lambda: puppet.ask("get", f"middling:{KEYS - 1}")[1] == "near", "hits without a system call, again")
    larder.restart()
    said = l1_of(larder.client())
    assert 3900 < said["l1_made_for"] < 4200, said
    expect(said["l1_refits"], 0)


play(a_value_too_large_for_shared_memory_is_served_by_the_socket_and_says_so,
     a_large_value_takes_the_place_of_a_small_one_and_back, a_large_value_outlives_the_daemon_and_dies_when_invalidated,
     without_a_warm_tier_a_value_that_fits_nowhere_is_refused_and_the_old_one_goes,
     an_index_made_for_small_entries_finds_its_size_and_the_next_run_knows_it)
