"""The report of the benches: a tiny run makes a page that holds everything, asks nobody, and fits a phone.

Nothing here looks at a figure.  LARDER_PICTURES=DIRECTORY keeps what it looked like."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import tap
from browser import Browser
from scenario import expect
from tree import ROOT, product

SECTIONS = {"latency": 2, "throughput": 2, "policy": 1, "whole": 1, "memory": 1, "growth": 1, "restart": 1, "joining": 1,
            "bars": 0}  # and their plots
SECONDS = 580


def page_of(folder):
    for program in ("gnuplot", "redis-server", "memcached"):
        if not shutil.which(program):
            raise tap.Skip(f"no {program} here")
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench/report"), "--quick", "--build", os.path.dirname(product("larder-bench")),
                           "--out", folder], capture_output=True, text=True, timeout=SECONDS)
    wrong = [line for line in done.stderr.splitlines() if "no figures" in line] or [done.stderr[-1000:]]
    expect(done.returncode, 0, "; ".join(wrong))
    path = os.path.join(folder, "index.html")
    with open(path, encoding="utf-8") as file:
        return path, file.read()


def sections(html):
    return {name: text for name, text in re.findall(r'<section id="(\w+)">(.*?)</section>', html, re.S)}


def every_section_has_its_sentences_and_plots(html):
    found = sections(html)
    expect(sorted(found), sorted(SECTIONS))
    for name, plots in SECTIONS.items():
        text = found[name]
        assert "No figures" not in text, (name, text[:300])
        expect(text.count("<svg"), 2 * plots, f"{name}: wide and narrow")
        expect([text.count(f"<dt>{word}</dt>") for word in ("shows", "good", "measured")], [max(plots, 1)] * 3, name)
        assert "./dev bench " in text or "bench/joining.py " in text, f"{name} says how to get it again"


def every_drawing_is_whole_and_in_the_colours_of_the_page(html):
    for svg in re.findall(r"<svg.*?</svg>", html, re.S):
        drawing = xml.etree.ElementTree.fromstring(svg)
        assert drawing.get("viewBox") and drawing.get("aria-label"), svg[:200]
        assert "var(--" in svg and not re.search(r"rgb\(", svg), svg[:200]
    names = re.findall(r'\bid=["\']([^"\']+)["\']', html)
    expect([name for name in set(names) if names.count(name) > 1], [], "names that are there twice")


def it_refers_to_no_other_host(html):
    outside = re.sub(r'xmlns="[^"]*"', "", html)
    expect(re.findall(r"https?://|<script|@import|url\(", outside), [])


def it_fits_a_phone_in_the_dark(path):
    browser = Browser()
    try:
        for name, width, scheme in [("phone", 390, "dark"), ("desktop", 1200, "light")]:
            browser.resize(width, 900)
            browser.prefer(scheme)
            browser.open(f"file://{path}")
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{name}: wider than the screen"
            expect(browser.run("return [...document.querySelectorAll('svg')].filter((s) => s.getBoundingClientRect().width).length"),
                   sum(SECTIONS.values()), f"{name}: plots that show")
            expect(browser.complaints(), [])
            if folder := os.environ.get("LARDER_PICTURES"):
                browser.picture(os.path.join(folder, f"report-{name}.png"))
    finally:
        browser.finish()


def main():
    report = tap.Report()
    with tempfile.TemporaryDirectory(prefix="larder-report.") as folder:
        made = []
        with report.case("a quick run makes a page"):
            made = page_of(folder)
        if made:
            for case, what in [(every_section_has_its_sentences_and_plots, made[1]),
                               (every_drawing_is_whole_and_in_the_colours_of_the_page, made[1]),
                               (it_refers_to_no_other_host, made[1]), (it_fits_a_phone_in_the_dark, made[0])]:
                with report.case(case.__name__.replace("_", " ")):
                    case(what)
    report.end()


main()
