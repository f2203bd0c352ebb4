"""The log: one line an operation at debug, never a value, keys only at debug, never in the daemon's way."""

import fcntl
import json
import os
import signal
import subprocess

from scenario import die_with_parent, expect, play, until
from tree import product

F_SETPIPE_SZ = 1031


def lines(larder):
    return [json.loads(line) for line in larder.log().splitlines()]


def at_debug_each_operation_is_one_line(larder):
    larder.start("--log-level", "debug")
    client = larder.client()
    client.set(b"key-in-log", b"secret-value", ttl_ms=300000)
    client.get(b"key-in-log")
    client.get(b"key-not-there")
    client.invalidate(keys=[b"key-in-log"])
    for op in ["get", "set", "invalidate"]:
        until(lambda: any(line.get("op") == op for line in lines(larder)), f"a line with op={op}")
    until(lambda: any(line.get("op") == "get" and "HIT" in str(line.get("result")) for line in lines(larder)), "a hit")
    until(lambda: any(line.get("op") == "get" and "MISS" in str(line.get("result")) for line in lines(larder)), "a miss")
    assert "key-in-log" in larder.log()
    assert "secret-value" not in larder.log(), "a value in the log"


def at_info_no_key_is_in_the_log(larder):
    larder.start()
    client = larder.client()
    client.set(b"key-in-log", b"secret-value")
    client.get(b"key-in-log")
    client.invalidate(keys=[b"key-in-log"])
    larder.stop()
    assert "key-in-log" not in larder.log() and "secret-value" not in larder.log(), larder.log()


def hostile_keys_cannot_forge_a_line(larder):
    larder.start("--log-level", "debug")
    larder.client().get(b'x"}\n{"level":"error","message":"forged"}')
    until(lambda: any(line.get("op") == "get" for line in lines(larder)), "the line of the get")
    assert not any(line.get("message") == "forged" or line.get("msg") == "forged" for line in lines(larder))


def a_log_nobody_reads_does_not_stop_the_daemon(larder):
    larder.configure("")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    command = [product("larderd"), "--config", larder.config, "--socket", larder.socket, "--state", larder.state,
               "--log-level", "debug"]
    larder.daemon = subprocess.Popen(command, env=larder.environment(), stderr=writing, preexec_fn=die_with_parent)
    larder.others.append(larder.daemon)
    os.close(writing)
    until(larder.answers, "it answers")
    client = larder.client()
    for n in range(2000):
        client.set(b"a long enough key to fill a pipe %d" % n, b"v")
    expect(client.ping(), b"?")
    os.close(reading)
    expect(client.ping(), b"?", "after the reader of the log has gone")


def sigusr1_writes_statistics(larder):
    larder.start()
    before = len(lines(larder))
    larder.signal(signal.SIGUSR1)
    until(lambda: len(lines(larder)) > before, "lines with statistics")


play(at_debug_each_operation_is_one_line, at_info_no_key_is_in_the_log, hostile_keys_cannot_forge_a_line,
     a_log_nobody_reads_does_not_stop_the_daemon, sigusr1_writes_statistics)
