"""Each header compiles alone; the public ones as C++ too."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import ROOT, SCRATCH, files, run

FLAGS = ["-D_GNU_SOURCE", "-I.", "-Iserver", "-Itests", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fsyntax-only"]


def complaint(path, compiler, standard, language):
    """Compiles a file that consists of the header twice: alone, and guarded against the second time."""
    text = f'#include "{path}"\n#include "{path}"\n'
    with tempfile.NamedTemporaryFile("w", suffix=f".{language}") as unit:
        unit.write(text)
        unit.flush()
        return run(compiler, f"-std={standard}", *FLAGS, unit.name).stderr


def self_test():
    with tempfile.NamedTemporaryFile("w", prefix=SCRATCH, suffix=".h", dir=os.path.join(ROOT, "tests")) as header:
        header.write("uint64_t needs_stdint(void);\n")
        header.flush()
        assert complaint(header.name, "cc", "gnu11", "c"), "a header without its includes was accepted"


def main():
    report = tap.Report()
    with report.case("the header lint notices a header that needs another one first"):
        self_test()
    with report.case("every header compiles alone and twice"):
        found = [text for path in files(".h") if (text := complaint(path, "cc", "gnu11", "c"))]
        assert not found, "\n".join(found)
    with report.case("the public headers compile as C++ and as plain C11"):
        public = ["client/larder.h", "client/larder_look.h", "client/larder_warm.h",
                  "client/larder_async.h", "client/larder_uv.h"]
        found = [complaint(path, "c++", "c++17", "cc") + complaint(path, "cc", "c11", "c") for path in public]
        assert not any(found), "\n".join(found)
    report.end()


if __name__ == "__main__":
    main()
