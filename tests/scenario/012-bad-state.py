"""A bad medium costs the warm tier, never the service, and never what was acknowledged."""

import glob
import os
import random
import subprocess

import wire_client as wire
from scenario import NOBODY, expect, play, until
from tap import Skip

TMPFS_BYTES = 6 << 20


def status(larder):
    return larder.client().health()["status"]


def serves(larder):
    client = larder.client()
    expect(client.set(b"probe", b"v").status, wire.OK)
    expect(client.get(b"probe").value, b"v")
    expect(client.invalidate(keys=[b"probe"]).status, wire.OK)
    expect(client.get(b"probe").status, wire.MISS)


def a_state_directory_that_cannot_be_written_means_degraded_service(larder):
    if os.getuid() == 0:
        os.chown(larder.home, NOBODY, NOBODY)
    os.mkdir(larder.state)
    os.chmod(larder.state, 0o555)
    larder.start(uid=NOBODY if os.getuid() == 0 else None)
    expect(status(larder), "degraded")
    serves(larder)


def a_state_path_that_is_a_file_means_degraded_service(larder):
    with open(larder.state, "w", encoding="ascii") as file:
        file.write("no directory")
    larder.start()
    expect(status(larder), "degraded")
    serves(larder)


def database(larder):
    found = [p for p in glob.glob(larder.state + "/**/*.mdb", recursive=True) if "lock" not in os.path.basename(p)]
    expect(len(found), 1, f"database files in {larder.state}")
    return found[0]


def flip(path, seed, count):
    chance = random.Random(seed)
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        for _ in range(count):
            at = chance.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << chance.randrange(8))]))


def fill(larder, count=300):
    client = larder.client()
    for n in range(count):
        client.set(b"k%d" % n, b"value of %d " % n * 20)
    client.invalidate(keys=[b"k0"])


def every_hit_is_right(larder, count=300):
    """A flipped byte may cost an entry, and never makes a wrong one."""
    client = larder.client()
    hits = 0
    for n in range(count):
        entry = client.get(b"k%d" % n)
        if entry.status == wire.HIT:
            expect(entry.value, b"value of %d " % n * 20)
            hits += 1
    expect(client.get(b"k0").status, wire.MISS, "invalidated before")
    return hits


def a_corrupt_database_costs_entries_and_never_gives_wrong_ones(larder):
    larder.start()
    fill(larder)
    larder.stop()
    for seed in range(8):
        flip(database(larder), seed, 20 * 4**(seed % 4))
        larder.start()
        every_hit_is_right(larder)
        serves(larder)
        fill(larder)
        larder.stop()


def a_destroyed_database_is_moved_aside_and_a_new_one_begun(larder):
    larder.start()
    fill(larder)
    larder.stop()
    path = database(larder)
    with open(path, "r+b") as file:
        file.write(os.urandom(64 * 1024))
    larder.start()
    serves(larder)
    kept = [p for p in glob.glob(larder.state + "/**", recursive=True) if os.path.isfile(p)]
    assert any("corrupt" in p or "bad" in p or "aside" in p or "broken" in p for p in kept), kept
    fill(larder)
    larder.restart()
    expect(every_hit_is_right(larder), 299, "entries kept in the new database")


def a_truncated_database_is_survived(larder):
    larder.start()
    fill(larder)
    larder.stop()
    path = database(larder)
    os.truncate(path, os.path.getsize(path) // 2)
    larder.start()
    every_hit_is_right(larder)
    serves(larder)


def on_a_small_disk(larder, case):
    """Runs `case` with the state on a tmpfs of its own, which can be filled to the last byte."""
    os.mkdir(larder.state)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "larder-test", larder.state],
                           capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        raise Skip("mounting a small tmpfs is not permitted here")
    try:
        case(larder)
    finally:
        if larder.daemon and larder.daemon.poll() is None:
            larder.kill9()
        subprocess.run(["umount", larder.state], check=True)


def fill_up(larder):
    with open(os.path.join(larder.state, "filler"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass


def a_disk_full_from_the_start_means_degraded_service(larder):
    on_a_small_disk(larder, full_from_the_start)


def full_from_the_start(larder):
    fill_up(larder)
    larder.start()
    expect(status(larder), "degraded")
    serves(larder)


def on_a_disk_that_fills_up_nothing_acknowledged_un_happens(larder):
    on_a_small_disk(larder, filling_up)


def filling_up(larder):
    larder.start()
    client, values = larder.client(), {}
    for n in range(3 * TMPFS_BYTES // 8192):
        key = b"k%d" % (n % 400)
        values[key] = b"%d:" % n + os.urandom(4096)
        expect(client.set(key, values[key]).status, wire.OK)
        if n % 5 == 0:
            expect(client.invalidate(keys=[key]).status, wire.OK)
            values[key] = None
        if n == TMPFS_BYTES // 8192:
            fill_up(larder)
    until(lambda: commits_failed(client, values), "commits failed: the disk is full")
    for key in [b"k1", b"k2"]:
        expect(client.set(key, b"last").status, wire.OK)
        values[key] = b"last"
    expect(client.invalidate(keys=[b"k2"]).status, wire.OK)
    values[b"k2"] = None
    never_older(larder, values)
    larder.kill9()
    larder.start()
    never_older(larder, values)
    serves(larder)


def commits_failed(client, values):
    """Pages that were freed take what is set again; what is new needs new ones, sooner or later."""
    for _ in range(20):
        key = b"new%d" % len(values)
        values[key] = os.urandom(4096)
        expect(client.set(key, values[key]).status, wire.OK)
    return client.stats()["namespaces"]["default"]["warm"]["warm_commits_failed"]


def never_older(larder, values):
    client = larder.client()
    for key, value in values.items():
        entry = client.get(key)
        assert entry.status == wire.MISS or entry.value == value, f"{key}: an older value came back"


play(a_state_directory_that_cannot_be_written_means_degraded_service, a_state_path_that_is_a_file_means_degraded_service,
     a_corrupt_database_costs_entries_and_never_gives_wrong_ones, a_destroyed_database_is_moved_aside_and_a_new_one_begun,
     a_truncated_database_is_survived, a_disk_full_from_the_start_means_degraded_service,
     on_a_disk_that_fills_up_nothing_acknowledged_un_happens)
