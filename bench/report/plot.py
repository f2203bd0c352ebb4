"""Plots by gnuplot, as SVG that stands inside a page.

What must stay true: colours are names of the page's (`var(--larder)`), so that light and dark are the page's to choose;
nothing refers to anything outside of the drawing; each plot is drawn for a wide and for a narrow screen, since letters
that shrink with the drawing cannot be read on a phone."""

import re
import subprocess

# A colour of the page each; gnuplot is given a number in its place.
COLOURS = ["ink", "grid", "larder", "socket", "inprocess", "floor", "redis", "lfu", "memcached", "band"]
WIDE, NARROW = (760, 360), (380, 300)


class Failed(Exception):
    """gnuplot is not there or did not draw; the text says why."""


def colour(name):
    return f"rgb '#0000{COLOURS.index(name) + 1:02x}'"


def _axis(letter, axis):
    lines = [f"set {letter}label '{axis.get('label', '')}' textcolor {colour('ink')}"]
    if axis.get("log"):
        lines.append(f"set logscale {letter} {axis['log']}")
    if "range" in axis:
        low, high = axis["range"]
        if axis.get("log") and low and high:  # gnuplot leaves out a tic at the very edge
            low, high = low / 1.01, high * 1.01
        lines.append(f"set {letter}range [{'*' if low is None else low}:{'*' if high is None else high}]")
    tics = axis.get("tics")
    if isinstance(tics, list):
        lines.append(f"set {letter}tics nomirror (" + ", ".join(f"'{text}' {at}" for at, text in tics) + ")")
    else:
        lines.append(f"set {letter}tics nomirror format '{axis.get('format', '%g')}'")
    return lines


def _series(number, series):
    """The data block and the words of `plot` for it."""
    rows = [" ".join(f"{value:.9g}" for value in point) for point in series["points"]]
    block = [f"$d{number} << EOD", *rows, "EOD"]
    ink, how = colour(series["colour"]), series.get("how", "lines")
    line = f"linewidth {series.get('width', 2)} linecolor {ink}" + (f" dashtype {series['dash']}" if "dash" in series else "")
    words = {
        "lines": f"with lines {line}",
        "points": f"with linespoints {line} pointtype 7 pointsize 0.4",
        "band": f"using 1:2:3 with filledcurves fillstyle solid 1 noborder linecolor {ink}",
        "bars": f"using 1:2:3 with boxes fillstyle solid 1 noborder linecolor {ink}",
    }[how]
    return block, f"$d{number} {words} notitle"


def script(plot, size):
    width, height = size
    drawn = [_series(n, s) for n, s in enumerate(plot["series"]) if s["points"]]
    lines = [f"set terminal svg size {width},{height} dynamic font 'sans-serif,13'",
             f"set border 3 linecolor {colour('ink')} linewidth 0.7",
             f"set grid linecolor {colour('grid')} linewidth 1 dashtype solid", "set key off",
             *_axis("x", plot["x"]), *_axis("y", plot["y"])]
    if width <= NARROW[0] and plot["x"].get("turn"):
        lines.append("set xtics rotate by -35")
    lines.append(f"set tics textcolor {colour('ink')}")
    for block, _ in drawn:
        lines += block
    return "\n".join([*lines, "plot " + ", \\\n  ".join(words for _, words in drawn), ""])


def _of_page(svg):
    """gnuplot's drawing in the page's colours and without names: a page with two drawings has each name once."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<title>.*?</title>\s*<desc>.*?</desc>", "", svg, flags=re.S)
    svg = re.sub(r"<defs>.*?</defs>", "", svg, flags=re.S)
    svg = re.sub(r"<use xlink:href='#gpPt\d+'([^>]*)/>", r'<circle r="1" fill="currentColor"\1/>', svg)  # our only mark
    svg = re.sub(r"<g [^>]*>\s*</g>\s*", "", svg)
    svg = re.sub(r"rgb\(\s*0,\s*0,\s*(\d+)\)", lambda m: f"var(--{COLOURS[int(m.group(1)) - 1]})", svg)
    svg = re.sub(r'\s+(id="gnuplot_\w+"|xmlns:xlink="[^"]*")', "", svg)
    svg = re.sub(r"<a xlink:title=[^>]*>|</a>", "", svg)
    return re.sub(r"\n\s*\n+", "\n", svg)


def draw(plot, size):
    try:
        done = subprocess.run(["gnuplot"], input=script(plot, size), capture_output=True, text=True)
    except FileNotFoundError:
        raise Failed("gnuplot is not installed (Debian: gnuplot-nox)")
    if done.returncode != 0 or "</svg>" not in done.stdout:
        raise Failed(f"gnuplot: {done.stderr.strip()[-300:] or 'drew nothing'}")
    return _of_page(done.stdout)


def draw_both(plot):
    """For a wide and for a narrow screen; the page shows one of them."""
    sizes = [("wide", plot.get("wide", WIDE)), ("narrow", plot.get("narrow", NARROW))]
    return "".join(draw(plot, size).replace("<svg", f'<svg class="{kind}" role="img" aria-label="{plot["says"]}"', 1)
                   for kind, size in sizes)
