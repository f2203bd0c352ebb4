"""Configuration: checked before use, told where it came from, reloaded whole or not at all."""

import json
import os
import signal
import subprocess

import wire_client as wire
from scenario import expect, play, until
from tree import product


def check(larder, text, *flags, env=None):
    larder.configure(text)
    command = [product("larderd"), "--config", larder.config, "--check-config", *flags]
    return subprocess.run(command, env=larder.environment(**(env or {})), capture_output=True, text=True, timeout=60)


def a_right_configuration_passes_the_check(larder):
    done = check(larder, "[server]\nlog_level = debug\n[namespace default]\nttl = 5m\nl1_bytes = 64MiB\n")
    expect(done.returncode, 0, done.stderr)


def a_wrong_line_is_named_with_file_line_and_expectation(larder):
    done = check(larder, "[server]\n\n[namespace default]\nttl = banana\n")
    expect(done.returncode, 2)
    for word in [larder.config, "4", "ttl", "banana"]:
        assert word in done.stderr + done.stdout, f"{word!r} is not in {done.stderr!r}"


def an_unknown_key_is_an_error_with_a_suggestion(larder):
    done = check(larder, "[namespace default]\nl1_byts = 64MiB\n")
    expect(done.returncode, 2)
    assert "l1_bytes" in done.stderr + done.stdout, done.stderr


def all_mistakes_are_told_at_once(larder):
    done = check(larder, "[namespace default]\nttl = x\nstale = y\n[nonsense]\na = b\n")
    for word in ["ttl", "stale", "nonsense"]:
        assert word in done.stderr + done.stdout, f"{word!r} is not in {done.stderr!r}"


def a_daemon_with_a_wrong_configuration_does_not_start(larder):
    larder.configure("[namespace default]\nttl = banana\n")
    assert "banana" in larder.refuses_to_start()


def dumped(larder):
    """Effective options: a JSON object a line, or one object; the words of it are what counts."""
    return larder.says("--json", "config", "dump", "--show-origin")


def flags_beat_environment_beats_conf_d_beats_file(larder):
    os.mkdir(os.path.join(larder.home, "conf.d"))
    with open(os.path.join(larder.home, "conf.d", "10-more.conf"), "w", encoding="ascii") as file:
        file.write("[namespace default]\nttl = 20s\nstale = 20s\nmax_ttl = 10m\n")
    larder.configure("[namespace default]\nttl = 10s\nstale = 10s\nmax_ttl = 5m\nmax_value = 128KiB\n")
    larder.start(env={"CACHE_DEFAULT_TTL": "30"})
    client = larder.client()
    client.set(b"k", b"v")
    entry = client.get(b"k")
    assert 20000 < entry.fresh_ms <= 30000, f"ttl of the environment: {entry.fresh_ms}"
    assert 40000 < entry.ttl_ms <= 50000, f"stale of conf.d: {entry.ttl_ms}"
    expect(client.welcome.value_max, 128 << 10, "max_value of the file")
    text = dumped(larder)
    for origin in ["CACHE_DEFAULT_TTL", "10-more.conf", "larder.conf"]:
        assert origin in text, f"{origin} is not told as an origin in {text}"


def names_apps_use_today_are_understood_in_their_units(larder):
    larder.start(env={"CACHE_L1_MAX_SIZE_MB": "8", "CACHE_DEFAULT_TTL": "90", "CACHE_ENABLED": "yes"})
    client = larder.client()
    client.set(b"k", b"v")
    assert 80000 < client.get(b"k").fresh_ms <= 90000
    assert str(8 << 20) in dumped(larder) or "8MiB" in dumped(larder), dumped(larder)


def a_disabled_cache_passes_through_and_is_no_error(larder):
    larder.start(env={"CACHE_ENABLED": "0"})
    client = larder.client()
    expect(client.set(b"k", b"v").status, wire.SKIPPED)
    expect(client.get(b"k").status, wire.MISS)


def reload_changes_what_is_live(larder):
    larder.configure("[namespace default]\nttl = 10s\n")
    larder.start()
    client = larder.client()
    larder.configure("[namespace default]\nttl = 77s\n")
    larder.signal(signal.SIGHUP)
    until(lambda: client.set(b"k", b"v") and client.get(b"k").fresh_ms > 70000, "the new ttl counts")


def reload_of_a_wrong_file_keeps_all_of_the_old_configuration(larder):
    larder.configure("[namespace default]\nttl = 10s\n")
    larder.start()
    client = larder.client()
    larder.configure("[namespace default]\nttl = 77s\nstale = banana\n")
    larder.signal(signal.SIGHUP)
    until(lambda: "banana" in larder.log(), "the mistake is in the log")
    client.set(b"k", b"v")
    assert client.get(b"k").fresh_ms <= 10000, "half of a wrong file was taken"


def secrets_are_masked_everywhere(larder):
    larder.start("--log-level", "debug", env={"REDIS_PASSWORD": "hunter2secret", "REDIS_URL": "redis://u:hunter2secret@h:1/0"})
    client = larder.client()
    text = dumped(larder) + json.dumps(client.stats()) + json.dumps(client.health())
    assert "hunter2secret" not in text + larder.log(), "a secret is shown"


def namespaces_are_worlds_apart(larder):
    larder.configure("[namespace default]\n[namespace other]\nl1_bytes = 4MiB\n")
    larder.start()
    mine, other = larder.client(), larder.client(namespace="other")
    mine.set(b"k", b"mine", tags=[b"t"])
    expect(other.get(b"k").status, wire.MISS)
    other.set(b"k", b"other", tags=[b"t"])
    mine.invalidate(tags=[b"t"])
    expect((mine.get(b"k").status, other.get(b"k").value), (wire.MISS, b"other"))
    mine.invalidate(all=True)
    larder.restart()
    expect(larder.client(namespace="other").get(b"k").value, b"other")
    expect(larder.says("-n", "other", "get", "--raw", "k"), "other")


play(a_right_configuration_passes_the_check, a_wrong_line_is_named_with_file_line_and_expectation,
     an_unknown_key_is_an_error_with_a_suggestion, all_mistakes_are_told_at_once,
     a_daemon_with_a_wrong_configuration_does_not_start, flags_beat_environment_beats_conf_d_beats_file,
     names_apps_use_today_are_understood_in_their_units, a_disabled_cache_passes_through_and_is_no_error,
     reload_changes_what_is_live, reload_of_a_wrong_file_keeps_all_of_the_old_configuration,
     secrets_are_masked_everywhere, namespaces_are_worlds_apart)
