"""Every C file is as clang-format leaves it.  `format.py --fix` formats (./dev format)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, files, run

# Tables read better as tables than as what clang-format makes of macro calls.
BY_HAND = {
    "proto/status.h": "X-macro table of outcomes",
    "proto/wire.h": "expansion of wire.def into structs",
    "proto/wire.c": "expansion of wire.def into coders",
    "proto/shm.h": "byte layout, one word a line with its meaning behind",
    "client/larder.h": "the public header: comments beside each field",
    "client/larder_look.h": "the same",
    "client/larder_warm.h": "the same",
    "server/base/knob.h": "macros that make tables",
    "server/base/log.h": "macros",
    "server/l1/l1.h": "table of options and figures",
    "server/warm/warm.h": "table of options and figures",
    "server/cache/cache.h": "table of options and figures",
}


def formatted():
    return [path for path in files(".c", ".h") if path not in BY_HAND]


def fix():
    result = run("clang-format", "-i", *formatted())
    sys.exit(result.stderr or result.returncode)


def self_test():
    result = run("clang-format", "--dry-run", "--Werror", "--assume-filename=x.c", input="int  main( void ){return 0 ;}\n")
    assert result.returncode != 0, "crooked code was accepted"


def main():
    report = tap.Report()
    with report.case("the format lint notices crooked code"):
        self_test()
    with report.case("every C file is as clang-format leaves it (./dev format mends)"):
        result = run("clang-format", "--dry-run", "--Werror", *formatted())
        assert result.returncode == 0, "\n".join(sorted({l.split(":")[0] for l in result.stderr.splitlines() if "error:" in l}))
    with report.case("files formatted by hand exist and have lines of at most 150 characters"):
        gone = [path for path in BY_HAND if not os.path.isfile(os.path.join(ROOT, path))]
        assert not gone, f"not there any more: {gone}"
        long = [f"{path}:{n}" for path in BY_HAND for n, line in enumerate(open(os.path.join(ROOT, path)), 1)
                if len(line) > 151]
        assert not long, "\n".join(long)
    report.end()


if __name__ == "__main__":
    fix() if sys.argv[1:] == ["--fix"] else main()
