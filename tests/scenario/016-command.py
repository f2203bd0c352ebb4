"""The command: exit codes, three forms of output, values from the standard input, clear words for mistakes."""

import json
import os
import pty
import re
import signal
import subprocess

from scenario import expect, play, until
from tree import product

DONE, NEGATIVE, USAGE, UNREACHABLE, DAEMON, TIMED_OUT = range(6)


def code(larder, *arguments, **options):
    return larder.cli(*arguments, **options).returncode


def exit_codes_tell_what_happened(larder):
    expect(code(larder, "get", "k"), UNREACHABLE, "no daemon")
    expect(code(larder, "ping"), UNREACHABLE, "ping without a daemon")
    larder.start()
    expect(code(larder, "ping"), DONE)
    expect(code(larder, "get", "k"), NEGATIVE, "miss")
    expect(code(larder, "set", "k", "v"), DONE)
    expect(code(larder, "get", "k"), DONE, "hit")
    expect(code(larder, "set", "k", "w", "--if-absent"), NEGATIVE)
    expect(code(larder, "touch", "nobody", "5m"), NEGATIVE)
    expect(code(larder, "nonsense"), USAGE)
    expect(code(larder, "set", "k"), USAGE)
    expect(code(larder, "-n", "nowhere", "get", "k") in (USAGE, DAEMON), True, "no such namespace")


def a_stopped_daemon_is_a_time_out(larder):
    larder.start()
    larder.signal(signal.SIGSTOP)
    said = larder.cli("--timeout", "200ms", "set", "k", "v")
    expect(said.returncode, TIMED_OUT)
    assert "may or may not" in said.stderr, said.stderr
    said = larder.cli("--timeout", "200ms", "health")
    expect(said.returncode, TIMED_OUT)
    assert "larderd hangs" in said.stderr, said.stderr
    said = larder.cli("--json", "health")  # within 700 ms, says its help
    told = json.loads(said.stdout)
    expect((said.returncode, told["status"], told["score"], told["daemon"]), (TIMED_OUT, "failing", 0, "silent"))
    larder.signal(signal.SIGCONT)
    larder.stop()
    said = larder.cli("--json", "health")
    expect((said.returncode, json.loads(said.stdout)["daemon"]), (UNREACHABLE, "absent"))


def a_value_may_come_from_the_standard_input_and_go_out_raw(larder):
    larder.start()
    value = bytes(range(256)) * 10
    expect(larder.cli("set", "k", "-x", input=value).returncode, DONE)
    expect(larder.cli("get", "--raw", "k", input=b"").stdout, value)


def a_pipe_gets_a_line_a_key(larder):
    larder.start()
    larder.says("set", "a", "1")
    larder.says("set", "b", "2")
    lines = larder.says("get", "a", "b", "c", code=NEGATIVE).splitlines()
    expect(len(lines), 3)
    assert lines[0].startswith("a\t") and "1" in lines[0].split("\t"), lines


def json_is_one_object_a_line(larder):
    larder.start()
    larder.says("set", "a", "1")
    objects = [json.loads(line) for line in larder.says("--json", "get", "a", "b", code=NEGATIVE).splitlines()]
    expect(len(objects), 2)
    expect([o["key"] for o in objects], ["a", "b"])
    for verb in [["stats"], ["health"], ["explain", "a"], ["set", "c", "3"], ["invalidate", "c"], ["keys"], ["ttl", "a"]]:
        for line in larder.says("--json", *verb).splitlines():
            assert isinstance(json.loads(line), dict), f"{verb}: {line}"


def on_a_terminal(larder, *arguments, env=None):
    controller, terminal = pty.openpty()
    child = subprocess.Popen([product("larder"), *arguments], stdin=terminal, stdout=terminal, stderr=terminal,
                             env=larder.environment(TERM="xterm", **(env or {})))
    os.close(terminal)
    output = b""
    try:
        while more := os.read(controller, 65536):
            output += more
    except OSError:
        pass
    os.close(controller)
    child.wait(timeout=60)
    return output.decode()


def a_terminal_gets_aligned_text_and_no_color_is_honoured(larder):
    larder.start()
    larder.says("set", "a", "1")
    shown = on_a_terminal(larder, "stats", env={"NO_COLOR": "1"})
    assert "l1" in shown.lower() and "\x1b[" not in shown, shown
    assert not shown.lstrip().startswith("{"), "JSON on a terminal"
    assert "\x1b[" not in larder.says("stats"), "colours in a pipe"


def a_warming_on_a_terminal_shows_how_far_it_is(larder):
    larder.start()
    larder.says("set", "user:1", "v")
    larder.says("set", "user:2", "v")
    shown = on_a_terminal(larder, "warm", "--prefix", "user:")
    assert re.search(r"\r\[#{30}\] 2/2  \d+ keys/s", shown), repr(shown)
    assert "already there" in shown.splitlines()[-1], repr(shown)
    expect(larder.cli("warm", "--prefix", "user:").stderr, "", "no bar where nobody looks on")


def life_tags_prefixes_and_everything_by_hand(larder):
    larder.start()
    larder.says("set", "user:1", "a", "--ttl", "5m", "--tag", "users")
    larder.says("set", "user:2", "b", "--ttl", "5m", "--tag", "users", "--tag", "admins")
    larder.says("set", "page:1", "c")
    larder.says("invalidate", "--tag", "admins")
    expect([code(larder, "get", k) for k in ["user:1", "user:2", "page:1"]], [DONE, NEGATIVE, DONE])
    larder.says("invalidate", "--prefix", "user:")
    expect([code(larder, "get", k) for k in ["user:1", "page:1"]], [NEGATIVE, DONE])
    larder.says("invalidate", "--all")
    expect(code(larder, "get", "page:1"), NEGATIVE)


def keys_are_listed_by_prefix(larder):
    larder.start()
    client = larder.client()
    client.mset([client.item(b"list:%d" % n, b"v") for n in range(300)] + [client.item(b"other", b"v")])
    listed = {line.split("\t")[0] for line in larder.says("keys", "--prefix", "list:").splitlines()}
    expect(listed, {f"list:{n}" for n in range(300)})
    expect(len(larder.says("keys", "--limit", "10").splitlines()), 10)


def explain_tells_where_an_entry_is(larder):
    larder.start()
    larder.says("set", "k", "v", "--ttl", "5m")
    explained = json.loads(larder.says("--json", "explain", "k"))
    assert "l1" in json.dumps(explained), explained


def stats_count_what_happened(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    for _ in range(5):
        client.get(b"k")
    client.get(b"nothing")
    stats = json.loads(larder.says("--json", "stats"))
    for name in ["timestamp", "uptime_s", "overall", "tiers"]:
        assert name in stats, f"{name} is not in {sorted(stats)}"
    overall = stats["overall"]
    assert overall["hits"] >= 5 and overall["misses"] >= 1, overall
    for tier in ["l1", "warm"]:
        assert stats["tiers"][tier]["available"] is True, stats["tiers"]


def next_frame(watching, has):
    """The first that has it, of those that come."""
    for line in watching.stdout:
        frame = json.loads(line)
        if has(frame):
            return frame
    raise AssertionError("it ended")


def stats_are_told_again_and_again_until_nobody_answers(larder):
    larder.start()
    watching = subprocess.Popen([product("larder"), "--json", "stats", "--watch"], env=larder.environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        sets = lambda frame: frame["policies"][0]["sets"]
        expect(sets(next_frame(watching, lambda frame: True)), 0)
        larder.client().set(b"k", b"v")
        expect(sets(next_frame(watching, sets)), 1, "a later frame tells what was done since")
        larder.stop()
        expect([line for line in watching.stdout if "{" not in line], [], "whole frames to the end")
        expect(watching.wait(timeout=30), UNREACHABLE)
    finally:
        watching.kill()
        watching.wait()


def a_person_is_shown_tables_and_a_pipe_all_there_is(larder):
    larder.start()
    larder.says("set", "k", "v", "--tag", "t")
    larder.says("get", "k")
    larder.says("invalidate", "--tag", "t")
    shown = on_a_terminal(larder, "stats", env={"NO_COLOR": "1"})
    assert "asked for   1 keys, 100.0% found" in shown and "l1, by the daemon" in shown, shown
    assert len(shown.splitlines()) < 40, shown
    shown = on_a_terminal(larder, "explain", "k")
    assert "not found   invalidated" in shown and "ago by tag t" in shown, shown
    assert "namespaces.default.cache.gets\t1\n" in larder.says("stats")
    assert "last_invalidation.name\tt\n" in larder.says("explain", "k")


def stats_tell_how_long_the_first_get_took(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    client.get(b"k")
    stats = json.loads(larder.says("--json", "stats"))
    overall, sets = stats["overall"], stats["times"]["set"]
    assert 0 < overall["p50_us"] <= overall["p95_us"] <= overall["p99_us"], overall
    assert overall["avg_us"] > 0, overall
    expect((stats["times"]["get"]["count"], sets["count"]), (1, 1))


def hits_in_shared_memory_are_counted_too(larder):
    larder.start()
    puppet = larder.puppet()
    puppet.ask("set", "k", "v")
    until(lambda: puppet.ask("get", "k")[1] == "near", "a near hit")
    before = larder.client().stats()["overall"]["hits"]
    for _ in range(500):
        puppet.ask("get", "k")
    until(lambda: larder.client().stats()["overall"]["hits"] >= before + 500, "500 more hits in the statistics")


def version_and_help_need_no_daemon(larder):
    expect(code(larder, "--version"), DONE)
    expect(code(larder, "--help"), DONE)
    done = subprocess.run([product("larderd"), "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert "0.1" in done.stdout, done.stdout


play(exit_codes_tell_what_happened, a_stopped_daemon_is_a_time_out,
     a_value_may_come_from_the_standard_input_and_go_out_raw, a_pipe_gets_a_line_a_key, json_is_one_object_a_line,
     a_terminal_gets_aligned_text_and_no_color_is_honoured, a_warming_on_a_terminal_shows_how_far_it_is, life_tags_prefixes_and_everything_by_hand,
     keys_are_listed_by_prefix, explain_tells_where_an_entry_is, stats_count_what_happened,
     stats_are_told_again_and_again_until_nobody_answers, a_person_is_shown_tables_and_a_pipe_all_there_is,
     stats_tell_how_long_the_first_get_took, hits_in_shared_memory_are_counted_too, version_and_help_need_no_daemon)
