"""A client of larderd written from proto/WIRE.md alone: standard library only, no code shared with the daemon.

Synchronous, one socket, no shared memory unless asked for.  `send` and `receive` are public, so that tests can
pipeline, and misbehave."""

import json
import socket
import struct
import time
from collections import namedtuple

VERSION = 3  # of the protocol
HELLO, WELCOME, RESULT, PING, PONG, GET, VALUES, SET, OUTCOMES, TOUCH, INVALIDATE = range(1, 12)
KEYS, PAGE, STATS, HEALTH, EXPLAIN, CONFIG, DOCUMENT, DOCTOR = range(12, 20)
MONITOR, LOG, REPORT, OPERATIONS = 48, 50, 51, 52
OK, HIT, ABSENT, NOT_MODIFIED, QUEUED, LOCAL, SKIPPED = range(7)
LEASE, FAIL, GIVE_TAGS, THROTTLE, EVENT, ALLOWANCE, PULL, PROGRESS, OFFER, LOAD, LISTED = 32, 34, 35, 36, 37, 38, 40, 41, 43, 44, 45
MISS, EXISTS, NOT_FOUND, CONFLICT, REFUSED, ALONE, LEASED, WAIT, LIMITED, LOAD_FAILED = range(32, 42)
BAD_FRAME, BAD_REQUEST, UNSUPPORTED, BAD_VERSION, NO_NAMESPACE, BAD_KEY, TOO_BIG, LIMIT = range(65, 73)
UNKNOWN, BUSY, TIMEOUT, DRAINING, DETACHED, DENIED, BAD_SHAPE = 64, 73, 74, 75, 76, 77, 80
TTL_DEFAULT = 2**64 - 1
IF_ABSENT, IF_PRESENT, IF_VERSION, WAIT_ALL = 1, 2, 4, 8
REASON_EXPIRED, REASON_INVALIDATED, REASON_SUSPECT, REASON_DETACHED, REASON_STALE = 2, 3, 4, 5, 6
REASON_COLD, REASON_DISABLED, REASON_EVICTED, REASON_TOO_BIG, REASON_SCHEMA, REASON_UNNAMED = 1, 7, 10, 11, 12, 13
GET_TAGS = 8
L1, WARM, L2 = 1, 2, 3
STALE, IS_LOCAL, IS_DETACHED, TOO_BIG_FOR_L1, LOADED = 1, 2, 4, 8, 16
WITH_TAGS = 8
HOST, FLEET = 1, 2
NO_BACKOFF = 2**32 - 1
MORE, EVERYTHING, CANCEL, ASK_LOADERS = 1, 2, 4, 8
NOTHING, KEY, TAG, PREFIX, GLOB, ALL = range(6)  # what an operation named
UNDER_WAY, DONE, CANCELLED, FAILED = 1, 2, 3, 4

Entry = namedtuple("Entry", "status reason tier flags user_flags schema ttl_ms fresh_ms epoch v id token value tags",
                   defaults=[[]])
Outcome = namedtuple("Outcome", "status ttl_ms partition epoch v id")
Result = namedtuple("Result", "status message count partition epoch v")
Allowance = namedtuple("Allowance", "status flags remaining reset_ms retry_ms max")
Progress = namedtuple("Progress", "state taken total_known total done loaded here missing others brought failed elapsed_ms why")
Load = namedtuple("Load", "kind key token hold_ms pattern")
Held = namedtuple("Held", "key tier ttl_ms bytes")
Operation = namedtuple("Operation", "at_us op named name names status reason tier flags bytes ttl_ms dropped took_ns client pid event trace")
Operations = namedtuple("Operations", "left_out near_hits operations")
Welcome = namedtuple("Welcome", "version daemon namespace mode partitions incarnation key_max value_max batch_max "
                                "frame_max descriptors why_no_segment")


class Closed(Exception):
    """The daemon closed the connection."""


class Refused(Exception):
    """RESULT where another reply was expected."""

    def __init__(self, result):
        super().__init__(f"status {result.status}: {result.message}")
        self.result = result


# ---- msgpack ----------------------------------------------------------------------------------------------


def _sized(size, narrow, *forms):
    """The head of a value with a length: `narrow` (base, limit) or the first of `forms` that has room."""
    if narrow and size < narrow[1]:
        return bytes([narrow[0] | size])
    for first, form, limit in forms:
        if size < limit:
            return bytes([first]) + struct.pack(form, size)
    raise ValueError("too long")


def pack(value):
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _sized(value, (0, 0x80), (0xCC, ">B", 2**8), (0xCD, ">H", 2**16), (0xCE, ">I", 2**32), (0xCF, ">Q", 2**64))
    if isinstance(value, bytes):
        return _sized(len(value), None, (0xC4, ">B", 2**8), (0xC5, ">H", 2**16), (0xC6, ">I", 2**32)) + value
    if isinstance(value, str):
        text = value.encode()
        return _sized(len(text), (0xA0, 32), (0xD9, ">B", 2**8), (0xDA, ">H", 2**16), (0xDB, ">I", 2**32)) + text
    return _sized(len(value), (0x90, 16), (0xDC, ">H", 2**16), (0xDD, ">I", 2**32)) + b"".join(map(pack, value))


NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
LENGTHS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I"}


def unpack(data, at=0):
    """One value and where the next begins."""
    first, at = data[at], at + 1
    if first <= 0x7F:
        return first, at
    if first in (0xC2, 0xC3):
        return first == 0xC3, at
    if first in NUMBERS:
        return struct.unpack_from(NUMBERS[first], data, at)[0], at + struct.calcsize(NUMBERS[first])
    if first in LENGTHS:
        size, at = struct.unpack_from(LENGTHS[first], data, at)[0], at + struct.calcsize(LENGTHS[first])
    elif 0x90 <= first <= 0xBF:
        size, first = (first & 0x0F, 0xDC) if first < 0xA0 else (first & 0x1F, 0xD9)
    else:
        raise ValueError(f"byte {first:02x} begins no value of this protocol")
    if first in (0xDC, 0xDD):
        return _unpack_array(data, at, size)
    body = bytes(data[at:at + size])
    return (body.decode() if first in (0xD9, 0xDA, 0xDB) else body), at + size


def _unpack_array(data, at, count):
    values = []
    for _ in range(count):
        value, at = unpack(data, at)
        values.append(value)
    return values, at


def _take(kind, fields):
    """The fields we know; a later version may have appended others."""
    return kind(*fields[:len(kind._fields)])


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


# ---- the client -------------------------------------------------------------------------------------------


def _words(arguments):
    """Name and value in turn."""
    words = [word for name_value in arguments.items() for word in name_value]
    return [w.encode() if isinstance(w, str) else w for w in words]


class Client:
    def __init__(self, path, namespace="", tenant="", want=0, hello=True, seconds=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.last_id, self.descriptors = 0, []
        self.welcome = self.hello(namespace, tenant, want) if hello else None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def hello(self, namespace="", tenant="", want=0, versions=(1, VERSION)):
        clocks = [time.clock_gettime_ns(clock) for clock in (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)]
        self.send(HELLO, *versions, namespace, tenant, "wire_client.py", want, *clocks)
        first, self.descriptors, _, _ = socket.recv_fds(self.socket, 1, 2)
        return _take(Welcome, self._expect(WELCOME, self.receive(first)))

    def send(self, code, *fields, id=None):
        self.last_id = id if id is not None else self.last_id + 1
        self.socket.sendall(frame(pack([code, self.last_id, *fields])))
        return self.last_id

    def receive(self, begun=b""):
        """The next message, whatever it is: (code, id, fields)."""
        length = struct.unpack(">I", self._read(4, begun))[0]
        (code, id, *fields), end = unpack(self._read(length))
        assert end == length, "bytes behind the message"
        return code, id, fields

    def _read(self, count, begun=b""):
        data = bytearray(begun)
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), 1 << 20))
            if not more:
                raise Closed()
            data += more
        return bytes(data)

    def _expect(self, code, message):
        got, id, fields = message
        if got == RESULT and code != RESULT:
            raise Refused(_take(Result, fields))
        assert (got, id) == (code, self.last_id), f"expected message {code} with id {self.last_id}, got {got} with {id}"
        return fields

    def call(self, reply, code, *fields):
        self.send(code, *fields)
        return self._expect(reply, self.receive())

    def ping(self, payload=b"?"):
        return self.call(PONG, PING, payload)[0]

    def mget(self, keys, flags=0, tiers=0, timeout_ms=0, version=(0, 0, 0), after=(0, 0, 0), trace="", schema=0):
        entries = self.call(VALUES, GET, flags, tiers, timeout_ms, *version, list(keys), *after, trace, schema)[0]
        return [_take(Entry, e) for e in entries]

    def get(self, key, **options):
        return self.mget([key], **options)[0]

    def item(self, key, value, ttl_ms=TTL_DEFAULT, stale_ms=TTL_DEFAULT, user_flags=0, schema=0, absent=False, tags=(),
             token=b"", version=(0, 0, 0)):
        return [key, value, ttl_ms, stale_ms, user_flags, schema, absent, list(tags), token, *version]

    def mset(self, items, flags=0, tiers=0, timeout_ms=0):
        return [_take(Outcome, o) for o in self.call(OUTCOMES, SET, flags, tiers, timeout_ms, list(items))[0]]

    def set(self, key, value, flags=0, tiers=0, timeout_ms=0, **item):
        return self.mset([self.item(key, value, **item)], flags, tiers, timeout_ms)[0]

    def send_lease(self, keys, flags=0, tiers=0, scope=0, wait_ms=0, hold_ms=0, refresh_ms=0, after=(0, 0, 0), schema=0):
        return self.send(LEASE, flags, tiers, scope, wait_ms, hold_ms, refresh_ms, list(keys), *after, "", schema)

    def mlease(self, keys, **options):
        self.send_lease(keys, **options)
        return self.entries()

    def entries(self):
        """Of the request sent last."""
        return [_take(Entry, e) for e in self._expect(VALUES, self.receive())[0]]

    def lease(self, key, **options):
        return self.mlease([key], **options)[0]

    def fail(self, key, token, backoff_ms=0):
        return _take(Result, self.call(RESULT, FAIL, key, token, backoff_ms))

    def limit(self, key, max, window_ms, cost=1, alone=0, timeout_ms=0):
        return _take(Allowance, self.call(ALLOWANCE, THROTTLE, timeout_ms, key, max, window_ms, cost, alone))

    def limit_named(self, name, key=b"", cost=1, **arguments):
        return _take(Allowance, self.call(ALLOWANCE, THROTTLE, 0, key, 0, 0, cost, 0, name, _words(arguments)))

    def warm(self, keys=(), prefixes=(), tags=(), flags=0, policy=""):
        """WARM; the answer tells how far it is."""
        return _take(Progress, self.call(PROGRESS, PULL, flags, *map(list, (keys, prefixes, tags)), policy))

    def send_offer(self, *patterns, wait_ms=60000, hold_ms=0, lists=0):
        return self.send(OFFER, wait_ms, hold_ms, list(patterns), lists)

    def listed(self, token, keys, flags=0):
        return _take(Result, self.call(RESULT, LISTED, flags, token, list(keys)))

    def load(self):
        """What the daemon asks for, in answer to the offer sent last."""
        return _take(Load, self._expect(LOAD, self.receive()))

    def offer(self, *patterns, **options):
        self.send_offer(*patterns, **options)
        return self.load()

    def tag(self, key, *tags, wait_all=False, timeout_ms=0):
        return _take(Outcome, self.call(OUTCOMES, GIVE_TAGS, wait_all * WAIT_ALL, timeout_ms, [key], list(tags))[0][0])

    def touch(self, key, ttl_ms, stale_ms=0):
        return _take(Outcome, self.call(OUTCOMES, TOUCH, 0, ttl_ms, stale_ms, [key])[0][0])

    def invalidate(self, keys=(), tags=(), prefixes=(), soft=False, dry_run=False, all=False, globs=(), timeout_ms=0,
                   wait_all=False):
        flags = soft * 1 + dry_run * 2 + all * 4 + wait_all * WAIT_ALL
        return _take(Result, self.call(RESULT, INVALIDATE, flags, timeout_ms, *map(list, (keys, tags, prefixes, globs))))

    def event(self, name, soft=False, dry_run=False, wait_all=False, timeout_ms=0, **arguments):
        flags = soft * 1 + dry_run * 2 + wait_all * WAIT_ALL
        return _take(Result, self.call(RESULT, EVENT, flags, timeout_ms, name, _words(arguments)))

    def keys(self, prefix=b"", limit=0):
        cursor, held = b"", []
        while True:
            cursor, page = self.call(PAGE, KEYS, cursor, prefix, limit)[:2]
            held += [_take(Held, h) for h in page]
            if not cursor:
                return held

    def document(self, code, *fields):
        return json.loads(self.call(DOCUMENT, code, *fields)[0])

    def explain(self, key):
        return self.document(EXPLAIN, key)

    def stats(self):
        return self.document(STATS)

    def health(self):
        return self.document(HEALTH)

    def doctor(self, timeout_ms=0):
        return self.document(DOCTOR, timeout_ms)

    def log(self, back_ms=0, limit=0):
        return self.document(LOG, back_ms, limit)

    def report(self, days=30, by="day", first=0):
        return self.document(REPORT, days, ["day", "policy", "tenant", "resource", "minute"].index(by), first)

    def send_monitor(self, *globs, ops=(), wait_ms=0, flags=0):
        return self.send(MONITOR, flags, wait_ms, list(map(str.encode, ops)), list(globs))

    def monitored(self):
        """In answer to the request sent last."""
        left_out, near_hits, operations = self._expect(OPERATIONS, self.receive())[:3]
        return Operations(left_out, near_hits, [_take(Operation, o) for o in operations])

    def monitor(self, *globs, **options):
        self.send_monitor(*globs, **options)
        return self.monitored()


def version(entry):
    """Of an Entry or an Outcome, for `version` of IF_VERSION."""
    return entry.epoch, entry.v, entry.id


def position(change):
    """Of an Outcome or a Result, for `after`."""
    return change.partition, change.epoch, change.v
