"""The doctor goes the way to Redis and back, step by step; the audit finds what a host serves and should not."""

import signal

import wire_client as wire
from fleet import play
from scenario import expect, until

STEPS = ["address", "connection", "TLS", "AUTH", "database", "write right", "partitions", "eviction policy", "memory",
         "journal round trip"]


def steps(host):
    return {step["name"]: step for step in host.ask().doctor()["steps"]}


def fails_at(host, name):
    """The doctor names this step, with what to look at; those before it are fine, those behind it were not reached."""
    found = until(lambda: (lambda s: s if s[name]["result"] == "failed" else None)(steps(host)), f"{name} fails")
    at = STEPS.index(name)
    expect({found[step]["result"] for step in STEPS[:at]} - {"ok"}, set(), "before it")
    expect({found[step]["result"] for step in STEPS[at + 1:]} - {"skipped"}, set(), "behind it")
    assert found[name]["check"], found[name]
    return found[name]["says"]


def every_step_is_fine_in_a_fleet(fleet):
    a, = fleet.start(1)
    told = a.ask().doctor()
    expect([step["name"] for step in told["steps"]], STEPS)
    expect({step["result"] for step in told["steps"]}, {"ok"})
    expect(told["ok"], True)
    assert "came back after" in told["steps"][-1]["says"], told
    expect(len(a.says("doctor").splitlines()), len(STEPS))
    health = a.health()
    expect(health["tiers"]["l2"]["available"], True)


def a_daemon_without_redis_says_so(fleet):
    a = fleet.host()
    a.configure("")
    a.start()
    assert "STANDALONE" in a.says("doctor", code=1)
    a.says("audit", code=1)


def nobody_listening_is_found_at_the_connection(fleet):
    a, = fleet.start(1, proxied=False)
    a.server.kill9()
    fails_at(a, "connection")
    expect(a.health()["tiers"]["l2"]["available"], False)


def a_wrong_password_is_found_at_auth(fleet):
    fleet.redis().client().call("CONFIG", "SET", "requirepass", "right")
    a = fleet.host(proxied=False)
    a.configure_fleet(url=f"unix://:wrong@{a.server.path}")
    a.start()
    assert "wrong" not in fails_at(a, "AUTH")


def a_database_that_is_not_there_is_found_at_the_database(fleet):
    fleet.redis()
    a = fleet.host(proxied=False)
    a.configure_fleet(url=f"unix://{a.server.path}?db=99")
    a.start()
    fails_at(a, "database")


def a_replica_is_found_at_the_write_right(fleet):
    fleet.redis(replicaof="127.0.0.1 1", replica_serve_stale_data="yes")
    a = fleet.host(proxied=False)
    a.start()
    fails_at(a, "write right")


def a_policy_that_evicts_the_journal_is_named_with_the_command_that_mends_it(fleet):
    fleet.redis(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    a = fleet.host(proxied=False)
    a.start()
    assert "CONFIG SET maxmemory-policy" in fails_at(a, "eviction policy")
    a.server.client().call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    a.until_fresh()
    expect(a.ask().doctor()["ok"], True)


def a_silent_redis_is_found_on_the_journey(fleet):
    a, = fleet.start(1, proxied=False)
    a.server.child.send_signal(signal.SIGSTOP)
    fails = [step for step in a.ask().doctor()["steps"] if step["result"] == "failed"]
    a.server.child.send_signal(signal.SIGCONT)
    expect(len(fails), 1)


# ---- audit ----


def findings(host):
    """Keys by tier and finding, and the exit code."""
    done = host.cli("audit")
    lines = done.stdout.splitlines()
    return done.returncode, {(tier, finding): int(keys) for tier, finding, keys in (line.split("\t") for line in lines)}


def is_found(audited, code, finding, count):
    return audited[0] == code and audited[1].get(("l1", finding)) == count


def what_all_hosts_share_is_the_same(fleet):
    a, b = fleet.start(2)
    for n in range(30):
        fleet.share(b"k%d" % n, b"v", a, b)
    fleet.told(a, b)
    for host in (a, b):
        until(lambda: is_found(findings(host), 0, "same", 30), "all are the same, and vouched for")


V_AT, V_BYTES = 11, 7  # the position in an entry's bytes, server/l2/record.h


def what_changed_in_redis_behind_the_journals_back_is_found(fleet):
    a, = fleet.start(1)
    told = a.ask().set(b"k", b"v")
    redis = fleet.servers[0].client()
    later = a.ask().set(b"other", b"x")
    entry = redis.call("GET", "{default}:e:k")
    expect(int.from_bytes(entry[V_AT:V_AT + V_BYTES], "little"), told.v, "where the position stands")
    newer = later.v.to_bytes(V_BYTES, "little")
    redis.call("SET", "{default}:e:k", entry[:V_AT] + newer + entry[V_AT + V_BYTES:])
    until(lambda: is_found(findings(a), 1, "OLDER FOR MORE THAN 1 S", 1), "it is found")
    expect(wire.HIT, a.ask().get(b"k").status)


play(every_step_is_fine_in_a_fleet, a_daemon_without_redis_says_so, nobody_listening_is_found_at_the_connection,
     a_wrong_password_is_found_at_auth, a_database_that_is_not_there_is_found_at_the_database,
     a_replica_is_found_at_the_write_right,
     a_policy_that_evicts_the_journal_is_named_with_the_command_that_mends_it, a_silent_redis_is_found_on_the_journey,
     what_all_hosts_share_is_the_same, what_changed_in_redis_behind_the_journals_back_is_found)
