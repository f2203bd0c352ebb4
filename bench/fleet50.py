#!/usr/bin/env python3
"""A fleet of many daemons on one redis-server, and what everything costs whom.

    bench/fleet50.py [--build build] [--hosts 50] [--rates 100,1000,5000] [--seconds 6] [--json]

What must stay true: whatever is started here ends here; costs are differences of counters that Redis and the kernel
keep (INFO, /proc), so that a busy machine makes them later, not larger; only lags are times, and they carry the floor
of their own run.  server/doc/scale.md says what follows from the figures.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import Redis, wait_for

IDLE_AFTER_S = 11  # a namespace without reads for 10 s asks for no promise any more (server/l2/fence.h)
L1 = "4MiB"


def interrupted(*_):
    sys.exit(1)


def calls(info, command, count="calls"):
    fields = dict(f.split("=") for f in info.get("cmdstat_" + command, "").split(",") if f)
    return float(fields.get(count, 0))


class Host:
    """One larderd, as it would run beside an app of its own."""

    def __init__(self, build, folder, memory, number, redis):
        self.build, self.home = build, folder / str(number)
        self.home.mkdir()
        runtime = memory / str(number)
        runtime.mkdir(mode=0o700)
        (self.home / "larder.conf").touch()
        self.path = self.home / "s"
        self.process = subprocess.Popen(
            [build / "larderd", "--config", self.home / "larder.conf", "--socket", self.path, "--state",
             self.home / "state", "--runtime", runtime, "--l1-bytes", L1, "--warm", "off", "--log-level", "warn",
             "--redis", f"unix:{redis.path}"],
            stdout=subprocess.DEVNULL, stderr=(self.home / "log").open("w"))

    def command(self, *words):
        return subprocess.run([self.build / "larder", "-s", self.path, *words], capture_output=True, text=True)

    def fresh(self):
        answer = self.command("--json", "health").stdout
        return answer and json.loads(answer)["state"] == "FRESH"

    def cpu_s(self):
        return sum(int((t / "schedstat").read_text().split()[0]) for t in self.proc("task").iterdir()) / 1e9

    def proc(self, name):
        return Path("/proc") / str(self.process.pid) / name

    def memory(self):
        """Proportional set size: of all, of the shared segment, of files (the program and its libraries)."""
        sums, kind = dict(all=0, memfd=0, files=0, own=0), "own"
        for line in self.proc("smaps").read_text().splitlines():
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                path = words[5] if len(words) > 5 else ""
                kind = "memfd" if "memfd:" in path else "files" if path.startswith("/") else "own"
            elif words[0] == "Pss:":
                sums["all"] += int(words[1])
                sums[kind] += int(words[1])
        return sums


# ---- measuring ------------------------------------------------------------------------------------------------

class Span:
    """Counters before and after something."""

    def __init__(self, redis, hosts):
        self.redis, self.hosts = redis, hosts
        self.before, self.cpu_before = self.look()

    def look(self):
        v = int(self.redis.ask("GET", "{default}:ver") or 0)
        return dict(self.redis.info(), v=v, at=time.monotonic()), [h.cpu_s() for h in self.hosts]

    def end(self):
        after, cpu = self.look()
        before, count = self.before, len(self.hosts)
        delta = lambda name: float(after[name]) - float(before[name])
        spent = lambda command, count: calls(after, command, count) - calls(before, command, count)
        hosts = [b - a for a, b in zip(self.cpu_before, cpu)]
        seconds = after["at"] - before["at"]
        return dict(
            seconds=seconds, mutations=delta("v"), scripts=spent("evalsha", "calls"),
            xreads=spent("xread", "calls"), script_us=spent("evalsha", "usec"), xread_us=spent("xread", "usec"),
            redis_cpu_s=delta("used_cpu_user") + delta("used_cpu_sys"), sent_bytes=delta("total_net_output_bytes"),
            received_bytes=delta("total_net_input_bytes"), first_cpu_s=hosts[0],
            other_cpu_s=sum(hosts[2:]) / (count - 2) if count > 2 else hosts[1])


def read_everywhere(hosts):
    for h in hosts:
        h.command("get", "somebody reads")


def quiet(redis, hosts, seconds):
    span = Span(redis, hosts)
    time.sleep(seconds)
    return span.end()


def changing(redis, hosts, build, rate, seconds):
    """The first changes, the last is looked at; all are read, so all fence."""
    read_everywhere(hosts)
    span = Span(redis, hosts)
    done = subprocess.run([build / "larder-bench", "lag", "--json", "--socket", hosts[0].path, "--other",
                           hosts[-1].path, "--mutations", str(rate), "--duration", str(seconds)],
                          capture_output=True, text=True)
    figures = span.end()
    figures["lag"] = json.loads(done.stdout) if done.returncode == 0 else None
    figures["why"] = done.stderr.strip()
    return figures


def measure(options, folder, memory):
    build = Path(options.build).resolve()
    redis, hosts = Redis(folder), []
    try:
        used = int(redis.info()["used_memory"])
        for n in range(options.hosts):
            hosts.append(Host(build, folder, memory, n, redis))
        for h in hosts:
            wait_for(h.fresh, f"host {hosts.index(h)}")
        time.sleep(IDLE_AFTER_S)
        result = dict(hosts=options.hosts, connections=int(redis.info()["connected_clients"]) - 1,
                      redis_bytes_a_host=(int(redis.info()["used_memory"]) - used) / options.hosts)
        result["idle"] = quiet(redis, hosts, options.seconds)
        read_everywhere(hosts)
        result["fencing"] = quiet(redis, hosts, min(options.seconds, IDLE_AFTER_S - 4))
        result["memory"] = hosts[len(hosts) // 2].memory()
        result["changing"] = [dict(changing(redis, hosts, build, r, options.seconds), rate=r) for r in options.rates]
        result["memory_after"] = hosts[len(hosts) // 2].memory()
        result["largest_pss_kib"] = max(h.memory()["all"] for h in hosts)
        return result
    finally:
        for p in [h.process for h in hosts] + [redis.process]:
            p.terminate()
        for p in [h.process for h in hosts] + [redis.process]:
            p.wait()


# ---- telling --------------------------------------------------------------------------------------------------

def us(cpu_s, count):
    return f"{1e6 * cpu_s / count:.1f} us" if count else "-"


def tell(r):
    n, idle, fencing = r["hosts"], r["idle"], r["fencing"]
    fence_cpu = fencing["redis_cpu_s"] - idle["redis_cpu_s"] * fencing["seconds"] / idle["seconds"]
    print(f"{n} hosts, {r['connections']} connections to Redis, {r['redis_bytes_a_host'] / 1024:.0f} KiB a host there")
    m, after = r["memory"], r["memory_after"]
    print(f"a daemon's PSS {m['all']} KiB (shared segment {m['memfd']}, own {m['own']}, program and libraries "
          f"{m['files']}); after the load {after['all']}, largest {r['largest_pss_kib']}")
    print(f"idle: a daemon {100 * idle['other_cpu_s'] / idle['seconds']:.2f} % of a core, "
          f"Redis {100 * idle['redis_cpu_s'] / idle['seconds']:.2f} %, {idle['xreads'] / n / idle['seconds']:.1f} XREAD/s a host")
    print(f"read: a daemon {100 * fencing['other_cpu_s'] / fencing['seconds']:.2f} % of a core, "
          f"Redis {100 * fencing['redis_cpu_s'] / fencing['seconds']:.2f} %, "
          f"{fencing['scripts'] / n / fencing['seconds']:.1f} fences/s a host, a fence {us(fence_cpu, fencing['scripts'])} "
          f"of Redis in all, {us(fencing['script_us'] / 1e6, fencing['scripts'])} in the script")
    print(f"{'asked/s':>8}{'done/s':>8}{'Redis':>8}{'Redis a change':>16}{'script':>10}{'XREAD':>10}{'a record and host':>19}"
          f"{'records/XREAD':>15}{'other host a record':>21}{'lag p50':>10}{'p99':>10}{'floor p50':>11}")
    for c in r["changing"]:
        tell_change(c, n, fence_cpu / fencing["seconds"])


def tell_change(c, n, fence_share):
    v, told = c["mutations"], c["mutations"] * n
    if not c["lag"] or not v:
        print(f"{c['rate']:>8}  no figures: {c['why']}")
        return
    lag, floor = c["lag"]["from_call"], c["lag"]["floor"]
    print(f"{c['rate']:>8}{v / c['seconds']:>8.0f}{100 * c['redis_cpu_s'] / c['seconds']:>7.0f}%"
          f"{us(c['redis_cpu_s'] - fence_share * c['seconds'], v):>16}{us(c['script_us'] / 1e6, c['scripts']):>10}"
          f"{us(c['xread_us'] / 1e6, c['xreads']):>10}{c['sent_bytes'] / told:>17.0f} B{told / max(c['xreads'], 1):>15.1f}"
          f"{us(c['other_cpu_s'], v):>21}{lag['p50_ns'] / 1e6:>7.2f} ms{lag['p99_ns'] / 1e6:>7.2f} ms"
          f"{floor['p50_ns'] / 1e3:>8.0f} us")


def main():
    parser = argparse.ArgumentParser(description="many daemons on one redis-server: lag, processor time, memory")
    parser.add_argument("--build", default="build", help="where larderd, larder and larder-bench are")
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--rates", type=lambda t: [int(x) for x in t.split(",")], default=[100, 1000, 5000],
                        help="changes a second through the first host, one run each")
    parser.add_argument("--seconds", type=float, default=6, help="of each run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.hosts < 2:
        parser.error("a fleet has two hosts at least")
    if not shutil.which("redis-server"):
        sys.exit("fleet50: redis-server is not installed")
    signal.signal(signal.SIGTERM, interrupted)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="larder-fleet.") as folder, \
            tempfile.TemporaryDirectory(prefix="larder-fleet.", dir=base) as memory:
        result = measure(options, Path(folder), Path(memory))
    json.dump(result, sys.stdout) if options.json else tell(result)
    print(end="\n" if options.json else "")


if __name__ == "__main__":
    main()
