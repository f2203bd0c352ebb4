"""The source tree, for lints: which files are ours, and where things were built."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("LARDER_BUILD") or os.path.join(ROOT, "build"))
ROOMS = ["proto", "server", "client", "bench", "tests"]
NOT_OURS = {"node_modules", "__pycache__", "corpus"}
SCRATCH = "."  # what a lint writes beside the sources while another one reads them


def files(*endings):
    """Paths from the root, sorted.  Everything on disk, not only what git has: a lint judges what will be committed."""
    found = []
    for room in ROOMS:
        for folder, inner, names in os.walk(os.path.join(ROOT, room)):
            inner[:] = sorted(set(inner) - NOT_OURS)
            found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names if n.endswith(endings) and not n.startswith(SCRATCH)]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def sources(*endings):
    return [(path, read(path)) for path in files(*endings)]


def product(name):
    """A built program or library, in the build directory under test."""
    for place in [name, f"client/example/{name}", f"tests/fault/{name}", f"tests/unit/{name}"]:
        path = os.path.join(BUILD, place)
        if os.path.isfile(path):
            return path
    raise AssertionError(f"{name} is not built in {BUILD}")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, **options)
