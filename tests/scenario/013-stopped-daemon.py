"""A daemon that is stopped, dead or gone: apps go on, within their deadlines, and are told nothing old."""

import os
import signal
import time

from scenario import USUAL, expect, play, until

LEASE_S = 0.5
GET_DEADLINE_US, SLACK_US = 50_000, 5_000_000  # slack: a starved machine, not the product


def near_hit(puppet, value="v"):
    return puppet.ask("get", "k")[:3] == ["HIT", "near", value]


def prepared(larder, **options):
    larder.start()
    puppet = larder.puppet(**options)
    until(lambda: puppet.ask("set", "k", "v") == ["0"], "it is set")
    until(lambda: near_hit(puppet), "a near hit")
    return puppet


def no_hit_after_the_lease(puppet):
    """Called when the daemon stands still: what is asked for when its last promise has run out is no hit."""
    still = time.monotonic()

    def over():
        asked = time.monotonic()
        missed = puppet.ask("get", "k")[0] == "MISS"
        assert missed or asked <= still + LEASE_S, f"a hit {asked - still:.3f} s after the daemon stood still"
        return missed

    until(over, "no hit any more")


def freeze(larder):
    larder.signal(signal.SIGSTOP)
    until(lambda: stands_still(larder.daemon.pid), "it stands still")


def stands_still(pid):
    """All its threads."""
    threads = (open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") for thread in os.listdir(f"/proc/{pid}/task"))
    return all(file.read().rsplit(")", 1)[1].split()[0] == "T" for file in threads)


def readers_stop_believing_a_stopped_daemon_when_its_lease_is_over(larder):
    puppet = prepared(larder, env=USUAL)
    freeze(larder)
    no_hit_after_the_lease(puppet)
    larder.signal(signal.SIGCONT)
    until(lambda: near_hit(puppet), "near hits again when it goes on")


def a_get_of_a_stopped_daemon_returns_within_its_deadline(larder):
    puppet = prepared(larder, env=USUAL)
    freeze(larder)
    no_hit_after_the_lease(puppet)
    for _ in range(20):
        answer = puppet.ask("get", "k")
        expect(answer[0], "MISS")
        assert int(answer[-1]) <= GET_DEADLINE_US + SLACK_US, f"took {answer[-1]} us"
    larder.signal(signal.SIGCONT)


def a_stopped_daemon_that_goes_on_carries_out_what_was_sent_and_serves_nothing_older(larder):
    puppet = prepared(larder, env=USUAL)
    freeze(larder)
    result = int(puppet.ask("invalidate", "k")[0])
    assert result < 0, f"acknowledged by a stopped daemon: {result}"
    larder.signal(signal.SIGCONT)
    until(lambda: puppet.ask("invalidate", "k") == ["0"], "acknowledged")
    expect(puppet.ask("get", "k")[0], "MISS")


def readers_stop_believing_a_killed_daemon(larder):
    puppet = prepared(larder)
    larder.kill9()
    no_hit_after_the_lease(puppet)


def with_no_daemon_at_all_gets_miss_and_changes_say_unreachable(larder):
    puppet = larder.puppet()
    expect(puppet.ask("get", "k")[0], "MISS")
    expect(puppet.ask("set", "k", "v"), ["-1"])
    expect(puppet.ask("invalidate", "k"), ["-1"])
    larder.start()
    until(lambda: puppet.ask("set", "k", "v") == ["0"], "the library finds the daemon that came later")
    expect(puppet.ask("get", "k")[2], "v")


def a_change_acknowledged_by_the_next_daemon_is_seen_by_readers_of_the_last_ones_segment(larder):
    """F3: no mutation is acknowledged while readers may still believe the segment of a killed daemon."""
    puppet = prepared(larder)
    for n in range(5):
        larder.kill9()
        larder.start()
        expect(larder.client(seconds=10).set(b"k", b"%d" % n).status, 0)
        answer = puppet.ask("get", "k")
        assert answer[0] == "MISS" or answer[2] == str(n), f"an old value after an acknowledged set: {answer}"
        until(lambda: near_hit(puppet, str(n)), "a near hit")


def a_reader_killed_in_a_read_harms_nobody(larder):
    puppet, asking = prepared(larder), larder.client()
    before = find(asking.stats(), "client_connections")
    for _ in range(10):
        victim = larder.puppet()
        expect(victim.ask("spin", "k"), ["SPINNING"])
        victim.kill()
        victim.wait()
    until(lambda: near_hit(puppet), "near hits")
    expect(puppet.ask("set", "k", "w"), ["0"])
    expect(puppet.ask("get", "k")[2], "w")
    until(lambda: find(asking.stats(), "client_connections") <= before, "the connections of the dead are gone")


def find(document, name):
    """However the document nests it."""
    if isinstance(document, dict):
        if name in document:
            return document[name]
        return next((found for value in document.values() if (found := find(value, name)) is not None), None)
    return None


play(readers_stop_believing_a_stopped_daemon_when_its_lease_is_over,
     a_get_of_a_stopped_daemon_returns_within_its_deadline,
     a_stopped_daemon_that_goes_on_carries_out_what_was_sent_and_serves_nothing_older,
     readers_stop_believing_a_killed_daemon, with_no_daemon_at_all_gets_miss_and_changes_say_unreachable,
     a_change_acknowledged_by_the_next_daemon_is_seen_by_readers_of_the_last_ones_segment,
     a_reader_killed_in_a_read_harms_nobody)
