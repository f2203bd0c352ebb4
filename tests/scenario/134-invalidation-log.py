"""The log of invalidations: who, what, when and because of what; of this host and of others; over restarts (`larder log`)."""

import json

import wire_client as wire
from fleet import play
from scenario import expect, until

EVENTS = '[event user.left]\ninvalidate = tag "user:{id}"\n[policy message]\npattern = {t}:message:{id}\ncascade = tag "dashboard:{t}"\n'


def lines(client, **options):
    return client.log(**options)["invalidations"]


def names(client):
    return [line["names"] for line in lines(client)]


def a_line_says_who_what_and_why(fleet):
    a = fleet.host()
    a.configure_fleet()
    with open(a.config, "a", encoding="utf-8") as file:
        file.write(EVENTS)
    a.start()
    a.until_fresh()
    client = a.client()
    client.set(b"acme:message:7", b"v")
    client.invalidate(keys=[b"acme:message:7"], tags=[b"t"])
    client.event("user.left", id="42")
    client.invalidate(globs=[b"*:x"], soft=True)
    third, second, first = lines(client)
    expect((first["names"], first["cascaded"], first["dropped"], first["where"]), ("key acme:message:7, tag t, tag dashboard:acme", 1, 1, "here"))
    expect((second["event"], second["names"]), ("user.left", "tag user:42"))
    expect((third["soft"], third["names"], third["globs"]), (True, "glob *:x", 1))
    assert first["pid"] and first["time"].endswith("Z"), first
    expect(len(lines(client, limit=1)), 1)
    expect(len(lines(client, back_ms=600000)), 3)


def last(client, key):
    told = client.explain(key)
    assert told["invalidations_seen"]["stopped_early"] is False, told
    return told["last_invalidation"]


def explain_tells_the_last_one_that_concerned_a_key(fleet):
    a = fleet.host()
    a.configure_fleet()
    with open(a.config, "a", encoding="utf-8") as file:
        file.write(EVENTS + '[policy user]\npattern = user:{id}\ntags = user:{id}\n')
    a.start()
    a.until_fresh()
    client, key = a.client(), b"acme:message:7"
    client.set(key, b"v", tags=[b"board"])
    expect(last(client, key), None)
    for how, kind, name in [({"keys": [key]}, "key", key), ({"prefixes": [b"acme:message:"]}, "prefix", b"acme:message:"),
                            ({"globs": [b"*:message:7"]}, "glob", b"*:message:7"), ({"all": True}, "all", None)]:
        position = client.invalidate(**how).v
        client.invalidate(keys=[b"acme:message:8"], tags=[b"else"])
        told = last(client, key)
        expect((told["kind"], told["name"], told["cascaded"], told["position"]), (kind, name and name.decode(), False, position))
    client.set(key, b"v", tags=[b"board"])
    client.invalidate(tags=[b"board"], soft=True)
    told = last(client, key)  # stale, and there: its tags are known
    expect((told["kind"], told["name"], told["soft"], told["by"]), ("tag", "board", True, "wire_client.py"))
    client.set(b"board", b"v", tags=[b"dashboard:acme"])
    client.invalidate(keys=[key], soft=True)
    told = last(client, b"board")
    expect((told["kind"], told["name"], told["cascaded"]), ("tag", "dashboard:acme", True))
    client.event("user.left", id="42")  # of a key that is not there its policy's tags are known
    told = last(client, b"user:42")
    expect((told["kind"], told["name"], told["event"], told["pid"] > 0), ("tag", "user:42", "user.left", True))
    told = client.explain(b"nobody")  # which may have carried any of the tags
    expect((told["last_invalidation"]["kind"], told["invalidations_seen"]["complete"]), ("all", False))
    assert told["invalidations_seen"]["tagged"] > 0, told
    client.set(key, b"v", tags=[b"board"])
    client.invalidate(tags=[b"board"])
    for _ in range(2):  # L1 forgets it when it is asked; the warm tier later
        told = client.explain(key)
        expect((told["result"], told["last_invalidation"]["name"], told["invalidations_seen"]["complete"]), ("MISS", "board", True))


def a_tenant_is_told_what_concerned_its_key_and_nothing_of_others(fleet):
    a = fleet.start(1)[0]
    bound, free = a.client(tenant="acme"), a.client()
    bound.set(b"acme:k", b"v", tags=[b"mine"])
    bound.invalidate(tags=[b"mine"], soft=True)
    told = last(bound, b"acme:k")
    expect((told["kind"], told["name"], told["by"], told["pid"], told["event"]), ("tag", "mine", None, None, None))
    free.invalidate(globs=[b"*:k"], soft=True)
    told = bound.explain(b"acme:k")
    expect((told["last_invalidation"]["kind"], told["last_invalidation"]["name"]), ("glob", None))
    assert "wire_client" not in json.dumps(told["last_invalidation"])
    expect(set(told["invalidations_seen"]), {"complete", "stopped_early"})


def the_command_prints_it(fleet):
    a = fleet.start(1)[0]
    a.client().invalidate(keys=[b"k"])
    table = a.says("log", "invalidations", "--since", "1h").splitlines()
    assert table[-1].endswith("key k"), table
    expect(json.loads(a.says("--json", "log", "invalidations"))["names"], "key k")
    expect(a.cli("log", "nothing").returncode, 2)
    expect(a.cli("log", "invalidations", "--since", "soon").returncode, 2)


def any_bytes_are_printed_as_one_line_and_obeyed_by_no_terminal(fleet):
    a = fleet.start(1)[0]
    a.client().invalidate(keys=[b"a\0b\n\x1b[31m"])
    shown = "key a\\x00b\\x0a\\x1b[31m"
    expect(a.says("log", "invalidations").count("\x1b"), 0)
    expect(json.loads(a.says("--json", "log", "invalidations"))["names"], shown)


def more_lines_than_a_small_frame_holds_are_cut_and_not_refused(fleet):
    a = fleet.start(1, namespace={"max_value": "64KiB"})[0]
    client = a.client()
    for n in range(1100):
        client.invalidate(keys=[b"%0370d" % n])
    told = names(client)
    assert 100 < len(told) < 1000, len(told)


def another_hosts_are_told_once_as_elsewhere_and_sets_are_not(fleet):
    a, b = fleet.start(2)
    a.ask().set(b"k", b"v")
    for n in range(20):
        a.ask().invalidate(tags=[b"t%d" % n])
    wanted = [f"tag t{n}" for n in reversed(range(20))]
    until(lambda: names(b.ask()) == wanted, "the other host tells of each")
    expect({line["where"] for line in lines(b.ask())}, {"elsewhere"})
    until(lambda: b.figure("records") >= 21, "all records")
    expect(names(a.ask()), wanted, "and on the host itself they are told once")
    expect({line["where"] for line in lines(a.ask())}, {"here"})


def it_survives_a_restart_and_what_was_queued_is_told_once(fleet):
    a = fleet.start(1)[0]
    a.ask().invalidate(keys=[b"first"])
    a.leave_redis()
    a.ask().invalidate(keys=[b"second"])
    a.return_to_redis()
    expect(names(a.ask()), ["key second", "key first"])
    expect(lines(a.ask())[0]["status"], "QUEUED")
    kept = a.ask().log()["kept"]
    a.restart()
    expect(names(a.ask()), ["key second", "key first"] if kept else [])


def without_a_warm_tier_it_says_so(fleet):
    a = fleet.start(1, namespace={"warm": "off"})[0]
    a.ask().invalidate(keys=[b"k"])
    expect((a.ask().log()["kept"], names(a.ask())), (False, ["key k"]))
    done = a.cli("log", "invalidations")
    assert "since the daemon's start" in done.stderr, done.stderr


def a_tenant_does_not_see_it(fleet):
    a = fleet.start(1)[0]
    try:
        a.client(tenant=b"acme").log()
    except wire.Refused as refused:
        expect(refused.result.status, wire.DENIED)
    else:
        raise AssertionError("it was shown")


play(a_line_says_who_what_and_why, explain_tells_the_last_one_that_concerned_a_key,
     a_tenant_is_told_what_concerned_its_key_and_nothing_of_others, the_command_prints_it, any_bytes_are_printed_as_one_line_and_obeyed_by_no_terminal,
     more_lines_than_a_small_frame_holds_are_cut_and_not_refused, another_hosts_are_told_once_as_elsewhere_and_sets_are_not,
     it_survives_a_restart_and_what_was_queued_is_told_once, without_a_warm_tier_it_says_so, a_tenant_does_not_see_it)
