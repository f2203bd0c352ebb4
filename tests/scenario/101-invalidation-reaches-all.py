"""invalidate on one host reaches the others, by key, tag, prefix and all, hard and soft; and nothing beside it (C2)."""

import wire_client as wire
from fleet import play
from scenario import expect, until

KEY, BESIDE = b"user:1:name", b"page:1"


def reaches(fleet, **named):
    a, b = fleet.start(2)
    reader = b.puppet()
    fleet.share(KEY, b"v", a, b, tags=[b"users"])
    fleet.share(BESIDE, b"w", a, b, tags=[b"pages"])
    until(lambda: reader.ask("get", KEY.decode())[1] == "near", "the library maps it")
    expect(a.ask().invalidate(**named).status, wire.OK)
    expect(a.ask().get(KEY).status, wire.MISS, "on the host itself, at once")
    b.until_missed(KEY)
    expect(reader.ask("get", KEY.decode())[0], "MISS", "seen by the library")
    return a, b


def by_key(fleet):
    a, b = reaches(fleet, keys=[KEY])
    expect((a.ask().get(BESIDE).value, b.ask().get(BESIDE).value), (b"w", b"w"))


def by_tag(fleet):
    a, b = reaches(fleet, tags=[b"users"])
    expect((a.ask().get(BESIDE).value, b.ask().get(BESIDE).value), (b"w", b"w"))


def by_prefix(fleet):
    a, b = reaches(fleet, prefixes=[b"user:1:"])
    expect((a.ask().get(BESIDE).value, b.ask().get(BESIDE).value), (b"w", b"w"))


def everything(fleet):
    a, b = reaches(fleet, all=True)
    expect((a.ask().get(BESIDE).status, b.ask().get(BESIDE).status), (wire.MISS, wire.MISS))


def what_is_set_after_its_tag_was_killed_lives(fleet):
    a, b = reaches(fleet, tags=[b"users"])
    expect(a.ask().set(KEY, b"new", tags=[b"users"]).status, wire.OK)
    expect(b.ask().get(KEY).value, b"new")


def softly_it_is_stale_everywhere_and_gone_nowhere(fleet):
    a, b = fleet.start(2)
    fleet.share(KEY, b"v", a, b, stale_ms=60000, ttl_ms=60000, tags=[b"users"])
    for n, named in enumerate([{"keys": [KEY]}, {"tags": [b"users"]}]):
        a.ask().set(KEY, b"v%d" % n, ttl_ms=60000, stale_ms=60000, tags=[b"users"])
        b.has_read(KEY, b"v%d" % n)
        expect(a.ask().invalidate(soft=True, **named).status, wire.OK)
        until(lambda: b.ask().get(KEY).flags & wire.STALE, f"stale on the other host: {named}")
        expect(b.ask().get(KEY).value, b"v%d" % n)


play(by_key, by_tag, by_prefix, everything, what_is_set_after_its_tag_was_killed_lives,
     softly_it_is_stale_everywhere_and_gone_nowhere)
