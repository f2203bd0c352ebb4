"""Drives tests/fault/churn: load that checks itself, and the file in which it keeps its books."""

import mmap
import os
import re
import struct
import subprocess

from scenario import USUAL, die_with_parent, until
from tree import product, read

WORDS = re.findall(r"WORD\((\w+)\)", re.search(r"#define LEDGER_WORDS\(WORD\)(.*?)\n\n", read("tests/fault/ledger.h"),
                                               re.DOTALL).group(1))
PROCESSES_MAX = 8


class Load:
    def __init__(self, larder, writers, readers, reads=0, seed=1):
        self.path = os.path.join(larder.home, "ledger")
        self.writers, self.readers = writers, readers
        numbers = map(str, (writers, readers, reads, seed))
        self.process = subprocess.Popen([product("churn"), larder.socket, self.path, *numbers], stdout=subprocess.PIPE,
                                        text=True, env=larder.environment(**USUAL), preexec_fn=die_with_parent)
        larder.others.append(self.process)
        until(lambda: os.path.exists(self.path) and os.path.getsize(self.path), "the ledger")
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def word(self, name):
        return struct.unpack_from("<Q", self.map, 8 * WORDS.index(name))[0]

    def put(self, name, value):
        struct.pack_into("<Q", self.map, 8 * WORDS.index(name), value)

    def reader_pids(self):
        pids = struct.unpack_from(f"<{PROCESSES_MAX}Q", self.map, 8 * len(WORDS))
        return [pid for pid in pids[self.writers:self.writers + self.readers] if pid]

    def next_era(self):
        """The daemon is dead: nothing that was sent to it can take effect any more."""
        self.put("era", self.word("era") + 1)

    def sound(self):
        """Nothing wrong so far, or an AssertionError that says what was."""
        assert self.process.poll() is None and not self.word("violations"), f"seed in the command line: {self.end()}"

    def end(self, seconds=30):
        """Stops it; what it printed."""
        self.put("stop", 1)
        said = self.process.communicate(timeout=seconds)[0]
        return said + f"exit code {self.process.returncode}"

    def wait(self, seconds):
        return self.process.communicate(timeout=seconds)[0] + f"exit code {self.process.returncode}"

    def figures(self):
        return {name: self.word(name) for name in WORDS}
