"""Layers: a file includes only rows below its own, and each third-party library has one home.

The table is that of server/ARCHITECTURE.md.  `quoted` includes are ours, `<angled>` ones are somebody else's."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, sources

# Room → what it may include besides itself.  A name is a room, or one file of it.
ALLOWED = {
    "proto": [],
    "server/base": ["proto/slice.h", "proto/status.h", "proto/shm.h"],
    "server/net": ["server/base", "proto/slice.h", "proto/frame.h", "proto/pack.h"],  # frames, not what they mean
    "server/l1": ["server/net/loop.h", "server/base", "proto"],
    "server/warm": ["server/net/loop.h", "server/base", "proto"],
    "server/l2": ["server/net/loop.h", "server/net/loop_uv.h", "server/base", "proto"],  # loop_uv.h: its socket
    "server/cache": ["server/net/loop.h", "server/base", "proto"],
    "server/session": ["server/cache/cache.h", "server/cache/loaders.h", "server/cache/runs.h",
                       "server/cache/warming.h", "server/net", "server/base", "proto"],
    "server/admin": ["server/cache/cache.h", "server/cache/runs.h", "server/cache/warming.h", "server/net", "server/base", "proto"],
    "server/app": ["server", "proto"],
    "client": ["proto"],
    "bench": ["proto", "client/larder.h", "server/l1/eviction.h", "server/l1/curve.h"],  # pure: ADR 15
    "tests": ["server", "proto", "client", "bench", "tests"],
}

# Header → the rooms or files that may include it.  Headers named here and not in a row are the C library's, or
# of libraries everybody may use (xxhash).
HOMES = {
    "uv.h": ["server/net", "client/larder_uv.h"],
    "lmdb.h": ["server/warm"],
    "msgpack.h": ["proto/pack.c"],
    "jansson.h": ["server/session", "server/app", "server/admin", "client/cli", "bench"],
    "xxhash.h": ["proto", "server/l1", "server/warm", "server/l2", "server/base", "bench"],
    "zstd.h": ["client/cli", "server/warm", "server/l2", "bench"],
    "ini.h": ["server/app"],
    "hiredis": ["server/l2", "bench"],
    "openssl": ["server/l2"],
    "sodium.h": ["server/warm", "server/l2"],
    "microhttpd.h": ["server/admin"],
    "cmocka.h": ["tests"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "server" else parts[0]


def within(path, places):
    return any(path == place or path.startswith(place + "/") for place in places)


def resolve(path, name, exists):
    """An include as a path from the root: written from the root, from server/, or beside the file."""
    for base in ["", "server", os.path.dirname(path), "tests", "tests/support"]:
        candidate = os.path.normpath(os.path.join(base, name))
        if exists(candidate):
            return candidate
    return None


def wrong_include(path, kind, name, exists):
    """A sentence about what is wrong with one include, or None."""
    if kind == "<":
        home = next((h for h in HOMES if name == h or name.startswith(h + "/")), None)
        if home and not within(path, HOMES[home]) and room_of(path) != "tests":
            return f"{path} includes <{name}>, whose home is {', '.join(HOMES[home])}"
        return None
    target = resolve(path, name, exists)
    if target is None:
        # In tests a vendor header in quotes is nobody's business; in our rooms an unknown file is a mistake.
        return f"{path} includes \"{name}\", which is no file of this tree"
    if room_of(target) == room_of(path) or within(target, ALLOWED.get(room_of(path), [])):
        return None
    return f"{path} includes {target}: {room_of(path)} may not know {room_of(target)}"


def check_text(path, text, exists):
    return [w for kind, name in INCLUDE.findall(text) if (w := wrong_include(path, kind, name, exists))]


def exists_in_tree(path):
    return os.path.isfile(os.path.join(ROOT, path))


def self_test():
    """A wrong include of each kind must be seen, a right one must not."""
    wrong = {
        "server/cache/x.c": '#include "l1/l1.h"',
        "server/base/x.c": '#include "net/loop.h"',
        "server/session/x.c": '#include "warm/warm.h"',
        "server/l1/x.c": "#include <uv.h>",
        "client/x.c": '#include "base/check.h"',
        "proto/x.c": '#include "client/larder.h"',
        "server/net/x.c": '#include "proto/wire.h"',
        "server/warm/x.c": '#include "no/such.h"',
    }
    right = {
        "server/cache/x.c": '#include "base/tier.h"\n#include "proto/status.h"\n#include <stdio.h>',
        "server/app/x.c": '#include "l1/l1.h"\n#include <ini.h>',
        "server/warm/x.c": "#include <lmdb.h>",
    }
    for path, text in wrong.items():
        assert check_text(path, text, exists_in_tree), f"not noticed: {path}: {text}"
    for path, text in right.items():
        assert not check_text(path, text, exists_in_tree), check_text(path, text, exists_in_tree)


def main():
    report = tap.Report()
    with report.case("the layer lint notices a wrong include of each kind"):
        self_test()
    with report.case("files include only what their layer may know, and each library has one home"):
        found = [w for path, text in sources(".c", ".h", ".def") for w in check_text(path, text, exists_in_tree)]
        assert not found, "\n".join(found)
    with report.case("every room is in the layer table"):
        rooms = {room_of(path) for path, _ in sources(".c", ".h")}
        assert rooms <= set(ALLOWED), f"not in the table: {sorted(rooms - set(ALLOWED))}"
    report.end()


if __name__ == "__main__":
    main()
