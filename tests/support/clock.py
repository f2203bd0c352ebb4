"""A wall clock that steps when it is told to, for one process: a library preloaded into it (tests/fault/shift_clock.c)."""

import os
import struct

from tree import product


class Clock:
    def __init__(self, path):
        self.path, self.shift_s = path, 0
        self.step(0)

    def environment(self):
        """To be started with; a sanitizer does not mind that another library comes before it."""
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": product("libshift_clock.so"), "SHIFT_CLOCK": self.path,
                "ASAN_OPTIONS": (asan + ":" if asan else "") + "verify_asan_link_order=0"}

    def step(self, seconds):
        self.shift_s += seconds
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("<q", self.shift_s))
