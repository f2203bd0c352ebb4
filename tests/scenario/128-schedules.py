"""Policies whose keys are warmed by themselves: at the start, every so often, by hand; from files, names, and Redis."""

import json
import os
import signal

import wire_client as wire
from fleet import play
from scenario import expect, until


def policy(host, text):
    host.configure_fleet()
    with open(host.config, "a", encoding="utf-8") as file:
        file.write(f"[policy pages]\npattern = page:*\n{text}\n")


def reload(host):
    before = host.log().count("configuration reloaded")
    host.signal(signal.SIGHUP)
    until(lambda: host.log().count("configuration reloaded") > before, "the configuration is another")


def warming_of(host):
    return next(row for row in host.stats()["policies"] if row["name"] == "pages")["warming"]


def done(host, runs=1):
    def finished():
        warming = warming_of(host)
        return warming["last"] if warming["days"][0]["runs"] >= runs and not warming["running"] else None
    return until(finished, f"{runs} runs are over")


def fill(host, *keys):
    for key in keys:
        expect(host.ask().set(key, b"v:" + key).status, wire.OK)


def joined(fleet, text):
    """A host that joins with that policy, beside one that has filled Redis."""
    a, = fleet.start(1)
    fill(a, *[b"page:%d" % n for n in range(20)], b"user:1")
    b = fleet.host()
    policy(b, text)
    return a, b.join()


def at_the_start_it_pulls_what_redis_has_of_the_policy(fleet):
    a, b = joined(fleet, "warming = stored\nwarm_on_start = on")
    last = done(b)
    expect((last["result"], last["loaded"], last["failed"]), ("warmed", 20, 0))
    expect([b.holds(b"page:%d" % n) for n in range(20)], [True] * 20)
    assert not b.holds(b"user:1")
    expect(warming_of(b)["next_ms"], None, "and never again by itself")


def it_goes_on_every_so_often(fleet):
    a, b = joined(fleet, "warming = key page:{0-4}\nwarming_interval = 300ms")
    expect(done(b)["loaded"], 5)
    expect(done(b, 3)["here"], 5)


def keys_come_from_a_file(fleet):
    a, b = joined(fleet, "")
    hot = os.path.join(b.home, "hot.txt")
    with open(hot, "wb") as file:
        file.write(b"page:1\r\n\npage:2\npage:none\n" + b"".join(b"page:x%d\n" % n for n in range(30000)) + b"page:3")
    policy(b, f"warming = file {hot}")
    reload(b)
    told = json.loads(b.says("warm", "--policy", "pages", "--json"))
    expect((told["result"], told["loaded"], told["missing"], told["done"]), ("warmed", 3, 30001, 30004))


def a_file_that_is_not_there_is_said(fleet):
    a, b = joined(fleet, "warming = file /nonexistent/hot.txt")
    failed = b.cli("warm", "--policy", "pages")
    expect(failed.returncode, 4)
    assert "its file of keys is not there" in failed.stderr, failed.stderr
    expect(done(b)["why"], "its file of keys is not there")


def a_policy_that_is_none_and_one_that_says_nothing_are_told_so(fleet):
    a, b = joined(fleet, "")
    for name, says in [("nobody", "no such policy"), ("pages", "does not say what to warm")]:
        failed = b.cli("warm", "--policy", name)
        assert failed.returncode != 0 and says in failed.stderr, failed.stderr


def a_schedule_can_be_changed_while_it_runs(fleet):
    a, b = joined(fleet, "warming = key page:1\nwarming_interval = 1h")
    assert warming_of(b)["next_ms"] > 1000 * 1000
    policy(b, "warming = key page:1\nwarming_interval = 200ms")
    reload(b)
    done(b)


def without_redis_it_waits_and_says_why(fleet):
    a, b = joined(fleet, "warming = stored\nwarming_interval = 300ms")
    done(b)
    b.leave_redis()
    until(lambda: warming_of(b)["waits_for"] == "Redis does not answer", "it is put off")
    runs = warming_of(b)["days"][0]["runs"]
    b.return_to_redis()
    done(b, runs + 1)


def a_loader_fills_what_is_nowhere_for_both_hosts(fleet):
    a, b = fleet.host(), fleet.host()
    for host in (a, b):
        policy(host, "warming = key page:{100-104}")
        host.join()
    app, asker = a.client(), a.client()
    app.send_offer("page:*")
    until(lambda: a.stats()["namespaces"]["default"]["loaders"]["loader_hands"], "it offers a hand")
    expect(asker.warm(policy="pages").state, wire.UNDER_WAY)
    for _ in range(5):
        load = app.load()
        expect(load.kind, 1)
        app.set(load.key, b"loaded", token=load.token)
        app.send_offer()
    expect(done(a)["brought"], 5)
    b.says("warm", "--policy", "pages")
    expect((done(b)["loaded"], done(b)["brought"]), (5, 0))
    expect(a.stats()["namespaces"]["default"]["loaders"]["fetches"], 5)


def a_daemon_that_stops_in_the_middle_stops_in_order(fleet):
    a, b = joined(fleet, "warming = stored\nwarm_on_start = on")
    done(b)
    b.proxy.tell("hold", "down")  # Redis is silent
    client = b.client()
    expect(client.warm([b"page:none%d" % n for n in range(50)]).state, wire.UNDER_WAY)
    until(lambda: client.warm().elapsed_ms > 200, "its gets wait for Redis")
    b.stop()


def sources_that_make_no_sense_are_named_by_the_check(fleet):
    b = fleet.host()
    policy(b, "warming = pages")
    assert "expected stored, hot, loader, file /PATH, or key NAME" in b.refuses_to_start()


play(at_the_start_it_pulls_what_redis_has_of_the_policy, it_goes_on_every_so_often, keys_come_from_a_file,
     a_file_that_is_not_there_is_said, a_policy_that_is_none_and_one_that_says_nothing_are_told_so,
     a_schedule_can_be_changed_while_it_runs, without_redis_it_waits_and_says_why,
     a_loader_fills_what_is_nowhere_for_both_hosts, a_daemon_that_stops_in_the_middle_stops_in_order,
     sources_that_make_no_sense_are_named_by_the_check)
