"""Measures everything and writes one page about it.

    ./dev bench report [--quick] [--traces DIR] [--only latency,growth] [--page] [--out DIR]

The page is build/report/index.html, the records it is made of are beside it in data/.  --quick is for a look at the page:
its figures mean nothing.  --page measures nothing and writes the page of the records that are there.  What could not be
measured says so on the page, and the exit code is 1."""

import argparse
import os
import sys
from pathlib import Path

import measure
import page
import plot
from parts import PARTS, Settings


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench report", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute: to look at the page, not at the figures")
    parser.add_argument("--traces", type=Path, default=measure.ROOT / "bench/traces", help="directory with NAME.txt.zst")
    parser.add_argument("--only", help="parts, comma separated: " + ", ".join(p.name for p in PARTS))
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page anew")
    parser.add_argument("--build", type=Path, default=measure.ROOT / "build")
    parser.add_argument("--out", type=Path, default=measure.ROOT / "build/report")
    return parser.parse_args()


def tell(part, folder, settings):
    try:
        return part.tell(folder, settings), True
    except (measure.Failed, plot.Failed) as why:
        print(f"{part.name}: no figures: {why}", file=sys.stderr, flush=True)
        return page.paragraph(f"No figures: {why}", "warn"), False


def lead(settings, rows):
    words = "Larder beside what one would use instead, on one machine, in one run: what each plot shows, what would be good, and what came out."
    warning = page.paragraph("A quick run: it shows what the report looks like, its figures mean nothing.", "warn") if settings.quick else ""
    advice = page.paragraph("Ratios within a plot hold; absolute times move with the machine and with whatever else it does, which the load average tells: with "
                            f"{os.cpu_count()} cores, a load far above 1 before a part began means that others were running.", "soft")
    return page.paragraph(words) + warning + page.table(["", ""], rows, words=2, kinds={(y, 1): "text wrap" for y in range(len(rows))}) + advice


def load_text(load):
    return ", ".join(f"{n:.1f}" for n in load)


def floor(folder):
    """What a bare round trip took, which says more about the state of the machine than its load."""
    try:
        states = measure.kept(folder, "compare")["lines"][0]
    except measure.Failed:
        return []
    return [("floor", "; ".join(f"{state}: a bare round trip over a socket takes {peers['pingpong']['p50_ns'] / 1000:.1f} µs"
                                for state, peers in states.items() if "pingpong" in peers))]


def main():
    given = arguments()
    settings = Settings(given.quick, sorted(given.traces.glob("*.txt.zst")))
    folder = given.out / "data"
    if not settings.traces:
        sys.exit(f"no NAME.txt.zst in {given.traces}")
    before = measure.load()
    for part in PARTS:
        if given.page or (given.only and part.name not in given.only.split(",")):
            continue
        for name, words in part.commands(settings):
            measure.measure(given.build / "larder-bench", folder, name, words)
    told = [(part, *tell(part, folder, settings)) for part in PARTS]
    rows = [*measure.machine(), *floor(folder), ("load average", f"{load_text(before)} at first, {load_text(measure.load())} at last (1, 5, 15 minutes)")]
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "index.html"
    file.write_text(page.whole("Larder: what was measured", lead(settings, rows), [(p.name, p.title, html) for p, html, _ in told]))
    print(file)
    return 0 if all(ok for *_, ok in told) else 1


if __name__ == "__main__":
    sys.exit(main())
