"""The page: one file, no script, nothing from another host, light or dark as the reader's system is."""

import html

import plot

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #23272e; --soft: #616a76; --grid: #e6e7e9; --line: #dcdee2;
  --larder: #0b62d6; --socket: #62a8f5; --inprocess: #7d4fc4; --floor: #8a8f98; --redis: #cf3e36; --lfu: #ef9a5a; --memcached: #2b8f52; --band: #d5d8dd; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1c2026; --ink: #e4e7eb; --soft: #98a2af; --grid: #2c323a; --line: #323943;
  --larder: #58a6ff; --socket: #2f6bb3; --inprocess: #b692f0; --floor: #8b949e; --redis: #f2716a; --lfu: #c9803f; --memcached: #56c27e; --band: #3a424d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 56rem; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; } h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .4rem 0; } a { color: var(--larder); } .soft, figcaption, small { color: var(--soft); }
nav { margin: .75rem 0 1.25rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem; margin: 1rem 0; }
dl.said { display: grid; grid-template-columns: max-content 1fr; gap: .2rem .8rem; margin: .4rem 0 .8rem; } dl.said dt { color: var(--soft); } dl.said dd { margin: 0; }
figure { margin: .5rem 0; } svg { display: block; width: 100%; height: auto; } svg.narrow { display: none; }
.many { display: grid; grid-template-columns: repeat(3, 1fr); gap: .75rem; } .many svg { max-width: 100%; } .many figure { margin: 0; }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .3rem 0; padding: 0; list-style: none; font-size: .9rem; }
.key i { display: inline-block; width: 1.1rem; height: .25rem; border-radius: .15rem; margin-right: .4rem; vertical-align: middle; }
.key i.dash { background: repeating-linear-gradient(90deg, currentColor 0 .3rem, transparent .3rem .5rem) !important; } .key i.block { height: .8rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { text-align: right; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; } th { color: var(--soft); font-weight: 500; }
th.text, td.text { text-align: left; } th:empty { display: none; } td.wrap { white-space: normal; min-width: 14rem; }
code { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; } summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.warn { border-left: .3rem solid var(--redis); padding: .3rem .8rem; } .missed { color: var(--redis); } .reached { color: var(--memcached); }
@media (max-width: 40rem) { svg.wide { display: none; } svg.narrow { display: block; } section { padding: .8rem .75rem; } .many { grid-template-columns: repeat(2, 1fr); }
  dl.said { grid-template-columns: 1fr; gap: 0; } dl.said dd { margin-bottom: .4rem; } }
@media print { section { break-inside: avoid; } }
"""


def text(words):
    return html.escape(str(words), quote=True)


def paragraph(words, kind=""):
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def said(shows, good, measured):
    """One sentence each."""
    rows = [("shows", shows), ("good", good), ("measured", measured)]
    return '<dl class="said">' + "".join(f"<dt>{name}</dt><dd>{text(words)}</dd>" for name, words in rows) + "</dl>"


def key(entries):
    """What the colours mean: (colour, words, kind), kind "", "dash" or "block"."""
    marks = "".join(f'<li><i class="{kind}" style="background: var(--{colour}); color: var(--{colour})"></i>{text(words)}</li>'
                    for colour, words, kind in entries)
    return f'<ul class="key">{marks}</ul>'


def figure(drawing, caption=""):
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{below}{plot.draw_both(drawing)}</figure>"


def cell(value, tag, kind=""):
    return f'<{tag} class="{kind}">{text(value)}</{tag}>' if kind else f"<{tag}>{text(value)}</{tag}>"


def table(heads, rows, words=1, kinds=None):
    """The first `words` columns are text."""
    head = "".join(cell(h, "th", "text" if n < words else "") for n, h in enumerate(heads))
    body = "".join("<tr>" + "".join(cell(v, "td", (kinds or {}).get((y, x)) or ("text" if x < words else ""))
                                    for x, v in enumerate(row)) + "</tr>" for y, row in enumerate(rows))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def details(summary, inside):
    return f"<details><summary>{text(summary)}</summary>{inside}</details>"


def section(name, title, inside):
    return f'<section id="{name}"><h2>{text(title)}</h2>{inside}</section>'


def whole(title, lead, sections):
    """`sections`: (name, title, HTML)."""
    nav = "<nav>" + "".join(f'<a href="#{name}">{text(heading)}</a>' for name, heading, _ in sections) + "</nav>"
    return ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            f"<title>{text(title)}</title><style>{STYLE}</style></head><body>\n<h1>{text(title)}</h1>\n{lead}{nav}\n" +
            "\n".join(section(*one) for one in sections) + "\n</body></html>\n")
