"""What is measured, what is drawn of it, and the sentences beside: what a plot shows, what would be good, what came out.

A part has `commands`, (record, arguments of larder-bench) each, and `tell`, which makes HTML of the records."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import page
from measure import ROOT, kept

PEERS = {  # colour, what it is
    "larder_shm": ("larder", "Larder, shared memory", ""), "larder_socket": ("socket", "Larder, socket only", ""),
    "inprocess": ("inprocess", "table in the own process, mutex", ""), "redis": ("redis", "redis-server", ""),
    "memcached": ("memcached", "memcached", ""), "pingpong": ("floor", "floor: bare round trip of the same bytes", "dash"),
    "chase": ("floor", "floor: one dependent load", "dash"),
}
DASH = "(10,6)"


@dataclass
class Part:
    name: str
    title: str
    commands: Callable  # (settings) -> [(record, arguments)]
    tell: Callable      # (folder, settings) -> HTML


@dataclass
class Settings:
    quick: bool
    traces: list

    def with_quick(self, *arguments, quick=()):
        return [*arguments, "--json", *(["--quick", *quick] if self.quick else [])]


def peer_key(names):
    return page.key([PEERS[n] for n in names])


def peer_series(name, points, how="lines"):
    colour, _, dash = PEERS[name]
    return {"colour": colour, "points": points, "how": how, "width": 3 if name == "larder_shm" else 2, **({"dash": DASH} if dash else {})}


def time_text(ns):
    return f"{ns:.0f} ns" if ns < 1000 else f"{ns / 1e3:.1f} µs" if ns < 1e6 else f"{ns / 1e6:.1f} ms"


def times(a, b, digits=2):
    """How many times b goes into a; nothing where b got nothing done."""
    return f"{a / b:.{digits}f} ×" if b > 0 else "no"


def again(*records):
    """How to get it again, and in which state the machine was."""
    rows = []
    for r in records:
        rows.append(f"<p><code>{page.text(r['command'])}</code><br><small>{r['seconds']:.0f} s; load average "
                    f"{r['load_before'][0]} before, {r['load_after'][0]} after</small></p>")
    return page.details("how to get it again", "".join(rows))


TIME_TICS = [(100, "100 ns"), (1e3, "1 µs"), (1e4, "10 µs"), (1e5, "100 µs"), (1e6, "1 ms")]


# ---- latency ---------------------------------------------------------------------------------------------------


def latency_commands(settings):
    return [("compare", settings.with_quick("compare", "--cdf", quick=["--key-count", "20000"]))]


def latency_plot(state, peers):
    return {"says": f"share of gets by time, {state}", "series": [peer_series(n, f["cdf"]) for n, f in peers.items()],
            "x": {"label": "time of one get", "log": 10, "range": (30, 1e6), "tics": TIME_TICS},
            "y": {"label": "share of gets at most that long", "range": (0, 1.005)}}


def latency_measured(state, peers):
    words = [f"{PEERS[n][1]} {time_text(f['p50_ns'])}" for n, f in peers.items() if n != "larder_socket"]
    ratios = [f"{n} {times(peers[n]['p50_ns'], peers['larder_shm']['p50_ns'], 0)}" for n in ("redis", "memcached") if n in peers]
    floor = peers.get("pingpong", {}).get("p50_ns", 0)
    claim = "" if state == "idle" or floor <= 6000 else f" The floor takes more than 6 µs, so the machine was not free: no claim."
    return f"p50 of batches: {'; '.join(words)}. To Larder: {', '.join(ratios)}.{claim}"


def latency_tell(folder, settings):
    record = kept(folder, "compare")
    out = [peer_key([n for n in PEERS if n in record["lines"][0].get("awake", {})])]
    heads = ["", "p50", "p99", "mean", "gets a second"]
    for state, note in [("awake", "cores awake"), ("idle", "cores asleep between two gets")]:
        peers = record["lines"][0].get(state, {})
        if "larder_shm" not in peers:
            out.append(page.paragraph(f"{state}: no figures of Larder", "warn"))
            continue
        out += [f"<h3>{page.text(note.capitalize())}</h3>",
                page.said(f"Which share of single gets, by one client, was answered within which time ({note}).",
                          "Larder's line near that of the table in the own process, and far left of everything that asks another process.",
                          latency_measured(state, peers)),
                page.figure(latency_plot(state, peers)),
                page.details("figures", page.table(heads, [[PEERS[n][1], *(time_text(f[k]) for k in ("p50_ns", "p99_ns", "mean_ns")),
                                                           f"{f['ops_per_s']:,.0f}"] for n, f in peers.items()]))]
    return "".join(out) + again(record)


# ---- throughput ------------------------------------------------------------------------------------------------


def depth_commands(settings):
    return [("depth", settings.with_quick("depth", quick=["--key-count", "20000"]))]


def depth_tell(folder, settings):
    record = kept(folder, "depth")
    names = [n for n in PEERS if n in record["lines"][0]["requests_per_s"]]
    out = [peer_key(names)]
    for op in ("get", "set"):
        rows = [line for line in record["lines"] if line["op"] == op]
        if not rows:
            continue
        most, first = rows[-1], rows[0]
        others = [n for n in names if n != "larder_socket"]
        ratios = "; ".join(f"{r['depth']} under way: " + ", ".join(
            f"{times(r['requests_per_s']['larder_socket'], r['requests_per_s'][n])} {n}" for n in others if "larder_socket" in names) for r in (first, most))
        depths = [r["depth"] for r in rows]
        out += [f"<h3>{op.capitalize()}s</h3>",
                page.said(f"{op.capitalize()}s a second of one client over one Unix socket, by how many it has under way at once; 100 bytes, "
                          "Larder's warm tier on.",
                          "Larder's line above the others; at 64 at least 1.5 × Redis.", f"Larder to the others, {ratios}."),
                page.figure({"says": f"{op}s a second by depth", "series": [
                    peer_series(n, [(r["depth"], r["requests_per_s"][n] / 1000) for r in rows], "points") for n in names],
                    "x": {"label": "requests under way", "log": 2, "range": (depths[0], depths[-1]), "tics": [(d, d) for d in depths]},
                    "y": {"label": f"thousand {op}s a second", "range": (0, None)}}),
                page.details("figures", page.table(["under way", *(PEERS[n][1] for n in names)],
                                                   [[r["depth"], *(f"{r['requests_per_s'][n]:,.0f}" for n in names)] for r in rows], words=0))]
    return "".join(out) + again(record)


# ---- hit ratio of the policy -----------------------------------------------------------------------------------

FRACTIONS = "0.001,0.003,0.01,0.03,0.1,0.3"
ALGORITHMS = ["FIFO", "LRU", "CLOCK", "SIEVE", "S3-FIFO", "ARC", "W-TLFU", "W-TLFU-hc"]


def published():
    """trace → [(fraction, miss ratios by name)], from bench/traces/published.txt."""
    cells = {}
    for line in (ROOT / "bench/traces/published.txt").read_text().splitlines():
        words = line.split()
        if words and words[0] == "objects":
            cells.setdefault(words[1], []).append((float(words[2]), dict(zip(ALGORITHMS + ["OPT"], map(float, words[4:])))))
    return cells


def trace_name(path):
    return Path(path).name.split(".txt")[0]


def policy_commands(settings):
    fractions = "0.01,0.1" if settings.quick else FRACTIONS
    return [(f"simulate-{trace_name(t)}", ["simulate", "--json", "--fractions", fractions, "--trace", t]) for t in settings.traces]


def policy_plot(name, ours, cells, alone):
    percent = [(100 * c["fraction"], 100 * (1 - c["miss_ratio"])) for c in ours]
    band = [(100 * f, 100 * (1 - max(c[a] for a in ALGORITHMS)), 100 * (1 - min(c[a] for a in ALGORITHMS))) for f, c in cells]
    lru, best = ([(100 * f, 100 * (1 - c[a])) for f, c in cells] for a in ("LRU", "OPT"))
    how = "lines" if len(cells) > 1 else "points"
    sizes = {} if alone else {"wide": (300, 230), "narrow": (250, 200)}
    return {"says": f"hit ratio by size, {name}", **sizes, "series": [
        {"colour": "band", "how": "band", "points": band}, {"colour": "redis", "how": how, "points": lru, "width": 1.5},
        {"colour": "floor", "how": how, "points": best, "dash": DASH, "width": 1.5}, {"colour": "larder", "points": percent, "how": "points", "width": 2.5}],
        "x": {"log": 10, "range": (0.09, 33), "tics": [(0.1, "0.1"), (1, "1"), (10, "10")], **({"label": "size, % of all keys"} if alone else {})},
        "y": {"format": "%g", **({"label": "hit ratio, %"} if alone else {})}}


def gaps(traces):
    """Shares of the way from LRU to OPT, over cells of 20 objects and more where that is two points or more."""
    shares = {name: [] for name in ["ours", *ALGORITHMS]}
    for ours, cells in traces.values():
        for fraction, cell in cells:
            line = next((c for c in ours if abs(c["fraction"] - fraction) < 1e-9), None)
            if line is None or line["objects"] < 20 or cell["LRU"] - cell["OPT"] < 0.02:
                continue
            for name in shares:
                missed = line["miss_ratio"] if name == "ours" else cell[name]
                shares[name].append((cell["LRU"] - missed) / (cell["LRU"] - cell["OPT"]))
    return {name: sum(values) / len(values) for name, values in shares.items() if values}, len(shares["ours"])


def policy_tell(folder, settings):
    reference, traces, records = published(), {}, []
    for t in settings.traces:
        records.append(kept(folder, f"simulate-{trace_name(t)}"))
        traces[trace_name(t)] = (records[-1]["lines"], reference.get(trace_name(t), []))
    closed, cells = gaps(traces)
    others = sorted((a for a in ALGORITHMS if a in closed), key=closed.get, reverse=True)
    measured = "No published figures for these traces."
    if others:
        measured = (f"Of the way from LRU to the best there can be, Larder goes {closed['ours']:.0%}, the best published "
                    f"{closed[others[0]]:.0%} ({others[0]}); mean of {cells} cells.")
    plots = "".join(page.figure(policy_plot(name, *both, len(traces) == 1), name) for name, both in traces.items())
    rows = [[a if a != "ours" else "Larder", f"{closed[a]:.1%}"] for a in ["ours", *others] if a in closed]
    return (page.key([("larder", "Larder's policy", ""), ("redis", "LRU", ""), ("band", "worst to best of eight published", "block"),
                      ("floor", "best there can be (knows the future)", "dash")]) +
            page.said("The share of requests answered (hit ratio, in %) of the daemon's own eviction policy on recorded traces, "
                      "by the size of the cache in % of all keys.",
                      "Larder's line at the upper edge of the grey band or above it, on every trace; nobody can be above the dashed line.",
                      measured) +
            (f'<div class="many">{plots}</div>' if len(traces) > 1 else plots) +
            page.details("share of the way from LRU to the best there can be", page.table(["", "mean"], rows)) + again(*records))


# ---- whole daemon ----------------------------------------------------------------------------------------------

SIDES = {"larder": ("larder", "Larder"), "memcached": ("memcached", "memcached"), "redis-lru": ("redis", "redis allkeys-lru"),
         "redis-lfu": ("lfu", "redis allkeys-lfu")}
LARGE = {"oltp", "scarab-recs", "orm-busy", "arc-p2", "arc-p3"}  # 50,000 keys and more, which a claim takes


def whole_commands(settings):
    large = [t for t in settings.traces if trace_name(t) in LARGE]
    files = ",".join(map(str, large or settings.traces[:1]))
    if settings.quick:
        return [("hitratio", settings.with_quick("hitratio", "--trace", files, quick=["--ops", "6000"]))]
    return [("hitratio", ["hitratio", "--json", "--trace", files, *([] if large else ["--l1-bytes", "64MiB"])])]


def whole_measured(traces):
    leads = {t: 100 * (s["larder"]["hit_ratio"] - max(o["hit_ratio"] for n, o in s.items() if n != "larder"))
             for t, s in traces.items() if "larder" in s and len(s) > 1}
    if not leads:
        return "Nobody to compare with."
    worst = min(leads, key=leads.get)
    claimed = all(o["claim"] for s in traces.values() for o in s.values())
    words = f"On {worst} Larder is {leads[worst]:+.1f} points from the best of the others."
    if len(leads) > 1:
        words = (f"Ahead of the best of the others on {sum(v > 0 for v in leads.values())} of {len(leads)} traces, by "
                 f"{max(leads.values()):.1f} points at best and {leads[worst]:+.1f} at worst ({worst}).")
    return words + ("" if claimed else " No claim: that takes whole traces of 50,000 keys, 256 MiB, and all servers within 2 % of it.")


def whole_tell(folder, settings):
    record, traces = kept(folder, "hitratio"), {}
    for line in record["lines"]:
        traces.setdefault(line["trace"], {})[line["server"]] = line
    names = [n for n in SIDES if any(n in s for s in traces.values())]
    width = 0.8 / len(names)
    middle = (len(names) - 1) / 2
    series = [{"colour": SIDES[n][0], "how": "bars",
               "points": [(at + width * (i - middle), 100 * s[n]["hit_ratio"], width * 0.92) for at, s in enumerate(traces.values()) if n in s]}
              for i, n in enumerate(names)]
    rows = [[t, f"{next(iter(s.values()))['keys']:,}", *(f"{100 * s[n]['hit_ratio']:.2f} %" if n in s else "-" for n in names),
             "; ".join(f"{s[n]['grown_bytes'] / 2**20:.0f}" for n in names if n in s)] for t, s in traces.items()]
    budget = record["lines"][0]["budget_bytes"] / 2**20
    return (page.key([(*SIDES[n], "block") for n in names]) +
            page.said(f"The share of gets answered from a cache that started empty, whole servers with {budget:.0f} MiB of memory each, "
                      "as measured from outside; after a miss the value is set.",
                      "Larder's bar the highest on at least four traces of five, and nowhere more than one point below the highest.",
                      whole_measured(traces)) +
            page.figure({"says": "hit ratio by trace and server", "series": series,
                         "x": {"range": (-0.6, len(traces) - 0.4), "tics": list(enumerate(traces)), "turn": len(traces) > 2},
                         "y": {"label": "hit ratio, %", "range": (0, 100)}}) +
            page.table(["trace", "keys", *(SIDES[n][1] for n in names), "MiB grown, in this order"], rows) + again(record))


# ---- memory ----------------------------------------------------------------------------------------------------


def size_text(n):
    return f"{n:.0f} B" if n < 1024 else f"{n / 1024:.0f} KiB"


def memory_commands(settings):
    return [("memory", settings.with_quick("memory", quick=["--l1-bytes", "4MiB"]))]


def memory_tell(folder, settings):
    record = kept(folder, "memory")
    rows = record["lines"]
    kinds = [("larder", "larder", "Larder", ""), ("larder_whole", "socket", "Larder, with room that is free or dead", "dash"),
             ("redis", "redis", "redis-server", ""), ("memcached", "memcached", "memcached", "")]
    kinds = [k for k in kinds if any(k[0] in r for r in rows)]
    near = min(rows, key=lambda r: abs(r["value_bytes"] - 100))
    sizes = [r["value_bytes"] for r in rows]
    measured = f"At {near['value_bytes']} bytes: " + "; ".join(f"{words} {near[k]:.0f} B" for k, _, words, _ in kinds if k in near) + "."
    return (page.key([(c, words, dash) for _, c, words, dash in kinds]) +
            page.said("Bytes of memory an item costs beyond its key and value, by the size of the value; index and the process's own tables "
                      "included.",
                      "Low. Larder's bar is 56 bytes among 100-byte values, in 256 MiB; fixed tables weigh more in a smaller cache, "
                      "the index among larger values.", measured) +
            page.figure({"says": "overhead an item by size of value", "series": [
                {"colour": c, "how": "points", "points": [(r["value_bytes"], r[k]) for r in rows if r.get(k, 0) > 0],
                 **({"dash": DASH} if dash else {})} for k, c, _, dash in kinds],
                "x": {"label": "size of the value", "log": 10, "range": (sizes[0], sizes[-1]),
                      "tics": [(s, size_text(s)) for s in sizes if s in (16, 100, 1024, 4096, 16384)]},
                "y": {"label": "bytes beyond key and value", "log": 10}}) +
            page.details("figures", page.table(["value", *(words for _, _, words, _ in kinds)],
                                               [[size_text(r["value_bytes"]), *(f"{r[k]:.1f}" if k in r else "-" for k, *_ in kinds)] for r in rows])) + again(record))


# ---- growth ----------------------------------------------------------------------------------------------------


def count_text(n):
    return f"{n / 1e6:g} M" if n >= 1e6 else f"{n / 1e3:g} k"


def growth_commands(settings):
    return [("growth", settings.with_quick("growth"))]


def growth_tell(folder, settings):
    record = kept(folder, "growth")
    rows, names = record["lines"], ["larder_shm", "inprocess", "chase"]
    first, last = rows[0], rows[-1]
    whose = [("larder_in_loads", "Larder"), ("inprocess_in_loads", "the table")]
    loads = ", ".join(f"{who} by the price of {last[k]:.1f} loads" for k, who in whose if last.get(k) is not None)
    went = [f"{what} from {time_text(first[n]['p50_ns'])} to {time_text(last[n]['p50_ns'])}"
            for n, what in [("larder_shm", "a hit went"), ("inprocess", "one in the table"), ("chase", "one load")]]
    measured = f"From {count_text(first['items'])} to {count_text(last['items'])} items {', '.join(went)}" + (f": {loads} more." if loads else ".")
    items = [r["items"] for r in rows]
    table = page.table(["items", *(PEERS[n][1] for n in names), "Larder grown by loads", "table grown by loads"],
                       [[count_text(r["items"]), *(time_text(r[n]["p50_ns"]) for n in names),
                         *("-" if r[k] is None else f"{r[k]:.1f}" for k in ("larder_in_loads", "inprocess_in_loads"))] for r in rows])
    return (peer_key(names) +
            page.said("Time of a hit among more and more items, evenly drawn, beside a table in the own process and a bare chain of loads "
                      "through as much memory.",
                      "Lines that rise together: nothing but the memory being farther away makes a hit slower. A key not seen for long takes "
                      "at least two loads, one in the index, one in the item.", measured) +
            page.figure({"says": "time of a hit by number of items",
                         "series": [peer_series(n, [(r["items"], r[n]["p50_ns"]) for r in rows], "points") for n in names],
                         "x": {"label": "items", "log": 10, "range": (items[0], items[-1]), "tics": [(n, count_text(n)) for n in items]},
                         "y": {"label": "ns, p50 of batches", "range": (0, None)}}) + page.details("figures", table) + again(record))


# ---- a restart and a join --------------------------------------------------------------------------------------


def restart_commands(settings):
    return [("restart", settings.with_quick("bars", "--only", "restart"))]


def share_axis(label):
    return {"label": label, "range": (0, 1.1), "format": "%.1f"}


def restart_tell(folder, settings):
    record = kept(folder, "restart")
    rows = record["lines"][0]
    row = next((r for r in rows if r.get("curve")), None)
    if not row:
        return page.paragraph("; ".join(f"{r['what']}: {r['why']}" for r in rows if r["why"]) or "no figures", "warn") + again(record)
    first = next(r for r in rows if r["what"].startswith("first answer"))
    points = row["curve"]
    return (page.said("Share of gets that hit, in windows of 50 ms: two readers at a fixed rate through SIGKILL of the daemon (at 0) and its start. "
                      "Gets that nobody answered count as no hit.",
                      "A notch as wide as the start takes, and beside it the line of before: at least 95 % of it in the first second that is answered.",
                      f"First answer after {first['figure']:.0f} ms; {row['what']}: {row['figure']:.3f}.") +
            page.figure({"says": "hits around a restart", "series": [{"colour": "larder", "points": points, "width": 3}],
                         "x": {"label": "seconds since SIGKILL", "range": (points[0][0], points[-1][0])}, "y": share_axis("share of gets that hit")}) +
            again(record))


def joining_commands(settings):
    return [("joining", ["joining.py", "--json", *(["--quick"] if settings.quick else [])])]


JOINING = [("with", ("larder", "begins with the fleet's hot list", "")), ("without", ("floor", "takes no part in the hot list", "dash"))]


def joining_tell(folder, settings):
    record = kept(folder, "joining")
    row = record["lines"][0]
    series = [{"colour": colour, "points": row[way]["curve"], "width": 3 if way == "with" else 2, **({"dash": DASH} if dash else {})}
              for way, (colour, _, dash) in JOINING]
    size, keys = ("4 MiB", "50,000") if settings.quick else ("16 MiB", "200,000")
    measured = "; ".join(f"{words}: {100 * row[way]['2 s']:.0f} % within 2 s" for way, (_, words, _) in JOINING)
    return (page.key([words for _, words in JOINING]) +
            page.said(f"A host with an empty disk and an empty L1 of {size} joins a fleet under load (2,000 keys a second, open loop, zipf 0.99 of {keys} keys "
                      "of 300 B). Share of what it is asked that is in its L1, as a share of what the other host has there.",
                      "At 0.8 and more within 2 s, from a line that begins high; without the hot list every key is asked of Redis once first.",
                      f"{measured}; {row['with']['warmed']:.0f} entries pulled up.") +
            page.figure({"says": "hits of a host that joins", "series": series,
                         "x": {"label": "seconds since it answers", "range": (0, row["with"]["curve"][-1][0])}, "y": share_axis("share of what the others hit")}) +
            again(record))


# ---- bars ------------------------------------------------------------------------------------------------------


def bars_commands(settings):
    return [("bars", settings.with_quick("bars", quick=["--only", "hot"]))]


def number_text(n, unit):
    digits = 0 if n is not None and abs(n) >= 1000 else 2
    return "" if n is None else f"{n:,.{digits}f} {unit}".strip()


def goal_text(row):
    sign = {"at_most": "≤", "at_least": "≥"}[row["sense"]]
    return "" if row["goal"] is None else f"{sign} {number_text(row['goal'], row['unit'])}"


def bars_tell(folder, settings):
    record = kept(folder, "bars")
    rows = record["lines"][0]
    goals = [r for r in rows if r["goal"] is not None]
    short = sorted({r["bar"] for r in goals if r["verdict"] != "reached"})
    kinds = {(y, 4): {"reached": "reached", "MISSED": "missed", "FAILED": "missed"}.get(r["verdict"], "") for y, r in enumerate(rows)}
    kinds |= {(y, 1): "text wrap" for y in range(len(rows))}
    cells = [[r["bar"], r["what"] + (f" ({r['why']})" if r["why"] else ""), goal_text(r), number_text(r["figure"], r["unit"]), r["verdict"]]
             for r in rows]
    measured = f"{sum(r['verdict'] == 'reached' for r in goals)} of {len(goals)} reached in this run" + (f"; not: {', '.join(short)}." if short else ".")
    return (page.said("Every promise of the design that is a number, beside what one run gave; rows \"beside\" say what others have.",
                      "\"reached\" everywhere.", measured) +
            page.table(["bar", "what", "goal", "figure", "verdict"], cells, words=2, kinds=kinds) + again(record))


PARTS = [
    Part("latency", "How long a get takes", latency_commands, latency_tell),
    Part("throughput", "Throughput by requests under way", depth_commands, depth_tell),
    Part("policy", "Hit ratio by size: the eviction policy", policy_commands, policy_tell),
    Part("whole", "Hit ratio with the same memory: whole servers", whole_commands, whole_tell),
    Part("memory", "Memory an item costs", memory_commands, memory_tell),
    Part("growth", "A hit among more and more items", growth_commands, growth_tell),
    Part("restart", "Hits around a restart", restart_commands, restart_tell),
    Part("joining", "Hits of a host that joins", joining_commands, joining_tell),
    Part("bars", "The bars of the design", bars_commands, bars_tell),
]
