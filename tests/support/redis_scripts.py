"""Tests of the scripts in Redis: hosts of a fleet, each as bare as its session, and what they find afterwards.

    def a_set_is_found(fleet):
        a, b = fleet.host("a"), fleet.host("b")
        expect(a.set("k", "v").status, "OK")
        ...
    play(a_set_is_found)

A case gets a Fleet: a redis-server of its own, started, one namespace in it."""

import os
import struct
import sys

import tap
from redis_client import Redis, RedisError
from tree import ROOT

SCRIPTS = os.environ.get("LARDER_SCRIPTS", os.path.join(ROOT, "server/l2/scripts"))
sys.path.insert(0, os.path.join(ROOT, "server/l2/scripts"))
import embed  # noqa: E402

CONSTANTS = embed.constants([os.path.join(ROOT, "server/l2/record.h"), os.path.join(ROOT, "proto/shm.h")])
ABSENT, ZSTD = 0x20, 0x40
HOUR_MS = 3600 * 1000
TENDED_MS = 31 * 24 * HOUR_MS + HOUR_MS


def expect(got, wanted, what=""):
    assert got == wanted, f"{what + ': ' if what else ''}expected {wanted!r}, got {got!r}"


def data(value):
    return value if isinstance(value, bytes) else value.encode()


def script_text(name):
    return embed.joined(os.path.join(SCRIPTS, name + ".lua"), CONSTANTS)


# ---- bytes (server/l2/record.h) -------------------------------------------------------------------------


def tail(value, tags=(), id=1, user_flags=0, schema=0, bits=0):
    """The check is left 0: only the daemon looks at it."""
    packed = b"".join(struct.pack("<H", len(data(tag))) + data(tag) for tag in tags)
    return struct.pack("<II", 0, id | (len(tags) | bits) << 24) + struct.pack("<II", user_flags, schema) + packed + data(value)


class Record:
    """An entry's bytes, taken apart."""

    def __init__(self, stored):
        assert stored[:3] == b"Ld\1", stored[:3]
        self.epoch, self.v = stored[3:11], int.from_bytes(stored[11:18], "little")
        self.born = int.from_bytes(stored[18:24], "little")
        self.soft, self.hard, _, shape, self.user_flags, self.schema = struct.unpack("<IIIIII", stored[24:48])
        self.id, shape = shape & 0xffffff, shape >> 24
        self.tags, at = [], 48
        for _ in range(shape & 0x1f if len(stored) > 48 else 0):
            size = struct.unpack_from("<H", stored, at)[0]
            self.tags.append(stored[at + 2:at + 2 + size])
            at += 2 + size
        self.value = stored[at:]
        self.version = stored[3:18] + stored[36:39]


# ---- a host ---------------------------------------------------------------------------------------------


class Answer:
    """A reply with names; `status` is the error's word when there is one."""

    def __init__(self, reply, *names):
        self.reply = reply
        if isinstance(reply, RedisError):
            self.status = reply.word()
            return
        for name, value in zip(names, reply):
            setattr(self, name, value.decode() if name in ("status", "reason", "verdicts", "policy") else value)

    def __repr__(self):
        return f"Answer({self.reply!r})"


class Host:
    """A sidecar reduced to its session.  What it answers is what Redis said."""

    def __init__(self, fleet, name):
        self.fleet, self.name, self.client = fleet, name, fleet.redis.client()
        self.epoch, self.session, self.maxlen, self.names_max, self.parts = b"\0" * 8, b"\0" * 8, 100000, 1000000, 1
        self.seen = 0

    def hello(self):
        old, self.session = self.session, os.urandom(8)
        answer = Answer(self.run("hello", ["hosts", "marks"], [self.parts, self.epoch, self.seen], epoch=os.urandom(8)), "epoch", "v", "first", "ms", "killed", "floor",
                        "renewed", "version", "policy", "used_bytes", "max_bytes")
        if isinstance(answer.reply, RedisError):
            self.session = old
        else:
            self.epoch, answer.status = answer.epoch, "OK"
        return answer

    def run(self, script, own_keys, arguments, epoch=None):
        self.send(script, own_keys, arguments, epoch)
        return self.client.receive()

    def send(self, script, own_keys, arguments, epoch=None):
        keys = [self.fleet.key(name) for name in ["inc", "ver", "j", "tags", *own_keys]]
        self.client.send("EVAL", script_text(script), len(keys), *keys, epoch or self.epoch, "s:" + self.name, self.session,
                         *arguments)

    @staticmethod
    def pair(key):
        return [b"e:" + data(key), b"l:" + data(key)]

    def set_words(self, key, value, ttl=60000, soft=None, condition=b"", **shape):
        packed = b"" if value is None else tail(value, **shape)
        return self.pair(key), [self.maxlen, condition, ttl if soft is None else soft, ttl, packed]

    def set(self, *arguments, **options):
        answer = self.run("set", *self.set_words(*arguments, **options))
        third = "ms" if isinstance(answer, list) and answer[0] == b"OK" else "head"
        return Answer(answer, "status", "v", third)

    def fill(self, key, value, proof, ttl=60000, soft=None, **shape):
        reply = self.run("fill", self.pair(key), [self.maxlen, proof, ttl if soft is None else soft, ttl, tail(value, **shape)])
        refused = isinstance(reply, list) and reply[0] == b"REFUSED"
        return Answer(reply, "status", "v", *(["reason"] if refused else ["ms", "recorded"]))

    def invalidate(self, *keys, names=(), how="hard"):
        pairs = [one for key in keys for one in self.pair(key)]
        answer = Answer(self.run("invalidate", pairs, [self.maxlen, how, self.names_max, *names]), "v", "dropped")
        if not isinstance(answer.reply, RedisError):
            answer.status = "OK"
        return answer

    def touch(self, key, ttl, soft=None):
        return Answer(self.run("touch", self.pair(key)[:1], [ttl if soft is None else soft, ttl]), "status", "v", "ms", "head")

    def getl(self, key, lease_ms=10000, ahead_ms=0):
        reply = self.run("getl", self.pair(key), [os.urandom(8), lease_ms, *([ahead_ms] if ahead_ms else [])])
        names = {b"HIT": ["ms", "stale", "record", "token"], b"LEASE": ["ms", "token"], b"BUSY": ["ms", "left_ms"],
                 b"RESTS": ["ms", "left_ms"], b"MISS": ["ms"]}
        return Answer(reply, "status", "v", *(names[reply[0]] if isinstance(reply, list) else []))

    def get(self, key):
        """The exact get: the value, or None."""
        answer = self.getl(key, 0)
        return Record(answer.record).value if answer.status == "HIT" else None

    def same(self, *keys_and_versions):
        pairs = list(zip(keys_and_versions[::2], keys_and_versions[1::2]))
        return Answer(self.run("same", [b"e:" + data(key) for key, _ in pairs], [version for _, version in pairs]),
                      "v", "ms", "verdicts")

    def renew(self, key, token, ms):
        return self.run("renew", self.pair(key)[1:], [token, ms])

    def drop(self, key, token, rest_ms=0):
        return self.run("drop", self.pair(key)[1:], [self.maxlen, token, rest_ms])

    def fence(self, keep_ms=TENDED_MS):
        answer = Answer(self.run("fence", ["hosts", "marks"], [keep_ms]), "v", "ms")
        if not isinstance(answer.reply, RedisError):
            answer.status = "OK"
        return answer


# ---- the fleet ------------------------------------------------------------------------------------------


class Fleet:
    def __init__(self):
        self.redis, self.space = Redis(), b"{shop}:"

    def key(self, name):
        return self.space + data(name)

    def host(self, name):
        host = Host(self, name)
        expect(host.hello().status, "OK")
        return host

    def ask(self, *words):
        """Redis itself, as somebody with redis-cli."""
        client = self.redis.client()
        return client.call(*words)

    def journal(self):
        """[(id, [(kind, name)...])...], ids as text."""
        found = self.ask("XRANGE", self.key("j"), "-", "+")
        return [(id.decode(), [(fields[i].decode(), fields[i + 1]) for i in range(0, len(fields), 2)]) for id, fields in found]

    def stored(self, key):
        """The record of a key, dead or alive, or None."""
        found = self.ask("GET", self.key(b"e:" + data(key)))
        return found and Record(found)

    def everything(self):
        """All that is in Redis, for `nothing changed`.  Clocks move: a life is not compared."""
        return {key: self.content(key) for key in sorted(self.ask("KEYS", "*"))}

    def content(self, key):
        """As bytes; of a hash as its fields in order, since Redis moves them about while it looks into them."""
        if self.ask("TYPE", key) != b"hash" and self.ask("TYPE", key) != "hash":
            return self.ask("DUMP", key)
        fields = self.ask("HGETALL", key)
        return sorted(zip(fields[::2], fields[1::2]))

    def unchanged(self, act, *arguments, **options):
        """Does it, and asserts that nothing is different; returns its answer."""
        before = self.everything()
        answer = act(*arguments, **options)
        after = self.everything()
        expect(sorted(after), sorted(before), "keys")
        expect([key for key in before if before[key] != after[key]], [], "changed keys")
        return answer


def play(*cases, **options):
    """All of them, or those the command line names."""
    report = tap.Report()
    for case in [case for case in cases if case.__name__ in (sys.argv[1:] or [case.__name__])]:
        with report.case(case.__name__.replace("_", " ")):
            fleet = Fleet()
            try:
                fleet.redis.start(**options)
                case(fleet)
            finally:
                fleet.redis.finish()
    report.end()
