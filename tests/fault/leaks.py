"""Valgrind over a whole life: start, serve, stop.  Nothing is lost, nothing uninitialised is used."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
import wire_client as wire
from scenario import Larder, until
from tree import product

VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99", "--track-fds=no"]
SLOW = 240  # seconds: valgrind takes its time


def used(larder):
    """Every verb once, a bad one too."""
    client = wire.Client(larder.socket, want=3, seconds=SLOW)
    for fd in client.descriptors:
        os.close(fd)
    client.mset([client.item(b"a:%d" % n, os.urandom(500), tags=[b"t"]) for n in range(200)])
    client.set(b"large", b"v" * 300_000)
    client.mget([b"a:%d" % n for n in range(250)] + [b"large"])
    client.touch(b"a:1", 1_000_000)
    client.invalidate(keys=[b"a:2"], tags=[b"t"], prefixes=[b"a:"])
    client.set(b"k", b"v", flags=wire.IF_ABSENT)
    client.set(b"k", b"v", token=client.get(b"none").token)
    client.keys()
    for code, fields in [(wire.STATS, ()), (wire.HEALTH, ()), (wire.EXPLAIN, (b"k",)), (wire.CONFIG, (True,))]:
        client.document(code, *fields)
    client.socket.sendall(b"\xff\xff\xff\xff")
    client.close()


def daemon(larder):
    larder.configure("[namespace default]\nl1_bytes = 4MiB\n[namespace other]\nl1_bytes = 4MiB\n")
    command = [*VALGRIND, product("larderd"), "--config", larder.config, "--socket", larder.socket, "--state", larder.state]
    with open(larder.log_path, "ab") as log:
        child = subprocess.Popen(command, env=larder.environment(), stderr=log)
    larder.others.append(child)
    larder.daemon = child
    until(larder.answers, "it answers", seconds=SLOW)
    used(larder)
    larder.may_end = True
    child.terminate()
    code = child.wait(timeout=SLOW)
    assert code == 0, f"exit code {code}\n{larder.log()[-8000:]}"


def command(larder, *arguments):
    done = subprocess.run([*VALGRIND, product("larder"), *arguments], env=larder.environment(), capture_output=True,
                          text=True, timeout=SLOW, check=False)
    assert done.returncode in (0, 1, 3), f"{arguments}: {done.returncode}\n{done.stderr[-4000:]}"


def main():
    report, first, second = tap.Report(), Larder(), Larder()
    with report.case("larderd loses nothing from start to stop"):
        daemon(first)
    with report.case("a daemon on the state of the last one loses nothing either"):
        daemon(first)
    with report.case("the command loses nothing, with a daemon and without one"):
        command(second, "get", "k")
        second.start()
        for arguments in [["set", "k", "v"], ["get", "k"], ["--json", "stats"], ["keys"], ["invalidate", "--all"]]:
            command(second, *arguments)
    first.finish()
    second.finish()
    report.end()


if __name__ == "__main__":
    main()
