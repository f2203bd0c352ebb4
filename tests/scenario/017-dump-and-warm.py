"""A dump can be loaded again, never over anything newer; a broken one loads nothing wrong."""

import json
import os
import resource
import signal
import subprocess

import tap
import wire_client as wire
from scenario import expect, play, product

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


def tags_come_with_a_dump_and_kill_what_was_loaded(larder):
    larder.start()
    client = larder.client()
    for n in range(40):
        client.set(b"t:%d" % n, b"v", tags=[b"red", b"blue"] if n % 2 else [b"blue"])
    client.set(b"none", b"v")
    path = dump(larder)
    client.invalidate(all=True)
    larder.says("warm", "--file", path)
    expect(client.get(b"t:3", flags=wire.WITH_TAGS).tags, [b"red", b"blue"])
    expect(client.get(b"none", flags=wire.WITH_TAGS).tags, [])
    expect(client.get(b"t:3").tags, [], "a get that did not ask for them")
    client.invalidate(tags=[b"red"])
    expect([client.get(b"t:%d" % n).status for n in range(4)], [wire.HIT, wire.MISS, wire.HIT, wire.MISS])
    expect(client.get(b"none").status, wire.HIT)


def what_is_nowhere_with_its_tags_is_left_out_and_counted(larder):
    larder.configure("[namespace default]\nwarm = off\n")
    larder.start()
    client = larder.client()
    client.set(b"tagged", b"v", tags=[b"red"])
    client.set(b"plain", b"v")
    done = larder.cli("dump", "--json", os.path.join(larder.home, "entries.dump"))
    told = json.loads(done.stdout)
    expect((told["entries"], told["left_out"]), (1, 1))
    assert "left out" in done.stderr, done.stderr


def tags_of_a_tenant_are_told_as_it_names_them(larder):
    larder.start()
    bound = larder.client("default", "acme")
    bound.set(b"acme:k", b"v", tags=[b"red"])
    expect(bound.get(b"acme:k", flags=wire.WITH_TAGS).tags, [b"red"])
    expect(larder.client().get(b"acme:k", flags=wire.WITH_TAGS).tags, [b"acme:red"])


def a_load_that_was_interrupted_goes_on_where_it_was(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    larder.stop()
    stopped = larder.cli("warm", "--file", path, "--resume")
    expect(stopped.returncode, 3)
    assert f"stopped after 0 of {len(before)}" in stopped.stderr, stopped.stderr
    larder.start()
    client = larder.client()
    client.invalidate(all=True)
    told = json.loads(larder.says("warm", "--file", path, "--resume", "--json"))
    expect((told["loaded"], told["before"]), (len(before), 0))
    assert not os.path.exists(path + ".pos")


def no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def a_dump_that_is_killed_leaves_nothing_behind(larder):
    larder.start()
    fill(larder)
    path = dump(larder)
    before, beside = open(path, "rb").read(), sorted(os.listdir(larder.home))
    killed = subprocess.run([product("larder"), "dump", path], env=larder.environment(), capture_output=True, timeout=30, check=False,
                            preexec_fn=no_room)
    expect(killed.returncode, -signal.SIGXFSZ, "the kernel ends it in the midst of its file")
    expect(sorted(os.listdir(larder.home)), beside)
    expect(open(path, "rb").read(), before)


def dump_on_old_files(larder, path, **options):
    """Where a file has a name from its beginning."""
    done = subprocess.run([product("old_files"), product("larder"), "dump", path], env=larder.environment(), capture_output=True,
                          timeout=30, check=False, **options)
    if done.returncode == 77:
        raise tap.Skip("system calls cannot be filtered here")
    return done


def where_files_need_a_name_a_dump_is_as_whole(larder):
    larder.start()
    before = fill(larder)
    path = os.path.join(larder.home, "entries.dump")
    beside = sorted(os.listdir(larder.home))
    expect(dump_on_old_files(larder, path).returncode, 0)
    expect(sorted(os.listdir(larder.home)), sorted([*beside, "entries.dump"]))
    larder.client().invalidate(all=True)
    expect(json.loads(larder.says("warm", "--file", path, "--json"))["loaded"], len(before))


def where_files_need_a_name_a_killed_dump_leaves_one_for_the_next_to_write_over(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    whole, beside = open(path, "rb").read(), sorted(os.listdir(larder.home))
    killed = dump_on_old_files(larder, path, preexec_fn=no_room)
    expect(killed.returncode, -signal.SIGXFSZ, "the kernel ends it in the midst of its file")
    expect(sorted(os.listdir(larder.home)), sorted([*beside, "entries.dump.tmp"]))
    expect(open(path, "rb").read(), whole)
    expect(dump_on_old_files(larder, path).returncode, 0)
    expect(sorted(os.listdir(larder.home)), beside)
    larder.client().invalidate(all=True)
    expect(json.loads(larder.says("warm", "--file", path, "--json"))["loaded"], len(before))


def what_an_older_one_left_beside_the_file_is_no_obstacle(larder):
    larder.start()
    fill(larder)
    left = os.path.join(larder.home, "entries.dump.tmp")
    with open(left, "wb") as file:
        file.write(b"half a dump")
    path = dump(larder)
    assert not os.path.exists(left)
    larder.says("warm", "--file", path)


def on_a_terminal_a_load_shows_how_far_it_is(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    terminal, other = os.openpty()
    done = subprocess.run([product("larder"), "warm", "--file", path], env=larder.environment(), stdout=subprocess.DEVNULL, stderr=other,
                          timeout=30, check=False)
    os.close(other)
    said = b""
    while b"\n" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    expect(done.returncode, 0)
    bars = said.decode().replace("\r\n", "").strip("\r").split("\r")
    expect(bars[-1], f"[{'#' * 30}] {len(before)}/{len(before)}")
    in_a_pipe = larder.cli("warm", "--file", path)
    expect(in_a_pipe.stderr, "", "no bar where nobody looks on")


def peak_of(larder, *words):
    """MiB that a command needed at most, and that it ended well."""
    pid = os.posix_spawn(product("larder"), ["larder", *words], larder.environment(),
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(pid, 0)
    expect(os.waitstatus_to_exitcode(status), 0, words[0])
    return used.ru_maxrss / 1024


def a_dump_of_any_size_needs_as_much_memory(larder):
    if "ASAN_OPTIONS" in os.environ:
        raise tap.Skip("a sanitizer keeps what is freed")
    larder.configure("[namespace default]\nl1_bytes = 64MiB\nwarm_bytes = 256MiB\n")
    larder.start()
    client = larder.client()
    path = os.path.join(larder.home, "entries.dump")
    peaks = []
    for count in [20, 120]:  # 10 and 60 MB, which no packing makes smaller
        for n in range(count):
            client.set(b"large:%d" % n, os.urandom(500000), ttl_ms=600000)
        made = peak_of(larder, "dump", path)
        client.invalidate(all=True)
        peaks.append((made, peak_of(larder, "warm", "--file", path)))
    assert all(large < small + 16 for small, large in zip(*peaks)), f"MiB of dump and warm, of 10 MB and of 60 MB: {peaks}"


def what_was_gone_through_before_an_interruption_is_not_brought_back_after_it(larder):
    larder.start()
    before = fill(larder)
    path = dump(larder)
    larder.stop()
    larder.cli("warm", "--file", path, "--resume")
    with open(path + ".pos", encoding="utf-8") as file:
        line = file.read()
    with open(path + ".pos", "w", encoding="utf-8") as file:
        file.write(line.replace(" 0 .", " 150 .").ljust(128)[:128])
    larder.start()
    larder.client().invalidate(all=True)
    told = json.loads(larder.says("warm", "--file", path, "--resume", "--json"))
    expect((told["loaded"], told["before"]), (len(before) - 150, 150))
    client = larder.client()
    expect(sum(client.get(key).status == wire.HIT for key in before), len(before) - 150)


def a_missing_file_is_a_clear_error(larder):
    larder.start()
    done = larder.cli("warm", "--file", os.path.join(larder.home, "nowhere"))
    assert done.returncode != 0 and "nowhere" in done.stderr, done


play(a_dump_loaded_into_an_empty_cache_brings_everything_back, a_dump_of_a_prefix_has_only_that_prefix,
     loading_never_overwrites_what_is_there, a_truncated_or_corrupt_dump_is_refused_and_brings_nothing_wrong,
     a_missing_file_is_a_clear_error, tags_come_with_a_dump_and_kill_what_was_loaded,
     what_is_nowhere_with_its_tags_is_left_out_and_counted, tags_of_a_tenant_are_told_as_it_names_them,
     a_load_that_was_interrupted_goes_on_where_it_was, a_dump_that_is_killed_leaves_nothing_behind,
     where_files_need_a_name_a_dump_is_as_whole,
     where_files_need_a_name_a_killed_dump_leaves_one_for_the_next_to_write_over,
     what_an_older_one_left_beside_the_file_is_no_obstacle,
     what_was_gone_through_before_an_interruption_is_not_brought_back_after_it, on_a_terminal_a_load_shows_how_far_it_is,
     a_dump_of_any_size_needs_as_much_memory)
