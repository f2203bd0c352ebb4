#!/usr/bin/env python3
"""The eviction policy beside the published ones: trace × size × algorithm, and the share of what could be won.

    bench/judge.py --traces DIR [--build build] [--bytes] [--only web07,oltp] [--json]

DIR holds NAME.txt.zst as traces/README.md describes.  Ours comes from `larder-bench simulate`; the figures of the
others and of OPT, which knows the future, are those of traces/published.txt, since they never change.

The judge: (LRU - ours) / (LRU - OPT), mean over cells of 20 and more objects where OPT saves 2 points of LRU's misses;
the same over cells of 1,000 and more.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ALGORITHMS = ["FIFO", "LRU", "CLOCK", "SIEVE", "S3-FIFO", "ARC", "W-TLFU", "W-TLFU-hc"]
# What choices here were made by; the others were looked at only when they stood (METHOD.md: how far that reaches).
TUNED = {"web07", "adaptsize", "oltp", "lirs-gli", "lirs-multi2", "lirs-cpp", "orm-busy", "arc-p2"}


def published(kind):
    """(trace, fraction) → objects, figures by name; in bytes: figures and LRU's byte miss ratio."""
    cells = {}
    for line in (HERE / "traces" / "published.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0] != kind:
            continue
        names = ALGORITHMS + (["OPT"] if kind == "objects" else ["LRU bytes"])
        cells[words[1], float(words[2])] = dict(zip(["capacity"] + names, map(float, words[3:])))
    return cells


def simulated(options, trace):
    command = [options.build / "larder-bench", "simulate", "--json", "--trace", options.traces / f"{trace}.txt.zst"]
    command += options.more.split() + (["--bytes"] if options.bytes else [])
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def judged(cell):
    return cell["capacity"] >= 20 and cell["LRU"] - cell["OPT"] >= 0.02


def gap_closed(cell, name):
    return (cell["LRU"] - cell[name]) / (cell["LRU"] - cell["OPT"])


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def row(cell):
    best = min(cell[a] for a in ALGORITHMS)
    figures = " | ".join(f"{cell[a]:.4f}" for a in ALGORITHMS)
    return (f"| {cell['trace']} | {cell['fraction']:.1%} | {cell['capacity']:.0f} | {figures} | **{cell['ours']:.4f}** | "
            f"{cell['perfect']:.4f} | {cell['OPT']:.4f} | {gap_closed(cell, 'ours'):.0%} | "
            f"{cell['ours'] / best - 1:+.1%} | {cell['copies']:.2f} |")


GROUPS = [
    ("all", lambda c: True),
    ("1,000 objects and more", lambda c: c["capacity"] >= 1000),
    ("4,096 objects and more", lambda c: c["capacity"] >= 4096),
    ("tuned on", lambda c: c["trace"] in TUNED),
    ("held out", lambda c: c["trace"] not in TUNED),
    ("held out, 1,000 objects and more", lambda c: c["trace"] not in TUNED and c["capacity"] >= 1000),
]


def print_means(cells):
    names = ["ours", "perfect"] + ALGORITHMS
    print("\n| share of the gap closed | cells | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 2) + "|")
    for name, wanted in GROUPS:
        of = [c for c in cells if wanted(c)]
        print(f"| {name} | {len(of)} | " + " | ".join(f"{mean(gap_closed(c, n) for c in of):.1%}" for n in names) + " |")
    worst = max(cells, key=lambda c: c["ours"] / min(c[a] for a in ALGORITHMS))
    over = worst["ours"] / min(worst[a] for a in ALGORITHMS) - 1
    print(f"\nfarthest above a cell's best algorithm: {over:+.1%}, {worst['trace']} at {worst['fraction']:.1%}")


def print_objects(cells):
    print("| trace | size | objects | " + " | ".join(ALGORITHMS) +
          " | ours | perfect touches | OPT | gap closed | to the best | copies |\n" + "|---" * 17 + "|")
    for cell in cells:
        print(row(cell))
    print_means([c for c in cells if judged(c)])


def print_bytes(cells):
    print("| trace | size | best published | ours | fewer misses | bytes missed, LRU | ours | more |\n" + "|---" * 8 + "|")
    for c in cells:
        best = min(ALGORITHMS, key=lambda a: c[a])
        print(f"| {c['trace']} | {c['fraction']:.1%} | {c[best]:.4f} {best} | **{c['ours']:.4f}** | "
              f"{1 - c['ours'] / c[best]:.1%} | {c['LRU bytes']:.4f} | {c['byte']:.4f} | {c['byte'] / c['LRU bytes'] - 1:+.1%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--bytes", action="store_true", help="sizes as recorded; the traces that have them")
    parser.add_argument("--only", help="traces, comma separated")
    parser.add_argument("--json", action="store_true", help="cells, one a line, instead of tables")
    parser.add_argument("--with", dest="more", default="", help="more options for simulate, as '--ghosts 1'")
    options = parser.parse_args()
    reference = published("bytes" if options.bytes else "objects")
    wanted = options.only.split(",") if options.only else sorted({trace for trace, _ in reference})
    cells = []
    for trace in wanted:
        for run in simulated(options, trace):
            cell = reference.get((trace, run["fraction"]))
            if cell is not None:
                cells.append({"trace": trace, "fraction": run["fraction"], **cell, "ours": run["miss_ratio"],
                              "perfect": run["perfect_touch_miss_ratio"], "copies": run["copies_per_insertion"],
                              "byte": run.get("byte_miss_ratio")})
        print(f"{trace}: done", file=sys.stderr)
    if options.json:
        for cell in cells:
            print(json.dumps(cell))
    else:
        (print_bytes if options.bytes else print_objects)(cells)


if __name__ == "__main__":
    main()
