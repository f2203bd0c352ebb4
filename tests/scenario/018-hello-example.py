"""The first example a reader meets compiles and runs, with a daemon and without one."""

import subprocess

from scenario import expect, play
from tree import product


def hello(larder):
    return subprocess.run([product("hello")], env=larder.environment(), capture_output=True, text=True, timeout=60)


def the_example_runs_with_a_daemon(larder):
    larder.start()
    done = hello(larder)
    expect(done.returncode, 0, done.stdout + done.stderr)
    assert done.stdout.strip(), "it says nothing"
    assert larder.client().stats()["overall"]["requests"] > 0, "it never asked the daemon"


def the_example_runs_without_a_daemon(larder):
    done = hello(larder)
    expect(done.returncode, 0, done.stdout + done.stderr)


play(the_example_runs_with_a_daemon, the_example_runs_without_a_daemon)
