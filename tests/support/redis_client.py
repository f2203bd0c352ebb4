"""A throw-away redis-server on a Unix socket, and a client small enough to be seen through."""

import os
import shutil
import socket
import subprocess
import tempfile

import tap
from scenario import die_with_parent, until

SECONDS = 20
LOADED_KEYS, LOADED_BYTES = 500, 500


class RedisError(Exception):
    """An error reply.  Returned, not raised: tests want to look at it."""

    def __eq__(self, other):
        return isinstance(other, RedisError) and str(self) == str(other)

    def word(self):
        return str(self).split(" ", 1)[0]


class Closed(Exception):
    """The server closed the connection, or never answered."""


def encode(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Client:
    """RESP2.  `call` sends and waits; `send` and `receive` apart make a pipeline, or a request that is late."""

    def __init__(self, path, seconds=SECONDS):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        self.socket.sendall(encode(*words))

    def receive(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Closed("the connection ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.receive() for _ in range(int(rest))]
        raise Closed(f"not RESP: {line!r}")

    def call(self, *words):
        self.send(*words)
        return self.receive()

    def close(self):
        self.file.close()
        self.socket.close()


class Redis:
    """One server in a directory of its own, which it keeps over restarts."""

    def __init__(self):
        if not shutil.which("redis-server"):
            raise tap.Skip("no redis-server here")
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = tempfile.mkdtemp(prefix="larder-redis.", dir=shm)
        self.path = os.path.join(self.home, "s")
        self.child, self.clients, self.environment = None, [], None

    def start(self, **options):
        self.spawn(**options)
        until(self.answers, "redis-server answers a ping", SECONDS)
        return self

    def start_loading(self, seconds):
        """Starts it with the data of `save`, which it takes so long to load: until then it answers LOADING."""
        delay_us = int(seconds * 1e6 / LOADED_KEYS)
        self.spawn(key_load_delay=delay_us, loading_process_events_interval_bytes=1024)
        until(lambda: os.path.exists(self.path) and self.says_ping().startswith(b"-LOADING"), "redis-server loads", SECONDS)

    def save(self):
        """What it has, and enough beside it to be slow about."""
        client = self.client()
        for n in range(LOADED_KEYS):
            client.send("SET", "beside:%d" % n, "x" * LOADED_BYTES, "PX", 60000)
        answers = {client.receive() for _ in range(LOADED_KEYS)}
        assert answers == {b"OK"} and client.call("SAVE") == b"OK", answers

    def forget_saved(self):
        if os.path.exists(dump := os.path.join(self.home, "dump.rdb")):
            os.unlink(dump)

    def spawn(self, **options):
        options = {"save": "", "appendonly": "no", **options}
        words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), str(value))]
        log = open(os.path.join(self.home, "log"), "ab")
        self.child = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.home, *words],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                                      env=self.environment)
        log.close()

    def says_ping(self):
        """The first word and the like of its answer; nothing when there is none."""
        assert self.child.poll() is None, f"redis-server ended with {self.child.returncode}:\n{self.log()}"
        try:
            client = Client(self.path, seconds=1)
            client.send("PING")
            line = client.file.readline()
            client.close()
            return line
        except OSError:
            return b""

    def answers(self):
        return self.says_ping() == b"+PONG\r\n"

    def client(self):
        self.clients.append(Client(self.path))
        return self.clients[-1]

    def kill9(self):
        self.child.kill()
        self.child.wait()

    def log(self):
        with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def finish(self):
        for client in self.clients:
            client.close()
        if self.child and self.child.poll() is None:
            self.kill9()
        shutil.rmtree(self.home, ignore_errors=True)
