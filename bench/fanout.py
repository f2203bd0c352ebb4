#!/usr/bin/env python3
"""What many hosts cost one redis-server, without the hosts: connections that ask what a larderd asks, and nothing else.

    bench/fanout.py [--build build] [--hosts 50,200,1000,4000] [--json]

Two of its questions come from every host, whatever it does: the fence (20 a second) and the XREAD of the journal (one
a record, fewer when records come together).  A real larderd shows the fence (MONITOR); it is then asked by as many
connections as there are hosts, all at once, as a busy Redis sees them.  Records are as large as that of an invalidation.
Costs are Redis' own count of its processor time; `last` is when the last of all hosts could read a record.
"""
import argparse
import json
import re
import resource
import select
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

from fleet50 import Host, calls
from servers import Redis, wait_for

ASKED = 30000  # answers a measurement rests on, at least
STREAM = "{fanout}:j"
TOGETHER = 64  # records that come at once, for what one more record costs


class Hosts:
    """So many connections; each asks one question at a time."""

    def __init__(self, redis, count):
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        self.poll = select.epoll()
        for s in self.sockets:
            s.connect(str(redis.path))
            self.poll.register(s, select.EPOLLIN)
        self.of = {s.fileno(): s for s in self.sockets}

    def ask(self, question):
        for s in self.sockets:
            s.sendall(question)

    def take(self):
        """An answer of each; when the last was there.  Reads no more than it must: Redis is measured, not this."""
        missing = set(self.of)
        while missing:
            for fd, _ in self.poll.poll(5):
                self.of[fd].recv(4096)
                missing.discard(fd)
        return time.monotonic()

    def close(self):
        self.poll.close()
        for s in self.sockets:
            s.close()


def encode(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def end(process):
    if process and process.poll() is None:
        process.terminate()
        process.wait()


GET = encode([b"GET", b"{default}:ver"])


def cpu_s(redis):
    info = redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def seen_fence(redis, host):
    """The fence as a daemon sends it, binary words and all."""
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(str(redis.path))
    monitor.sendall(b"MONITOR\r\n")
    host.command("get", "somebody reads")
    lines = monitor.makefile("rb")
    while True:
        line = lines.readline()
        if b'"EVALSHA"' in line and b":hosts" in line and b" lua]" not in line:
            monitor.close()
            words = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
            return encode([w.decode("unicode_escape").encode("latin-1") for w in words])


def questions(redis, count, question):
    hosts, rounds = Hosts(redis, count), max(ASKED // count, 3)
    before, failed = cpu_s(redis), calls(redis.info(), "evalsha", "failed_calls")
    for _ in range(rounds):
        hosts.ask(question)
        hosts.take()
    if calls(redis.info(), "evalsha", "failed_calls") > failed:
        sys.exit("fanout: Redis refused the fence")
    spent = cpu_s(redis) - before
    hosts.close()
    return 1e6 * spent / (rounds * count)


def records(redis, count, together):
    """Every host waits for the journal; records come; every host has them, and asks for the next."""
    hosts, rounds = Hosts(redis, count), max(ASKED // count // (4 if together > 1 else 1), 3)
    add = f"for i = 1, {together} do redis.call('XADD', KEYS[1], '*', 'k', 'item:0123456789abcdef') end"
    question = encode([w.encode() for w in ["XREAD", "COUNT", "256", "BLOCK", "5000", "STREAMS", STREAM, "$"]])
    last, before = 0, cpu_s(redis)
    for _ in range(rounds):
        hosts.ask(question)
        wait_for(lambda: int(redis.info("clients")["blocked_clients"]) == count, "hosts")
        begin = time.monotonic()
        redis.ask("EVAL", add, "1", STREAM)
        last += hosts.take() - begin
    spent = cpu_s(redis) - before
    hosts.close()
    return 1e6 * spent / (rounds * count), 1e3 * last / rounds


def measure(options, folder):
    redis, host = Redis(folder), None
    try:
        host = Host(Path(options.build).resolve(), folder, Path(options.memory), 0, redis)
        wait_for(host.fresh, "larderd")
        question = seen_fence(redis, host)
        end(host.process)  # its session stays in Redis, and so does the right to fence
        return [measure_count(redis, count, question) for count in options.hosts]
    finally:
        for one in (host, redis):
            end(one and one.process)


def measure_count(redis, count, question):
    fence_us, get_us = questions(redis, count, question), questions(redis, count, GET)
    one_us, one_ms = records(redis, count, 1)
    many_us, many_ms = records(redis, count, TOGETHER)
    return dict(hosts=count, get_us=get_us, fence_us=fence_us, record_us=one_us, last_ms=one_ms, records_together=TOGETHER,
                together_us=many_us, together_last_ms=many_ms, further_record_us=(many_us - one_us) / (TOGETHER - 1))


def tell(rows):
    heads = ("hosts", "a plain GET", "a fence", "a record and host", "last host after", f"{TOGETHER} records and host",
             "one more record")
    print("  ".join(f"{h:>20}" for h in heads))
    for r in rows:
        cells = (f"{r['hosts']}", f"{r['get_us']:.1f} us", f"{r['fence_us']:.1f} us", f"{r['record_us']:.1f} us", f"{r['last_ms']:.2f} ms",
                 f"{r['together_us']:.1f} us", f"{r['further_record_us']:.2f} us")
        print("  ".join(f"{c:>20}" for c in cells))


def main():
    parser = argparse.ArgumentParser(description="what many hosts cost one redis-server")
    parser.add_argument("--build", default="build", help="where larderd and larder are")
    parser.add_argument("--hosts", type=lambda t: [int(x) for x in t.split(",")], default=[50, 200, 1000, 4000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("redis-server"):
        sys.exit("fanout: redis-server is not installed")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if max(options.hosts) + 100 > limit:
        sys.exit(f"fanout: no more than {limit - 100} hosts, says the limit on open files")
    with tempfile.TemporaryDirectory(prefix="larder-fanout.") as folder:
        options.memory = Path(folder) / "run"
        options.memory.mkdir()
        rows = measure(options, Path(folder))
    json.dump(rows, sys.stdout) if options.json else tell(rows)
    print(end="\n" if options.json else "")


if __name__ == "__main__":
    main()
