"""The bytes shown in WIRE.md are what the page says they are, read by the client that was written from it."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
import wire_client as wire
from tree import read

EXAMPLE = re.compile(r"^    ((?:  )*(?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2,}.*)?$", re.MULTILINE)


def frames():
    """The hex of the worked example, cut into frames by their own lengths."""
    chapter = read("proto/WIRE.md").split("## One GET, byte by byte")[1].split("\n## ")[0]
    data = bytes.fromhex("".join(EXAMPLE.findall(chapter)))
    while data:
        length = int.from_bytes(data[:4], "big")
        assert len(data) >= 4 + length, "a frame of the example is shorter than its length says"
        yield data[4:4 + length]
        data = data[4 + length:]


def main():
    report = tap.Report()
    with report.case("the worked example of WIRE.md is a GET and its VALUES"):
        request, reply = frames()
        assert request == wire.pack([wire.GET, 7, 0, 0, 50, 0, 0, 0, [b"user:42"]]), request.hex(" ")
        (code, id, entries), end = wire.unpack(reply)
        assert (code, id, end) == (wire.VALUES, 7, len(reply))
        assert wire.Entry(*entries[0]) == (wire.HIT, 0, wire.L1, 0, 0, 0, 60000, 60000, 5, 256, 9, b"", b"Ada", [])
    report.end()


if __name__ == "__main__":
    main()
