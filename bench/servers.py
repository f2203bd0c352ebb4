"""What the benches that are scripts start: a redis-server, and hosts of its fleet.

What must stay true: whoever started one ends it; each lives in a folder that its caller made and throws away.
"""
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
import wire_client as wire


def wait_for(good, what, seconds=20):
    end = time.monotonic() + seconds
    while not good():
        if time.monotonic() > end:
            sys.exit(f"{what} did not come up")
        time.sleep(0.02)


class Redis:
    """redis-server on a Unix socket, and a connection for looking at it."""

    def __init__(self, folder, maxmemory="512mb"):
        self.path = folder / "redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", folder, "--save", "", "--appendonly",
             "no", "--maxmemory", maxmemory, "--maxmemory-policy", "volatile-lru", "--maxclients", "10000"],
            stdout=(folder / "redis.log").open("w"), stderr=subprocess.STDOUT)
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self.path.exists() and self.socket.connect_ex(str(self.path)) == 0, "redis-server")
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        line = self.file.readline()
        if line[:1] != b"$":
            return line[1:].strip().decode()
        size = int(line[1:])
        return self.file.read(size + 2)[:-2].decode() if size >= 0 else None

    def info(self, section="everything"):
        lines = (line.split(":", 1) for line in self.ask("INFO", section).splitlines() if ":" in line)
        return {name: value for name, value in lines}


class Host:
    """One larderd of the fleet, or alone (`redis` None), with a connection to it; `flags` are options of larderd by name."""

    def __init__(self, build, folder, redis, log_level="warn", **flags):
        self.home = folder
        self.home.mkdir()
        (self.home / "larder.conf").touch()
        self.path = self.home / "s"
        self.state = "FRESH" if redis else "STANDALONE"
        more = ["--redis", f"unix:{redis.path}"] if redis else []
        more += [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self.process = subprocess.Popen(
            [build / "larderd", "--config", self.home / "larder.conf", "--socket", self.path, "--state", self.home / "state",
             "--log-level", log_level, *more],
            stdout=subprocess.DEVNULL, stderr=(self.home / "log").open("w"))
        wait_for(self.answers, "larderd")

    def answers(self):
        try:
            self.client = wire.Client(str(self.path))
            return self.client.stats()["state"] == self.state
        except (OSError, wire.Closed):
            return False

    def figure(self, name):
        return self.client.stats()["namespaces"]["default"]["cache"][name]

    def end(self):
        self.process.terminate()
        self.process.wait()
