"""What dies of what: cascade rules of policies, and events that the configuration knows by name."""

import signal

import wire_client as wire
from scenario import expect, play, until

RULES = """
[policy messages]
pattern = {t}:message:{id}
cascade = key "{t}:thread:{id}", tag "dashboard:{t}"
[policy threads]
pattern = {t}:thread:{id}
cascade = {t}:unread:*
[event course.updated]
invalidate = key "course:{id}", key "course:{id}:stats", tag "courses"
[event user.left]
invalidate = {t}:user:{id}:*, tag "user:{id}"
"""


def statuses(client, *keys):
    return [client.get(key).status for key in keys]


def a_rule_is_followed_from_key_to_key(larder):
    larder.configure(RULES)
    larder.start()
    client = larder.client()
    for key in [b"a:message:7", b"a:thread:7", b"a:thread:8", b"a:unread:u1", b"b:unread:u1"]:
        client.set(key, b"v")
    client.set(b"page", b"v", tags=[b"dashboard:a"])
    result = client.invalidate(keys=[b"a:message:7"])
    expect((result.status, result.count), (wire.OK, 2), "both keys were there")
    expect(statuses(client, b"a:message:7", b"a:thread:7", b"a:unread:u1", b"page"), [wire.MISS] * 4)
    expect(statuses(client, b"a:thread:8", b"b:unread:u1"), [wire.HIT] * 2)


def an_event_invalidates_what_its_rule_says(larder):
    larder.configure(RULES)
    larder.start()
    client = larder.client()
    for key in [b"course:7", b"course:7:stats", b"course:8"]:
        client.set(key, b"v")
    client.set(b"list", b"v", tags=[b"courses"])
    expect(larder.says("invalidate", "--event", "course.updated", "id=7", "by=teacher").split("\t")[:2], ["ok", "2"])
    expect(statuses(client, b"course:7", b"course:7:stats", b"list", b"course:8"), [wire.MISS] * 3 + [wire.HIT])
    client.set(b"course:7", b"v")
    expect(client.event("course.updated", id="7", dry_run=True).count, 1)
    expect(client.get(b"course:7").status, wire.HIT)


def a_wrong_event_does_nothing_and_says_why(larder):
    larder.configure(RULES)
    larder.start()
    client = larder.client()
    client.set(b"course:7", b"v")
    for name, arguments, words in [("course.deleted", {"id": "7"}, "no event course.deleted"),
                                   ("course.updated", {}, "id is missing"),
                                   ("course.updated", {"id": "7:x"}, "id has 1 to 255 bytes"),
                                   ("course.updated", {"id": ""}, "id has 1 to 255 bytes"),
                                   ("course.updated", {"id": "7" * 256}, "id has 1 to 255 bytes")]:
        result = client.event(name, **arguments)
        expect(result.status, wire.BAD_REQUEST)
        assert words.encode() in result.message.encode(), result.message
    result = client.call(wire.RESULT, wire.EVENT, 0, 0, "course.updated", [b"id"])
    expect(result[0], wire.BAD_REQUEST)
    expect(client.get(b"course:7").status, wire.HIT)
    code = larder.cli("invalidate", "--event", "course.updated", "7").returncode
    expect(code, 2, "name=value it must be")


def a_tenants_event_stays_within_the_tenant(larder):
    larder.configure(RULES)
    larder.start()
    client, bound = larder.client(), larder.client(tenant="a")
    client.set(b"a:user:1:name", b"v")
    client.set(b"b:user:1:name", b"v")
    bound.set(b"a:x", b"v", tags=[b"user:1"])
    client.set(b"b:x", b"v", tags=[b"user:1"])
    expect(bound.event("course.updated", id="7").status, wire.DENIED, "course:7 is nobody's")
    expect(bound.event("user.left", t="b", id="1").status, wire.DENIED)
    expect(bound.event("user.left", t="a", id="1").status, wire.OK)
    expect(statuses(client, b"a:user:1:name", b"a:x"), [wire.MISS] * 2)
    expect(statuses(client, b"b:user:1:name", b"b:x"), [wire.HIT] * 2)


def reload_brings_other_events(larder):
    larder.configure(RULES)
    larder.start()
    client = larder.client()
    larder.configure("[event course.updated]\ninvalidate = lesson:{id}\n[event other]\ninvalidate = tag t\n")
    larder.signal(signal.SIGHUP)
    until(lambda: client.event("other").status == wire.OK, "the new event is known")
    client.set(b"course:7", b"v")
    client.set(b"lesson:7", b"v")
    client.event("course.updated", id="7")
    expect(statuses(client, b"course:7", b"lesson:7"), [wire.HIT, wire.MISS])


play(a_rule_is_followed_from_key_to_key, an_event_invalidates_what_its_rule_says, a_wrong_event_does_nothing_and_says_why,
     a_tenants_event_stays_within_the_tenant, reload_brings_other_events)
