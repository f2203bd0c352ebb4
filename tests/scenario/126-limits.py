"""Rate limits: counted once for all hosts, by this host alone while Redis is away, and by whoever asks there is no way around."""

import json
import signal
import threading

import wire_client as wire
from fleet import play
from scenario import expect, until

HOUR = 3600 * 1000


def two_hosts_together_allow_exactly_so_many(fleet):
    a, b = fleet.start(2)
    counts = []

    def ask(host):
        with wire.Client(host.socket) as client:
            counts.append(sum(client.limit(b"api", 100, HOUR).status == wire.OK for _ in range(60)))

    threads = [threading.Thread(target=ask, args=(host,)) for host in (a, b) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(sum(counts), 100)


def a_refusal_says_when_and_leaves_the_rest_alone(fleet):
    a, = fleet.start(1)
    ask = a.ask()
    expect([ask.limit(b"k", 3, HOUR).remaining for _ in range(3)], [2, 1, 0])
    refused = ask.limit(b"k", 3, HOUR)
    expect(refused.status, wire.LIMITED)
    assert 0 < refused.retry_ms <= HOUR // 3, refused
    expect(ask.limit(b"k", 3, HOUR, cost=0).status, wire.OK)
    expect(ask.limit(b"other", 3, HOUR, cost=2).remaining, 1)
    expect(ask.limit(b"other", 3, HOUR, cost=2).status, wire.LIMITED)
    expect(ask.limit(b"other", 3, HOUR, cost=1).status, wire.OK)


def while_redis_is_away_a_host_counts_by_itself_or_as_it_is_told(fleet):
    a, = fleet.start(1)
    a.leave_redis()
    ask = a.ask()
    expect([ask.limit(b"k", 2, HOUR)[:2] for _ in range(3)], [(wire.OK, 1), (wire.OK, 1), (wire.LIMITED, 1)])
    expect(ask.limit(b"open", 1, HOUR, alone=1)[:2], (wire.OK, 1))
    expect(ask.limit(b"closed", 1, HOUR, alone=2)[:2], (wire.LIMITED, 1))
    a.return_to_redis()
    expect(a.ask().limit(b"k", 2, HOUR)[:2], (wire.OK, 0))


def what_cannot_be_is_said_by_name(fleet):
    a, = fleet.start(1)
    for arguments in [(0, 1), (1, 0), (1, 2592000001), (1000000001, 1), (1, 1, 2)]:
        try:
            a.ask().limit(b"k", *arguments)
        except wire.Refused as refused:
            expect(refused.result.status, wire.BAD_REQUEST, str(arguments))
        else:
            raise AssertionError(arguments)
    expect(a.ask().limit(b"", 1, 1).status, wire.BAD_KEY)


def a_foreign_value_at_its_key_in_redis_lets_this_host_count(fleet):
    a, = fleet.start(1)
    fleet.servers[0].client().call("HSET", "{default}:r:k", "f", "v")
    expect(a.ask().limit(b"k", 1, HOUR)[:2], (wire.OK, 1))
    a.until_fresh()


def the_command_says_it_in_words_and_exit_codes(fleet):
    a, = fleet.start(1)
    flags = ("limit", "login:1", "--max", "1", "--window", "1h", "--json")
    told = json.loads(a.says(*flags))
    expect((told["result"], told["remaining"], told["local"]), ("allowed", 0, False))
    expect(json.loads(a.says(*flags, code=1))["result"], "limited")
    a.says("limit", "k", code=2)


# ---- limits of the configuration ----

NAMED = """
[limit api]
max = 3
window = 1h
scope = {user} | {ip}
plan.free = 2
plan.pro = 5
[limit login]
max = 1
window = 1h
alone = refuse
"""


def limited_hosts(fleet, count):
    hosts = fleet.start(count)
    for host in hosts:
        configure_more(host, NAMED)
    return hosts


def configure_more(host, more):
    """Reload, until it counts."""
    base = host.__dict__.setdefault("configured", open(host.config).read())
    with open(host.config, "w") as file:
        file.write(base + more)
    before = logged(host)
    host.signal(signal.SIGHUP)
    until(lambda: logged(host) > before, "it was reloaded")


def logged(host):
    return host.log().count("configuration reloaded") + host.log().count("configuration not reloaded")


def allowed(host, name, **arguments):
    return host.ask().limit_named(name, **arguments).status == wire.OK


def a_named_limit_is_the_same_for_all_hosts_and_its_plans_have_their_own(fleet):
    a, b = limited_hosts(fleet, 2)
    expect([allowed(host, "api", ip="::1") for host in (a, b, a, b)], [True, True, True, False])
    expect([allowed(host, "api", user="u", ip="::1", plan="free") for host in (a, b, a)], [True, True, False])
    got = a.ask().limit_named("api", user="v", plan="pro")
    expect((got.status, got.remaining, got.max), (wire.OK, 4, 5))
    figures = {row["name"]: row for row in a.ask().stats()["limits"]}
    expect([figures["api"][key] for key in ("max", "asked", "refused", "local")], [3, 5, 1, 0])


def a_named_limit_says_what_happens_alone(fleet):
    a, = limited_hosts(fleet, 1)
    a.leave_redis()
    expect([allowed(a, "login", key=b"k"), allowed(a, "api", ip="1")], [False, True])


def what_is_not_configured_or_not_given_is_told(fleet):
    a, = limited_hosts(fleet, 1)
    for name, arguments, words in [("apis", {"ip": "1"}, "no such limit"), ("api", {"plan": "pro"}, "none of its scopes"),
                                   ("login", {"user": "1"}, "give a key"), ("api", {"ip": "x" * 256}, "255 bytes")]:
        try:
            a.ask().limit_named(name, **arguments)
        except wire.Refused as refused:
            expect(refused.result.status, wire.BAD_REQUEST)
            assert words in refused.result.message, refused.result
        else:
            raise AssertionError(name)


def a_tenant_counts_for_itself(fleet):
    a, = limited_hosts(fleet, 1)
    bound = a.client(tenant="acme")
    expect([bound.limit_named("login", key=b"k").status for _ in range(2)], [wire.OK, wire.LIMITED])
    expect(a.client(tenant="other").limit_named("login", key=b"k").status, wire.OK)
    expect(a.ask().limit_named("login", key=b"k").status, wire.OK)


def reload_brings_other_limits_and_goes_on_counting(fleet):
    a, = limited_hosts(fleet, 1)
    expect([allowed(a, "login", key=b"k") for _ in range(2)], [True, False])
    configure_more(a, NAMED.replace("max = 1", "max = 2"))
    expect([allowed(a, "login", key=b"k") for _ in range(2)], [True, False], "one more than before")
    expect({row["name"]: row["asked"] for row in a.ask().stats()["limits"]}["login"], 4)
    configure_more(a, "[limit login]\nmax = nothing\n")
    expect(allowed(a, "login", key=b"other"), True, "a wrong configuration changes nothing")


def the_command_knows_limits_by_name(fleet):
    a, = limited_hosts(fleet, 1)
    told = json.loads(a.says("limit", "api", "user=7", "plan=free", "--json"))
    expect((told["result"], told["remaining"], told["max"]), ("allowed", 1, 2))
    a.says("limit", "login", "10.0.0.1")
    a.says("limit", "login", "10.0.0.1", code=1)
    a.says("limit", "nothing", "k", code=4)
    a.says("limit", "login", "a", "b", code=2)


play(two_hosts_together_allow_exactly_so_many, a_refusal_says_when_and_leaves_the_rest_alone,
     while_redis_is_away_a_host_counts_by_itself_or_as_it_is_told, what_cannot_be_is_said_by_name,
     a_foreign_value_at_its_key_in_redis_lets_this_host_count, the_command_says_it_in_words_and_exit_codes,
     a_named_limit_is_the_same_for_all_hosts_and_its_plans_have_their_own, a_named_limit_says_what_happens_alone,
     what_is_not_configured_or_not_given_is_told, a_tenant_counts_for_itself, reload_brings_other_limits_and_goes_on_counting,
     the_command_knows_limits_by_name)
