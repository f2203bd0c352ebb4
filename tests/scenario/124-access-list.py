"""A Redis that is not ours: a user with a short access list.  What scripts/README.md lists is enough; CLIENT, CONFIG and
SCRIPT are not needed; and what is missing is named, by health and by the doctor."""

import re

import wire_client as wire
from fleet import play
from scenario import expect, until
from tree import read

LISTED = re.search(r"### ACL\n`([^`]*)`", read("server/l2/scripts/README.md")).group(1).replace("<prefix>", "").split()


def two_as(fleet, *rights):
    """Two hosts of a user with these rights and no others, not joined yet."""
    fleet.redis()
    expect(allow(fleet, *rights), b"OK")
    hosts = [fleet.host(), fleet.host()]
    for host in hosts:
        host.configure_fleet(url=f"redis://app:secret@127.0.0.1:{host.proxy.port}")
        host.start()
    return hosts


def allow(fleet, *rights):
    return fleet.servers[0].client().call("ACL", "SETUSER", "app", "on", ">secret", "resetkeys", "-@all", *rights)


def all_verbs_work(fleet, a, b):
    for host in (a, b):
        host.until_fresh()
    fleet.share(b"k", b"v", a, b, tags=[b"t"])
    fleet.share(b"user:1", b"v", a, b)
    expect(b.ask().touch(b"k", 120000).status, wire.OK)
    expect(b.ask().set(b"k", b"w", flags=wire.IF_ABSENT).status, wire.EXISTS)
    token = b.ask().get(b"filled").token
    expect(b.ask().set(b"filled", b"v", token=token).status, wire.OK)
    a.has_read(b"filled", b"v")
    lease = a.ask().lease(b"loaded", scope=wire.FLEET)
    expect((lease.status, b.ask().lease(b"loaded", scope=wire.FLEET).status), (wire.LEASED, wire.WAIT))
    expect(a.ask().set(b"loaded", b"v", token=lease.token).status, wire.OK)
    b.has_read(b"loaded", b"v")
    lease = b.ask().lease(b"not to be had", scope=wire.FLEET)
    expect(b.ask().fail(b"not to be had", lease.token, backoff_ms=60000).status, wire.OK)
    for change, key in [({"tags": [b"t"]}, b"k"), ({"prefixes": [b"user:"]}, b"user:1"), ({"keys": [b"filled"]}, b"filled")]:
        expect(a.ask().invalidate(wait_all=True, **change).status, wire.OK)
        expect(b.ask().get(key).status, wire.MISS)
    fleet.share(b"soft", b"v", a, b)
    expect(a.ask().invalidate(keys=[b"soft"], soft=True).status, wire.OK)
    until(lambda: b.ask().get(b"soft").flags & wire.STALE, "the soft invalidation is known")
    expect([step for step in a.ask().doctor()["steps"] if step["result"] != "ok"], [])
    expect(a.health()["issues"], [])


def what_is_listed_is_enough(fleet):
    assert not {right for right in LISTED if right.startswith(("+client", "+config"))}
    all_verbs_work(fleet, *two_as(fleet, *LISTED))


def without_script_load_each_call_brings_its_text(fleet):
    all_verbs_work(fleet, *two_as(fleet, *LISTED, "-script|load"))


def what_is_missing_later_is_named_too_and_not_taken_for_a_foreign_value(fleet):
    a, b = two_as(fleet, *LISTED)
    for host in (a, b):
        host.until_fresh()
    fleet.share(b"k", b"v", a, b)
    allow(fleet, *LISTED, "-getrange")
    says_what_is_missing(a, "GETRANGE", lambda: a.ask().touch(b"k", 120000))
    says_what_is_missing(b, "GETRANGE", lambda: b.ask().invalidate(keys=[b"k"], soft=True))


def says_what_is_missing(host, command, provoke=lambda: None):
    def named():
        provoke()
        return any(f"run {command}" in issue for issue in host.health()["issues"])
    until(named, f"health names {command}")
    failed = [step for step in host.ask().doctor()["steps"] if step["result"] == "failed"]
    expect([f"run {command}" in step["says"] for step in failed], [True], f"the doctor names it: {failed}")


def joining_names_what_is_missing(fleet):
    for right in ["+info", "+hmget", "+get", "+set", "+hset", "+zadd", "+xrange", "+time", "+evalsha", "+xread"]:
        inner = type(fleet)()
        try:
            a, b = two_as(inner, *LISTED, right.replace("+", "-"))
            says_what_is_missing(a, right[1:].upper())
            expect(allow(inner, *LISTED), b"OK")
            for host in (a, b):
                host.until_fresh()
        finally:
            inner.finish()


def a_change_that_stops_half_way_is_unknown_and_done_again(fleet):
    a, b = two_as(fleet, *LISTED)
    fleet.share(b"k", b"old", a.until_fresh(), b.until_fresh())
    allow(fleet, *LISTED, "-del")
    expect(a.ask().set(b"k", b"new").status, wire.UNKNOWN)
    says_what_is_missing(a, "DEL")
    assert a.ask().get(b"k").value != b"old"
    allow(fleet, *LISTED)
    for host in (a, b):
        host.until_fresh()
    fleet.told(a, b)
    assert b.ask().get(b"k").value != b"old"


def keys_of_others_only(fleet):
    a, b = two_as(fleet, *LISTED[1:], "~other:*")
    until(lambda: any("use our keys" in issue for issue in a.health()["issues"]), "health names the keys")


play(what_is_listed_is_enough, without_script_load_each_call_brings_its_text,
     what_is_missing_later_is_named_too_and_not_taken_for_a_foreign_value, joining_names_what_is_missing,
     a_change_that_stops_half_way_is_unknown_and_done_again, keys_of_others_only)
