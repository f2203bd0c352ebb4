"""The examples of the library give the same answers with the cache on, off, without shared memory, with a Redis that goes
away, with a larderd that is killed under them, and with none at all: only slower."""

import os
import subprocess

from fleet import Fleet
from scenario import expect, play
from tree import product

CONVERSATIONS = {
    "repository": [("find 1", "Ada"), ("find 1", "Ada"), ("find 9", "no such user"), ("find 9", "no such user"),
                   ("rename 1 Lovelace", "done"), ("find 1", "Lovelace"), ("find 1", "Lovelace"), ("rename 9 Barbara", "done"),
                   ("find 9", "Barbara"), ("find 2", "Grace"), ("remove 2", "done"), ("find 2", "no such user"),
                   ("find 1", "Lovelace"), ("find 9", "Barbara")],
    "dashboard": [("show 1", "0 courses finished, 0 messages"), ("show 1", "0 courses finished, 0 messages"), ("finish 1", "done"),
                  ("show 1", "1 courses finished, 0 messages"), ("message 1", "done"), ("message 1", "done"),
                  ("show 1", "1 courses finished, 2 messages"), ("show 2", "0 courses finished, 0 messages"), ("logout 1", "done"),
                  ("show 1", "1 courses finished, 2 messages"), ("finish 1", "done"), ("show 1", "2 courses finished, 2 messages"),
                  ("show 2", "0 courses finished, 0 messages")],
    "sessions": [("login ada", "secret-token-0"), ("who secret-token-0", "ada"), ("who secret-token-0", "ada"),
                 ("who secret-token-1", "nobody"), ("login grace", "secret-token-1"), ("who secret-token-1", "grace"),
                 ("logout secret-token-0", "done"), ("who secret-token-0", "nobody"), ("who secret-token-1", "grace")],
}


class Example(subprocess.Popen):
    def __init__(self, larder, name):
        super().__init__([product(name)], env=larder.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        larder.others.append(self)

    def ask(self, line):
        self.stdin.write(line + "\n")
        self.stdin.flush()
        return self.stdout.readline().strip()


def converse(larder, name, halfway=None):
    """The whole conversation; returns how often the source was asked."""
    example, lines = Example(larder, name), CONVERSATIONS[name]
    for n, (line, answer) in enumerate(lines):
        if n == len(lines) // 2 and halfway:
            halfway()
        expect(example.ask(line), answer, f"{name}: {line}")
    reads = int(example.ask("reads"))
    example.stdin.close()
    expect(example.wait(timeout=60), 0, f"exit code of {name}")
    return reads


def with_the_cache_on(larder):
    larder.start()
    expect({name: converse(larder, name) for name in CONVERSATIONS}, {"repository": 6, "dashboard": 9, "sessions": 6}, "reads")


def with_the_cache_off(larder):
    larder.start(env={"CACHE_ENABLED": "false"})
    for name in CONVERSATIONS:
        converse(larder, name)


def without_shared_memory(larder):
    larder.start(env={"CACHE_L1_ENABLED": "false"})
    for name in CONVERSATIONS:
        converse(larder, name)


def with_a_redis_that_goes_away(larder):
    fleet = Fleet()
    try:
        host = fleet.start(1)[0]
        for name in CONVERSATIONS:
            converse(host, name, halfway=host.leave_redis)
            host.return_to_redis()
            host.until_fresh()
    finally:
        fleet.finish()


def with_a_larderd_that_is_killed(larder):
    for name in CONVERSATIONS:
        larder.start()
        converse(larder, name, halfway=larder.kill9)


def without_a_larderd(larder):
    for name in CONVERSATIONS:
        converse(larder, name)


def without_redis_and_its_disk(larder):
    """L2 switched off where there is one, and the warm tier with it."""
    fleet = Fleet()
    try:
        host = fleet.start(1, namespace={"warm": "off"})[0]
        host.stop()
        host.start(env={"CACHE_L2_ENABLED": "false"})
        for name in CONVERSATIONS:
            converse(host, name)
    finally:
        fleet.finish()


def a_session_lies_in_no_tier(larder):
    larder.start()
    converse(larder, "sessions")
    expect(larder.says("keys").strip(), "", "keys")
    larder.stop()
    for folder, _, files in os.walk(larder.state):
        for file in files:
            with open(os.path.join(folder, file), "rb") as lying:
                assert b"secret-token" not in lying.read(), file


LIMIT = """
[limit api]
max = 3
window = 1h
scope = {user} | {ip}
plan.pro = 5
"""


def the_limiter_counts_users_of_all_processes_together(larder):
    larder.configure(LIMIT)
    larder.start()
    first, second = Example(larder, "limiter"), Example(larder, "limiter")
    expect([first.ask("ask ::1"), second.ask("ask ::1"), first.ask("ask ::1")], [f"200, {n} of 3 left" for n in (2, 1, 0)])
    expect(second.ask("ask ::1"), "429, again within the hour")
    expect(second.ask("ask ::1 ada pro"), "200, 4 of 5 left")


def the_limiter_lets_everybody_in_when_nobody_counts(larder):
    example = Example(larder, "limiter")
    expect(example.ask("ask ::1"), "200, not counted", "without a larderd")
    larder.configure(LIMIT)
    larder.start()
    example = Example(larder, "limiter")
    expect(example.ask("ask ::1"), "200, 2 of 3 left")
    larder.kill9()
    expect({example.ask("ask ::1") for _ in range(10)}, {"200, not counted"}, "killed")


def the_limiter_goes_on_counting_on_its_host_while_redis_is_away(larder):
    fleet = Fleet()
    try:
        host = fleet.start(1)[0]
        with open(host.config, "a", encoding="utf-8") as file:
            file.write(LIMIT)
        host.stop()
        host.start()
        host.until_fresh()
        example = Example(host, "limiter")
        expect(example.ask("ask ::1"), "200, 2 of 3 left")
        host.leave_redis()
        expect([example.ask("ask ::1") for _ in range(4)],
               ["200, 2 of 3 left", "200, 1 of 3 left", "200, 0 of 3 left", "429, again within the hour"], "by itself")
    finally:
        fleet.finish()


def loop(larder):
    done = subprocess.run([product("loop")], env=larder.environment(), capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode, 0, done.stdout + done.stderr)
    expect(sorted(done.stdout.split("\n")), sorted([f"price:{n} costs 42" for n in (0, 1, 2) for _ in (0, 1)] + [""]), "prices")
    return done.stderr.strip()


def the_libuv_example_asks_its_source_once_a_key(larder):
    expect(loop(larder), "the source was asked 3 times", "without a larderd")
    larder.start()
    expect(loop(larder), "the source was asked 3 times", "cold")
    expect(loop(larder), "the source was asked 0 times", "warm")


play(with_the_cache_on, with_the_cache_off, without_shared_memory, with_a_redis_that_goes_away, with_a_larderd_that_is_killed,
     without_a_larderd, without_redis_and_its_disk, the_limiter_counts_users_of_all_processes_together,
     the_limiter_lets_everybody_in_when_nobody_counts, the_limiter_goes_on_counting_on_its_host_while_redis_is_away, a_session_lies_in_no_tier, the_libuv_example_asks_its_source_once_a_key)
