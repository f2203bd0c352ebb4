"""Policies: which one a key has, what it makes of the key's life and places, and how they change under way."""

import json
import os
import signal

import wire_client as wire
from scenario import expect, play, until


def holds(larder, key, *options):
    """What `explain` tells of a key, as one object."""
    return json.loads(larder.says("--json", *options, "explain", key))


def row(larder, name, namespace="default"):
    rows = [p for p in json.loads(larder.says("--json", "stats"))["policies"]]
    return next(p for p in rows if p["name"] == name and p["namespace"] == namespace)


def near_hit(reader, key):
    until(lambda: reader.ask("get", key)[1] == "near", "a hit in shared memory")


def the_first_policy_that_matches_holds(larder):
    larder.configure("[policy one]\npattern = {t}:user:*\nttl = 30m\n[policy two]\npattern = acme:*\nttl = 5m\n")
    larder.start()
    client = larder.client()
    for key, policy, ttl in [("acme:user:1", "one", 1800), ("acme:page", "two", 300), ("other", "default", 3600)]:
        told = holds(larder, key)
        expect((told["policy"], told["holds"]["ttl_ms"]), (policy, ttl * 1000))
        client.set(key.encode(), b"v")
        left = client.get(key.encode()).ttl_ms
        assert ttl * 1000 - 5000 < left <= ttl * 1000, f"{key} lives {left} ms"


def tags_of_a_policy_are_those_of_its_keys(larder):
    larder.configure("[policy users]\npattern = {t}:user:{id}\ntags = user:{id}, tenant:{t}\n")
    larder.start()
    client = larder.client()
    for key in [b"a:user:1", b"a:user:2", b"b:user:1"]:
        client.set(key, b"v", tags=[b"mine"])
    client.invalidate(tags=[b"user:1"])
    expect([client.get(k).status for k in (b"a:user:1", b"a:user:2", b"b:user:1")], [wire.MISS, wire.HIT, wire.MISS])
    client.invalidate(tags=[b"tenant:a"])
    expect(client.get(b"a:user:2").status, wire.MISS)
    many = [b"%d" % n for n in range(15)]
    expect(client.set(b"a:user:3", b"v", tags=many).status, wire.LIMIT)


def what_is_never_stored_is_never_there(larder):
    larder.configure("[policy sessions]\npattern = session:*\nstore = off\n")
    larder.start()
    client = larder.client()
    expect(client.set(b"session:1", b"secret").status, wire.SKIPPED)
    expect(client.get(b"session:1").status, wire.MISS)
    larder.stop()
    for folder, _, files in os.walk(larder.home):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                assert b"secret" not in file.read(), f"{name} has it"


def a_restart_brings_back_what_todays_policy_allows(larder):
    larder.configure("[namespace default]\nttl = 1h\n")
    larder.start()
    client = larder.client()
    client.set(b"big:1", b"v")
    client.get(b"big:1")
    larder.configure("[policy big]\npattern = big:*\nl1 = off\n")
    larder.restart()
    client = larder.client()
    expect(holds(larder, "big:1")["tier"], "warm")
    client.get(b"big:1")
    expect(holds(larder, "big:1")["tier"], "warm", "nor by promotion")


def reload_exchanges_all_policies_at_once(larder):
    larder.configure("[policy p]\npattern = p:*\nttl = 5m\n")
    larder.start()
    client = larder.client()
    client.set(b"p:1", b"v")
    client.get(b"p:2")
    larder.configure("[policy first]\npattern = q:*\n[policy p]\npattern = p:*\nttl = 9m\n")
    larder.signal(signal.SIGHUP)
    until(lambda: holds(larder, "p:1")["holds"]["ttl_ms"] == 540000, "the new policies hold")
    expect(client.get(b"p:1").value, b"v", "entries go on")
    expect(row(larder, "p")["misses"], 1, "figures follow the name")
    expect(holds(larder, "q:1")["policy"], "first")


def a_wrong_policy_keeps_all_of_the_old_ones(larder):
    larder.configure("[policy p]\npattern = p:*\nttl = 5m\n")
    larder.start()
    larder.configure("[policy p]\npattern = p:*\nttl = 9m\n[policy q]\npattern = {a:*\n")
    larder.signal(signal.SIGHUP)
    until(lambda: "[policy q] pattern" in larder.log(), "the mistake is in the log")
    expect(holds(larder, "p:1")["holds"]["ttl_ms"], 300000)


def namespaces_have_their_own(larder):
    larder.configure("[namespace default]\n[namespace pages]\nttl = 2m\nl1_bytes = 4MiB\n"
                     "[policy p]\npattern = p:*\nnamespace = pages\nstale = 1m\n")
    larder.start()
    expect(holds(larder, "p:1")["policy"], "default")
    told = holds(larder, "p:1", "-n", "pages")
    expect((told["policy"], told["holds"]["ttl_ms"], told["holds"]["stale_ms"]), ("p", 120000, 60000))


def figures_are_told_by_policy_near_hits_included(larder):
    larder.configure("[policy p]\npattern = p:*\nsource_cost = 1s\n")
    larder.start()
    client = larder.client()
    client.get(b"p:1")
    client.set(b"p:1", b"v")
    for _ in range(3):
        expect(client.get(b"p:1").status, wire.HIT)
    near_hit(larder.puppet(), "p:1")
    got = until(lambda: row(larder, "p")["hits_shared"] and row(larder, "p"), "the near hit is counted")
    expect((got["misses"], got["sets"], got["hits_shared"]), (1, 1, 1))
    expect(got["saved_s"], float(got["hits"]))
    expect(row(larder, "default")["hits"], 0)


def near_hits_past_the_62nd_policy_are_one_sum(larder):
    larder.configure("".join(f"[policy p{n}]\npattern = p{n}:*\n" for n in range(1, 101)))
    larder.start()
    client = larder.client()
    reader = larder.puppet()
    for n in (62, 63, 100):
        client.set(b"p%d:1" % n, b"v")
        near_hit(reader, f"p{n}:1")
    rest = until(lambda: next((p for p in json.loads(larder.says("--json", "stats"))["policies"]
                               if p["name"].startswith("(") and p["hits"] >= 2), None), "both are in the sum")
    expect(rest["hits_shared"], 2)
    expect((row(larder, "p62")["hits_shared"], row(larder, "p63")["hits_shared"], row(larder, "p100")["sets"]), (1, None, 1))


def a_disappointing_hit_ratio_is_an_issue(larder):
    larder.configure("[policy p]\npattern = p:*\nexpect_hit_ratio = 50%\n[policy q]\npattern = q:*\nexpect_hit_ratio = 50%\n")
    larder.start()
    client = larder.client()
    client.set(b"q:1", b"v")
    client.mget([b"p:%d" % n for n in range(1000)])
    client.mget([b"q:1"] * 1000)
    health = client.health()
    issues = [i for i in health["issues"] if "expected 50.0 %" in i]
    expect(len(issues), 1)
    assert "default/p" in issues[0] and "hit ratio 0.0 %" in issues[0], issues
    assert health["score"] < 100, health


def what_a_policy_keeps_out_of_dumps_is_not_in_them(larder):
    larder.configure("[policy private]\npattern = private:*\ndump = off\n")
    larder.start()
    client = larder.client()
    client.set(b"private:1", b"secret")
    client.set(b"public:1", b"v")
    path = os.path.join(larder.home, "dump")
    larder.says("dump", path)
    client.invalidate(all=True)
    larder.says("warm", "--file", path)
    expect((client.get(b"public:1").value, client.get(b"private:1").status), (b"v", wire.MISS))
    expect([held.key for held in client.keys()], [b"public:1"])


def dump_tells_where_policies_come_from(larder):
    larder.configure("[policy p]\npattern = p:*\n\nttl = 5m\n")
    larder.start()
    lines = larder.says("config", "dump", "--show-origin").splitlines()
    line = next(l for l in lines if l.startswith("policy p.ttl"))
    assert line.split("\t")[1] == "5m" and line.endswith("larder.conf:4"), line


play(the_first_policy_that_matches_holds, tags_of_a_policy_are_those_of_its_keys, what_is_never_stored_is_never_there,
     a_restart_brings_back_what_todays_policy_allows, reload_exchanges_all_policies_at_once,
     a_wrong_policy_keeps_all_of_the_old_ones, namespaces_have_their_own,
     figures_are_told_by_policy_near_hits_included, near_hits_past_the_62nd_policy_are_one_sum,
     a_disappointing_hit_ratio_is_an_issue, what_a_policy_keeps_out_of_dumps_is_not_in_them, dump_tells_where_policies_come_from)
