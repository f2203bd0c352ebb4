"""What was answered QUEUED is told to the fleet, whatever happens to the daemon that took it (C8, I12)."""

import tap
import wire_client as wire
from fleet import play
from scenario import expect


def queued(fleet, change):
    a, b = fleet.start(2)
    fleet.share(b"user:1", b"old", a, b, tags=[b"t"])
    fleet.share(b"beside", b"v", a, b)
    a.leave_redis()
    status = change(a.ask())
    if status == wire.LOCAL:
        raise tap.Skip("this host keeps no outbox: it said LOCAL")
    expect(status, wire.QUEUED)
    a.kill9()
    a.start()
    expect(a.ask().get(b"user:1").status, wire.MISS, "on the host itself, after kill -9, Redis still away")
    expect(b.ask().get(b"user:1").value, b"old", "the other host cannot know yet")
    a.return_to_redis()
    b.until_missed(b"user:1")
    expect(a.ask().get(b"user:1").status, wire.MISS)
    expect(b.ask().get(b"beside").value, b"v")


def a_key(fleet):
    queued(fleet, lambda client: client.invalidate(keys=[b"user:1"]).status)


def a_tag(fleet):
    queued(fleet, lambda client: client.invalidate(tags=[b"t"]).status)


def a_prefix(fleet):
    queued(fleet, lambda client: client.invalidate(prefixes=[b"user:"]).status)


def a_removal(fleet):
    def remove(client):
        status = client.set(b"user:1", b"", ttl_ms=0).status
        return wire.QUEUED if status == wire.SKIPPED else status
    queued(fleet, remove)


play(a_key, a_tag, a_prefix, a_removal)
