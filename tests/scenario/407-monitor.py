"""MONITOR and `larder monitor`: what is asked of the daemon, as it ends; who watches slows nobody and sees no more than he may."""

import json
import multiprocessing
import os
import pty
import re
import signal
import subprocess
from collections import Counter

import wire_client as wire
from scenario import die_with_parent, expect, play, until
from tree import product

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def at_once(larder, count, work):
    """`work(client, number)` in that many processes at a time."""
    def one(number):
        with wire.Client(larder.socket, seconds=60) as client:
            work(client, number)
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=one, args=(number,), daemon=True) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        expect(process.exitcode, 0, "exit code of a process of the workload")
    return [process.pid for process in processes]


def watch_until(watcher, seen, count):
    """Asks until that many were told of or counted."""
    left_out = 0

    def enough():
        nonlocal left_out
        answer = watcher.monitor(wait_ms=100)
        seen.extend(answer.operations)
        left_out += answer.left_out
        return len(seen) + left_out >= count
    until(enough, f"{count} operations are told of or counted", seconds=30)
    return left_out


def every_operation_of_four_processes_is_a_line(larder):
    larder.start()
    watcher, seen = larder.client(), []
    watcher.monitor()

    def work(client, number):
        for i in range(10):
            key = b"%d:%d" % (number, i)
            client.set(key, b"v" * (i + 1), ttl_ms=60000)
            client.get(key, trace=TRACE)
            client.get(b"no" + key)
    pids = at_once(larder, 4, work)
    expect(watch_until(watcher, seen, 120), 0, "left out")
    wanted = Counter()
    for number, pid in enumerate(pids):
        for i in range(10):
            key = b"%d:%d" % (number, i)
            wanted[("set", key, wire.OK, 0, 0, i + 1, pid, "")] += 1
            wanted[("get", key, wire.HIT, 0, wire.L1, i + 1, pid, TRACE)] += 1
            wanted[("get", b"no" + key, wire.MISS, 1, 0, 0, pid, "")] += 1
    expect(Counter((o.op, o.name, o.status, o.reason, o.tier, o.bytes, o.pid, o.trace) for o in seen), wanted)
    assert all(o.named == wire.KEY and o.names == 1 and o.client == "wire_client.py" for o in seen)
    assert all(0 < o.took_ns < 60e9 for o in seen)


def of_more_than_can_be_told_every_one_is_counted(larder):
    larder.start()
    watcher, seen = larder.client(), []
    watcher.monitor(ops=["get"])
    keys = [b"key:%d" % i for i in range(1000)]
    rounds, left_out = 30, 0

    def work(client, number):
        for _ in range(rounds):
            client.mget(keys)
            client.set(b"other", b"v")

    def ask():
        nonlocal left_out
        answer = watcher.monitor(ops=["get"], wait_ms=100)
        seen.extend(answer.operations)
        left_out += answer.left_out
        assert len(answer.operations) <= 128
        return len(seen) + left_out >= 2 * rounds * len(keys)
    worker = multiprocessing.get_context("fork").Process(target=at_once, args=(larder, 2, work))
    worker.start()
    until(ask, "all gets are told of or counted", seconds=60)
    worker.join()
    expect(len(seen) + left_out, 2 * rounds * len(keys))
    assert left_out and {o.op for o in seen} == {"get"}


def a_watcher_that_does_not_read_costs_no_more_and_holds_nobody_up(larder):
    larder.start()
    slow, stuck, keys = larder.client(), larder.client(), [b"k" * 900 + b"%d" % i for i in range(100)]
    slow.monitor()
    stuck.monitor()
    stuck.send_monitor(wait_ms=5000)
    worker = larder.client()
    before = None
    for _ in range(6):  # who asks for nothing for 15 s is forgotten, and a starved machine may need them for less
        for _ in range(100):
            worker.mget(keys)
        before = before or larder.status_bytes("VmRSS")
        answer = slow.monitor()
        expect((len(answer.operations), len(answer.operations) + answer.left_out), (128, 10000))
    assert larder.status_bytes("VmRSS") < before + (2 << 20), "memory grew with what nobody read"
    for _ in range(50):
        stuck.send_monitor(wait_ms=5000)
    expect(worker.get(b"k").status, wire.MISS)


def a_bound_watcher_sees_its_own_keys_and_no_one_elses(larder):
    larder.configure("[namespace default]\n[namespace other]\n")
    larder.start()
    watcher, own, all_of_them = larder.client(tenant="a"), larder.client(tenant="a"), larder.client()
    watcher.monitor()
    all_of_them.set(b"b:k", b"v")
    all_of_them.invalidate(keys=[b"b:1", b"a:1"], tags=[b"b:t"])
    all_of_them.invalidate(all=True)
    all_of_them.invalidate(globs=[b"*:secret"])
    larder.client("other").set(b"a:elsewhere", b"v")
    own.get(b"b:k")
    own.get(b"a:k")
    own.invalidate(tags=[b"t"])
    own.invalidate(all=True)
    seen = []
    watch_until(watcher, seen, 4)
    expect([(o.op, o.named, o.name, o.names, bool(o.pid)) for o in seen],
           [("invalidate", wire.KEY, b"a:1", 1, False), ("get", wire.KEY, b"a:k", 1, True),
            ("invalidate", wire.TAG, b"a:t", 1, True), ("invalidate", wire.PREFIX, b"a:", 1, True)])


def hits_in_shared_memory_are_counted(larder):
    larder.start()
    puppet, watcher = larder.puppet(), larder.client()
    puppet.ask("set", "k", "v")
    until(lambda: puppet.ask("get", "k")[1] == "near", "the puppet hits in shared memory")
    watcher.monitor()
    watcher.monitor()
    for _ in range(321):
        expect(puppet.ask("get", "k")[:2], ["HIT", "near"])
    answer = watcher.monitor()
    expect((answer.near_hits, answer.operations), (321, []))


def begin_command(larder, *arguments, **options):
    child = subprocess.Popen([product("larder"), *arguments], env=larder.environment(), preexec_fn=die_with_parent, **options)
    larder.others.append(child)
    until(lambda: larder.client().stats() and watchers(larder), "the command watches")
    return child


def watchers(larder):
    """Nobody but the command asks for something here: its requests are counted."""
    log = larder.client().stats()["sessions"]
    return log["requests_look"] and log["requests_in_flight"]


def the_command_prints_lines_for_programs(larder):
    larder.start()
    watching = begin_command(larder, "monitor", "--op", "get,set", "--glob", "u:*", "--count", "3", stdout=subprocess.PIPE, text=True)
    client = larder.client()
    client.set(b"u:1", b"hello", ttl_ms=5000)
    client.get(b"other")
    client.get(b"u:\x1b[31m\n")
    client.invalidate(keys=[b"u:1"])
    client.get(b"u:1", trace=TRACE)
    out, _ = watching.communicate(timeout=60)
    rows = [line.split("\t") for line in out.splitlines()]
    expect(watching.returncode, 0)
    expect([(r[1], r[2], r[3], r[4], r[6], r[8], r[9], r[10]) for r in rows],
           [("set", "OK", "", "", "5", "key", "u:1", ""), ("get", "MISS", "cold", "", "0", "key", "u:\\x1b[31m\\n", ""),
            ("get", "MISS", "invalidated", "", "0", "key", "u:1", TRACE)])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", r[0]) for r in rows), rows


def the_command_prints_objects_and_ends_at_an_interrupt(larder):
    larder.start()
    watching = begin_command(larder, "--json", "monitor", stdout=subprocess.PIPE, text=True)
    client = larder.client()
    client.set(b"k", b"v")
    client.get(b"\xff\xfe")
    lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
    expect([(line["op"], line.get("name"), line.get("name_base64")) for line in lines], [("set", "k", None), ("get", None, "//4=")])
    watching.send_signal(signal.SIGINT)
    expect(watching.wait(timeout=20), 0)


def drained(terminal):
    """All that was written to a terminal whose other end is closed; it comes in pieces."""
    data = b""
    try:
        while more := os.read(terminal, 65536):
            data += more
    except OSError:
        pass
    os.close(terminal)
    return data


def on_a_terminal_it_says_what_it_cannot_see(larder):
    larder.start()
    mine, its = pty.openpty()
    watching = begin_command(larder, "monitor", "--count", "1", stdin=its, stdout=its, stderr=its)
    os.close(its)
    larder.client().get(b"k\x1b]0;")
    expect(watching.wait(timeout=20), 0)
    text = drained(mine).decode()
    head, columns, line = text.replace("\r", "").splitlines()[:3]
    assert "shared memory" in head, head
    assert re.search(r"time +op +result +tier +us +bytes +client +name", columns), columns
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6}  get +MISS cold +\d+\.\d +wire_client.py  k\\x1b\]0;", line), line


def what_means_nothing_is_refused_and_a_daemon_that_goes_is_told(larder):
    larder.start()
    expect(larder.cli("monitor", "--op", "put").returncode, 2)
    expect(larder.cli("monitor", "--glob", "a**").returncode, 2)
    expect(larder.cli("monitor", "--count", "0").returncode, 2)
    watching = begin_command(larder, "monitor", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    larder.kill9()
    _, said = watching.communicate(timeout=60)
    expect(watching.returncode, 3, said)


def at_debug_every_operation_is_a_line_of_the_log(larder):
    larder.configure("[namespace default]\n[namespace closed]\nsecret = on\n")
    larder.start("--log-level", "debug")
    client = larder.client()
    client.set(b"user:1", b"not to be seen", ttl_ms=300000)
    client.get(b"user:1", trace=TRACE)
    client.get(b"user:2", trace="nonsense")
    client.invalidate(globs=[b"*:dashboard"])
    larder.client("closed").get(b"a name")
    lines = [line for line in map(json.loads, larder.log().splitlines()) if "op" in line]
    for line in lines:
        assert line.pop("us") > 0 and line.pop("ts") and line.pop("level") == "debug"
    expect(lines, [{"op": "set", "key": "user:1", "result": "OK", "ttl": "300s"},
                   {"op": "get", "key": "user:1", "result": "HIT", "tier": "l1", "trace": TRACE},
                   {"op": "get", "key": "user:2", "result": "MISS", "reason": "cold"},
                   {"op": "invalidate", "glob": "*:dashboard", "result": "OK", "dropped": 0},
                   {"op": "get", "key": "(secret)", "result": "MISS", "reason": "cold"}])
    assert "not to be seen" not in larder.log() and "a name" not in larder.log()


play(every_operation_of_four_processes_is_a_line, of_more_than_can_be_told_every_one_is_counted,
     a_watcher_that_does_not_read_costs_no_more_and_holds_nobody_up, a_bound_watcher_sees_its_own_keys_and_no_one_elses,
     hits_in_shared_memory_are_counted, the_command_prints_lines_for_programs, the_command_prints_objects_and_ends_at_an_interrupt,
     on_a_terminal_it_says_what_it_cannot_see, what_means_nothing_is_refused_and_a_daemon_that_goes_is_told,
     at_debug_every_operation_is_a_line_of_the_log)
