"""What the shared library shows to the world is what its headers declare, no more and no less."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from tree import product, read, run

DECLARED = re.compile(r"\b(larder_\w+)\(", re.DOTALL)


def declared(header):
    """Names behind LARDER_API, up to the ';' that ends the declaration."""
    names = set()
    for declaration in re.findall(r"^LARDER_API\b([^;]*);", header, re.MULTILINE):
        names.add(DECLARED.search(declaration).group(1))
    return names


def exported(library):
    listing = run("nm", "--dynamic", "--defined-only", "--format=posix", library)
    assert listing.returncode == 0, listing.stderr
    names = [line.split()[:2] for line in listing.stdout.splitlines()]
    return {name.split("@")[0] for name, kind in names if kind != "A"}


def main():
    report = tap.Report()
    with report.case("the declarations of a header are found"):
        text = "LARDER_API int larder_a(int x);\nLARDER_API const char *larder_b(\n  void);\nint larder_c(void);\n"
        assert declared(text) == {"larder_a", "larder_b"}, declared(text)
    with report.case("liblarder.so exports exactly what its headers declare"):
        promised = set().union(*(declared(read(f"client/{name}.h")) for name in ["larder", "larder_look", "larder_warm", "larder_async"]))
        shown = exported(product("liblarder.so"))
        assert shown == promised, f"too many: {sorted(shown - promised)}\nmissing: {sorted(promised - shown)}"
    report.end()


if __name__ == "__main__":
    main()
