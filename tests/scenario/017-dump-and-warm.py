"""A dump can be loaded again, never over anything newer; a broken one loads nothing wrong."""

import os

import wire_client as wire
from scenario import expect, play

COUNT = 200


def fill(larder):
    client = larder.client()
    client.mset([client.item(b"k:%d" % n, os.urandom(100) + b"%d" % n, ttl_ms=600000, stale_ms=0, user_flags=n)
                 for n in range(COUNT)])
    client.set(b"other", bytes(range(256)))
    return {key: client.get(key) for key in [b"k:%d" % n for n in range(COUNT)] + [b"other"]}


def dump(larder, *arguments):
    path = os.path.join(larder.home, "entries.dump")
    larder.says("dump", *arguments, path)
    return path


def a_dump_loaded_into_an_empty_cache_brings_everything_back(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    larder.client().invalidate(all=True)
    larder.says("warm", "--file", path)
    client = larder.client()
    for key, entry in before.items():
        now = client.get(key)
        expect((now.status, now.value, now.user_flags), (wire.HIT, entry.value, entry.user_flags), repr(key))
        assert now.ttl_ms <= entry.ttl_ms, "a dump prolonged a life"


def a_dump_of_a_prefix_has_only_that_prefix(larder):
    larder.start()
    fill(larder)
    path = dump(larder, "--prefix", "k:")
    larder.client().invalidate(all=True)
    larder.says("warm", "--file", path)
    client = larder.client()
    expect((client.get(b"k:7").status, client.get(b"other").status), (wire.HIT, wire.MISS))


def loading_never_overwrites_what_is_there(larder):
    larder.start()
    fill(larder)
    path = dump(larder)
    client = larder.client()
    client.set(b"k:1", b"newer")
    larder.says("warm", "--file", path)
    expect(client.get(b"k:1").value, b"newer")


def a_truncated_or_corrupt_dump_is_refused_and_brings_nothing_wrong(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    whole = open(path, "rb").read()
    middle = len(whole) // 2
    broken = {"truncated": whole[:middle], "flipped": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1:],
              "empty": b"", "foreign": b"no dump at all" * 100, "longer": whole + b"tail"}
    for name, data in broken.items():
        larder.client().invalidate(all=True)
        with open(path, "wb") as file:
            file.write(data)
        done = larder.cli("warm", "--file", path)
        assert done.returncode not in (0, 1), f"{name}: ended with {done.returncode}: {done.stdout}"
        assert done.stderr.strip(), f"{name}: no word about it"
        client = larder.client()
        for key, entry in before.items():
            now = client.get(key)
            assert now.status == wire.MISS or now.value == entry.value, f"{name}: {key} is wrong"


def a_missing_file_is_a_clear_error(larder):
    larder.start()
    done = larder.cli("warm", "--file", os.path.join(larder.home, "nowhere"))
    assert done.returncode != 0 and "nowhere" in done.stderr, done


play(a_dump_loaded_into_an_empty_cache_brings_everything_back, a_dump_of_a_prefix_has_only_that_prefix,
     loading_never_overwrites_what_is_there, a_truncated_or_corrupt_dump_is_refused_and_brings_nothing_wrong,
     a_missing_file_is_a_clear_error)
