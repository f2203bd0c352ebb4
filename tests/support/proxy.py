"""The proxy that fails on command (proxy_main.c), for Python: the same program, the same orders."""

import subprocess
from collections import namedtuple

from tree import product

Count = namedtuple("Count", "up down held open all")


class Proxy:
    """Stands between whoever dials 127.0.0.1:`port` and `server`, "127.0.0.1:PORT" or the path of a Unix socket."""

    def __init__(self, server):
        self.process = subprocess.Popen([product("proxy"), server], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.port = int(self.process.stdout.readline().split()[1])

    def _ask(self, order):
        self.process.stdin.write(order + "\n")
        return self.process.stdout.readline().strip()

    def tell(self, *words):
        """hold, release, swallow, delay with up, down or both (and milliseconds); cut, refuse, accept."""
        order = " ".join(str(word) for word in words)
        answer = self._ask(order)
        assert answer == "ok", f"{order}: {answer!r}"

    def count(self):
        return Count(*(int(n) for n in self._ask("count").split()[1::2]))

    def stop(self):
        """It ends with its standard input."""
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
