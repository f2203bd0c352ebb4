"""The admin's door as tests use it: HTTP over its Unix socket or its port, and bytes as one likes."""

import http.client
import json
import os
import re
import socket

from scenario import SECONDS, expect, until


class OverPath(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = connect(self.path, self.timeout)


def connect(place, seconds=SECONDS):
    """To a path or a port."""
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place), seconds)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds)
    s.connect(place)
    return s


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Admin:
    """Of a Larder whose [admin] listens at `path` and at a port of the kernel's choice."""

    def __init__(self, larder, options="", more=""):
        self.larder = larder
        self.path = os.path.join(larder.home, "admin.sock")
        larder.configure(f"[admin]\nlisten = unix:{self.path} 127.0.0.1:0\n{options}\n{more}\n")

    def port(self):
        return int(re.findall(r"http://127\.0\.0\.1:(\d+)/", self.larder.log())[-1])

    def ask(self, method, path, body=None, headers=None, place=None, seconds=SECONDS):
        place = place or self.path
        c = http.client.HTTPConnection("127.0.0.1", place, timeout=seconds) if isinstance(place, int) else OverPath(place, seconds)
        try:
            try:
                c.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body), headers or {})
            except BrokenPipeError:
                pass  # it was answered before it was whole
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            c.close()

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body, **options):
        return self.ask("POST", path, body, **options)

    def document(self, path):
        answer = self.get(path)
        expect(answer.status, 200, path)
        return answer.json()

    def stats(self):
        return self.document("/api/cache/stats")

    def health(self):
        return self.get("/api/cache/health").json()

    def metrics(self):
        """Each sample's name with its labels, as Prometheus writes it, and its value."""
        lines = self.get("/metrics").body.decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}

    def raw(self, data, place=None, seconds=SECONDS):
        """Sends bytes, and returns all that comes until the daemon hangs up."""
        with connect(place or self.path, seconds) as s:
            s.sendall(data)
            return all_of(s)


def all_of(s):
    got = b""
    try:
        while part := s.recv(65536):
            got += part
    except (ConnectionResetError, BrokenPipeError):
        pass
    return got


__all__ = ["Admin", "connect", "all_of", "until"]
