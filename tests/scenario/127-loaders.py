"""Registered loaders: applications that load when the daemon asks them, one for each key in the whole fleet."""

import wire_client as wire
from fleet import play
from scenario import expect, until


def counted(host, name):
    return host.stats()["namespaces"]["default"]["loaders"][name]


class App:
    """A connection that offers to load, a hand at a time."""

    def __init__(self, host, *patterns, **options):
        self.host, self.patterns, self.options = host, patterns, options
        self.client = host.client()
        self.offer()

    def offer(self):
        hands = counted(self.host, "loader_hands")
        self.client.send_offer(*self.patterns, **self.options)
        until(lambda: counted(self.host, "loader_hands") > hands or counted(self.host, "fetches_out"),
              "the daemon knows of the hand")

    def asked(self, key):
        load = self.client.load()
        expect((load.kind, load.key), (1, key))
        return load

    def bring(self, load, value, key=None, **item):
        return self.client.set(key or load.key, value, token=load.token, **item).status

    def close(self):
        self.client.close()


def warming(host, *keys, **options):
    client = host.client()
    client.warm(keys, flags=wire.ASK_LOADERS, **options)
    return client


def over(client):
    return until(lambda: next((p for p in [client.warm()] if p.state != wire.UNDER_WAY), None), "the warming is over")


def loader_of(host):
    return host.stats()["namespaces"]["default"]["loaders"]["connected"][0]


def what_is_nowhere_is_loaded_once_and_is_everywhere(fleet):
    a, b = fleet.start(2)
    app = App(a, "user:*")
    warm = warming(a, b"user:1", b"page:1")
    expect(app.bring(app.asked(b"user:1"), b"v"), wire.OK)
    told = over(warm)
    expect((told.state, told.brought, told.missing, told.failed), (wire.DONE, 1, 1, 0))
    assert a.holds(b"user:1")
    expect(b.ask().get(b"user:1").value, b"v")


def two_hosts_that_want_the_same_key_make_one_load(fleet):
    a, b = fleet.start(2)
    ann, ben = App(a, "user:*"), App(b, "user:*")
    first = warming(a, b"user:1")
    load = ann.asked(b"user:1")
    second = warming(b, b"user:1")
    until(lambda: b.figure("loads_elsewhere"), "b waits for what a loads")
    expect(ann.bring(load, b"v"), wire.OK)
    expect((over(first).brought, over(second).loaded), (1, 1))
    assert b.holds(b"user:1")
    expect(counted(a, "fetches") + counted(b, "fetches"), 1)
    ben.close()


def one_that_dies_passes_the_key_to_another_host(fleet):
    a, b = fleet.start(2)
    ann, ben = App(a, "user:*"), App(b, "user:*")
    first = warming(a, b"user:1")
    ann.asked(b"user:1")
    second = warming(b, b"user:1")
    until(lambda: b.figure("loads_elsewhere"), "b waits for what a loads")
    ann.close()
    expect(ben.bring(ben.asked(b"user:1"), b"v"), wire.OK)
    expect((over(first).failed, over(second).brought), (1, 1))


def one_that_dies_passes_the_key_to_another_of_its_host(fleet):
    a, = fleet.start(1)
    ann = App(a, "user:*")
    warm = warming(a, b"user:1")
    ann.asked(b"user:1")
    ben = App(a, "user:*")
    ann.close()
    expect(ben.bring(ben.asked(b"user:1"), b"v"), wire.OK)
    expect(over(warm).brought, 1)
    expect(counted(a, "fetches_lost"), 1)


def what_another_host_invalidates_meanwhile_is_loaded_anew(fleet):
    a, b = fleet.start(2)
    app = App(a, "user:*")
    warm = warming(a, b"user:1")
    load = app.asked(b"user:1")
    expect(b.ask().invalidate(tags=[b"colour"]).status, wire.OK)
    expect(app.bring(load, b"old", tags=[b"colour"]), wire.REFUSED)
    app.offer()
    expect(app.bring(app.asked(b"user:1"), b"new", tags=[b"colour"]), wire.OK)
    expect(over(warm).brought, 1)
    expect(b.ask().get(b"user:1").value, b"new")


def one_that_is_too_slow_loses_the_key_and_its_late_value_is_refused(fleet):
    a, = fleet.start(1)
    app = App(a, "user:*", hold_ms=300)
    warm = warming(a, b"user:1")
    load = app.asked(b"user:1")
    expect(load.hold_ms, 300)
    expect(over(warm).failed, 1)
    expect(app.bring(load, b"late"), wire.REFUSED)
    expect(loader_of(a)["trouble"], "it did not bring what it was asked for within the time it had named")
    expect(a.ask().get(b"user:1").status, wire.MISS)


def trouble(fleet, end):
    a, = fleet.start(1)
    app = App(a, "user:*")
    warm = warming(a, b"user:1")
    end(app, app.asked(b"user:1"))
    expect(over(warm).failed, 1)
    expect(a.ask().get(b"user:1").status, wire.MISS)
    return loader_of(a)["trouble"]


def one_that_brings_another_key_is_refused_and_it_is_said(fleet):
    said = trouble(fleet, lambda app, load: expect(app.bring(load, b"v", key=b"user:2"), wire.REFUSED))
    expect(said, "it brought another key than the one it was asked for")


def one_that_brings_too_much_is_told_and_it_is_said(fleet):
    said = trouble(fleet, lambda app, load: expect(app.bring(load, bytes((1 << 20) + 1)), wire.TOO_BIG))
    expect(said, "a value it brought was larger than the limit")


def one_that_says_no_lets_the_key_rest(fleet):
    said = trouble(fleet, lambda app, load: expect(app.client.fail(load.key, load.token).status, wire.OK))
    expect(said, "it said that it could not load what it was asked for")


def one_that_gives_it_back_is_said_to(fleet):
    said = trouble(fleet, lambda app, load: app.client.fail(load.key, load.token, wire.NO_BACKOFF))
    expect(said, "it gave back what it was asked for")


def a_stale_hit_is_refreshed_by_the_loader_and_not_by_the_caller(fleet):
    a, b = fleet.start(2)
    fleet.share(b"user:1", b"old", a, b, ttl_ms=60000, stale_ms=600000)
    a.ask().invalidate(keys=[b"user:1"], soft=True)
    until(lambda: b.ask().get(b"user:1").flags & wire.STALE, "b knows that it is stale")
    app = App(a, "user:*")
    hit = a.ask().lease(b"user:1", scope=wire.FLEET)
    expect((hit.value, hit.token), (b"old", b""), "the caller is spared")
    expect(app.bring(app.asked(b"user:1"), b"new"), wire.OK)
    until(lambda: b.ask().get(b"user:1").value == b"new", "the new value is on the other host")


def a_loader_is_shown_with_what_it_did(fleet):
    a, = fleet.start(1)
    app = App(a, "user:*", "page:{n}")
    warm = warming(a, b"user:1")
    app.bring(app.asked(b"user:1"), b"v")
    over(warm)
    shown = loader_of(a)
    expect((shown["patterns"], shown["client"], shown["asked"], shown["loaded"], shown["out"], shown["trouble"]),
           ("user:*, page:{n}", "wire_client.py", 1, 1, 0, None))


def a_daemon_that_stops_ends_its_loads(fleet):
    a, b = fleet.start(2)
    ann, ben = App(a, "user:*"), App(b, "user:*")
    warming(a, b"user:1")
    ann.asked(b"user:1")
    second = warming(b, b"user:1")
    until(lambda: b.figure("loads_elsewhere"), "b waits for what a loads")
    a.stop()
    expect(ben.bring(ben.asked(b"user:1"), b"v"), wire.OK)
    expect(over(second).brought, 1)


play(what_is_nowhere_is_loaded_once_and_is_everywhere, two_hosts_that_want_the_same_key_make_one_load,
     one_that_dies_passes_the_key_to_another_host, one_that_dies_passes_the_key_to_another_of_its_host,
     what_another_host_invalidates_meanwhile_is_loaded_anew,
     one_that_is_too_slow_loses_the_key_and_its_late_value_is_refused, one_that_brings_another_key_is_refused_and_it_is_said,
     one_that_brings_too_much_is_told_and_it_is_said, one_that_says_no_lets_the_key_rest,
     one_that_gives_it_back_is_said_to, a_stale_hit_is_refreshed_by_the_loader_and_not_by_the_caller,
     a_loader_is_shown_with_what_it_did, a_daemon_that_stops_ends_its_loads)
