"""Statistics are right: four processes play a known workload, and every counter is what was played.

Each player is a process with the C library, which hits shared memory by itself, and a connection for what the library has
no word for.  What a get was answered from is counted from the answers; all else is known before."""

import collections
import threading

import wire_client as wire
from admin import Admin
from redis_client import Redis
from scenario import expect, play, until

PLAYERS = 4
POLICIES = """[policy users]
pattern = user:*
[policy disk]
pattern = disk:*
l1 = off
[policy never]
pattern = never:*
store = off
"""
GAUGES = {"leases"}


class Player:
    """`seen` counts what must be counted: names of the cache's figures, with the policy in front for those it has too."""

    def __init__(self, larder, number):
        self.process, self.wire, self.number = larder.puppet(), larder.client(), number
        self.seen, self.near, self.failed = collections.Counter(), collections.Counter(), None

    def key(self, policy, n):
        return f"{policy}:{self.number}:{n}"

    def saw(self, policy, *figures, times=1):
        for figure in figures:
            self.seen[policy, figure] += times

    def get(self, policy, n, wanted="HIT", reason="cold"):
        """By the library."""
        result, where, _, _ = self.process.ask("get", self.key(policy, n))
        expect(result, wanted, self.key(policy, n))
        if where == "near":
            self.near[policy] += 1
        else:
            self.saw(policy, "gets", *(["hits_l1"] if wanted == "HIT" else ["misses", "misses_" + reason]))
            self.seen["requests_get"] += 1

    def set(self, policy, n):
        expect(self.process.ask("set", self.key(policy, n), "value"), ["0"])
        self.saw(policy, "sets")
        self.seen["requests_set"] += 1

    def ask(self, policy, n, tier, **how):
        """By the connection."""
        answer = self.wire.get(self.key(policy, n).encode(), **how)
        expect((answer.status, answer.tier), (wire.HIT, tier), self.key(policy, n))
        self.saw(policy, "gets", {1: "hits_l1", 2: "hits_warm", 3: "hits_l2"}[tier])
        self.seen["requests_get"] += 1

    def put(self, policy, n, wanted, figure, **how):
        expect(self.wire.set(self.key(policy, n).encode(), b"value", **how).status, wanted, self.key(policy, n))
        self.saw(policy, figure)
        self.seen["requests_set"] += 1

    def run(self, part):
        try:
            part(self)
        except BaseException as error:  # told by the one who waits
            self.failed = error


def reads_and_misses(p):
    for policy in ["user", "other"]:
        for n in range(20):
            p.set(policy, n)
        for _ in range(40):
            for n in range(20):
                p.get(policy, n)
        for n in range(100, 115):
            p.get(policy, n, "MISS")


def lower_tiers(p):
    for n in range(5):
        p.put("disk", n, wire.OK, "sets")
        for _ in range(7):
            p.ask("disk", n, tier=2)


def changes(p):
    p.put("user", 0, wire.EXISTS, "sets_unmet", flags=1)
    p.put("user", 1, wire.OK, "sets", flags=2)
    p.put("user", 900, wire.NOT_FOUND, "sets_unmet", flags=2)
    p.put("never", 0, wire.SKIPPED, "sets_skipped")
    p.put("user", 2, wire.SKIPPED, "sets_skipped", ttl_ms=0)
    expect(p.wire.touch(p.key("user", 3).encode(), 7200000).status, wire.OK)
    p.saw("user", "touches")
    p.seen["requests_touch"] += 1
    lease = p.wire.lease(p.key("user", 800).encode())
    expect(lease.status, wire.LEASED)
    p.saw("user", "gets", "misses", "misses_cold", "loads", "loads_done")
    p.put("user", 800, wire.OK, "sets", token=lease.token)
    lease = p.wire.lease(p.key("user", 801).encode())
    p.wire.fail(p.key("user", 801).encode(), lease.token)
    p.saw("user", "gets", "misses", "misses_cold", "loads", "loads_failed")
    p.seen["requests_lease"] += 3


def invalidations(p):
    keys = [p.key("user", n).encode() for n in range(5, 10)]
    expect(p.wire.invalidate(keys=keys, tags=[b"t%d" % p.number, b"u"]).status, wire.OK)
    p.saw("user", "invalidations")
    p.saw("user", "invalidated_keys", times=5)
    p.saw("user", "invalidated_names", times=2)
    p.seen["requests_invalidate"] += 1
    for n in range(5, 10):
        p.get("user", n, "MISS", "invalidated")
    p.get("user", 2, "MISS", "invalidated")


def play_all(players, *parts):
    """The parts one after the other, each by all players at once."""
    for part in parts:
        threads = [threading.Thread(target=p.run, args=(part,)) for p in players]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for p in players:
            if p.failed:
                raise p.failed


def total(players, figure, policy=None):
    """Of all policies, or of one."""
    return sum(count for p in players for name, count in p.seen.items()
               if name == figure or (isinstance(name, tuple) and name[1] == figure and policy in (None, name[0])))


NAMES = {"user": "users", "disk": "disk", "never": "never", "other": "default", "far": "far"}
RESULTS = {("get", "hit_l1"): "hits_l1", ("get", "hit_warm"): "hits_warm", ("get", "hit_l2"): "hits_l2", ("get", "miss"): "misses",
           ("set", "stored"): "sets", ("set", "skipped"): "sets_skipped", ("set", "unmet"): "sets_unmet",
           ("touch", "done"): "touches", ("invalidate", "done"): "invalidations"}


def compare_figures(players, stats):
    cache = stats["namespaces"]["default"]["cache"]
    played = {name[1] for p in players for name in p.seen if isinstance(name, tuple)}
    for figure in set(cache) - GAUGES:
        expect(cache[figure], total(players, figure), figure)
    assert played <= set(cache), played - set(cache)
    near = sum(sum(p.near.values()) for p in players)
    for policy, name in NAMES.items():
        row = next((r for r in stats["policies"] if r["name"] == name), None)
        if row is None:
            continue
        for figure in ["gets", "hits_l1", "hits_warm", "hits_l2", "misses", "sets", "sets_skipped",
                       *(f for f in cache if f.startswith("misses_"))]:
            expect(row[figure], total(players, figure, policy), f"{figure} of {name}")
        expect(row["hits_shared"], sum(p.near[policy] for p in players), f"hits_shared of {name}")
    hits = near + sum(total(players, f) for f in ["hits_l1", "hits_warm", "hits_l2"])
    overall, tiers = stats["overall"], stats["tiers"]
    expect([overall[f] for f in ["hits", "hits_shared", "misses", "requests", "errors"]],
           [hits, near, total(players, "misses"), hits + total(players, "misses"), 0])
    expect([tiers[t]["hits"] for t in ["l1", "warm", "l2"]],
           [near + total(players, "hits_l1"), total(players, "hits_warm"), total(players, "hits_l2")])
    for figure in ["requests_get", "requests_set", "requests_touch", "requests_invalidate", "requests_lease"]:
        expect(stats["sessions"][figure], total(players, figure), figure)
    return near


def compare_metrics(players, metrics, near):
    for (op, result), figure in RESULTS.items():
        expect(metrics[f'larder_requests_total{{namespace="default",op="{op}",result="{result}"}}'], total(players, figure), (op, result).__repr__())
    expect(metrics['larder_requests_total{namespace="default",op="get",result="hit_near"}'], near)
    for policy, name in NAMES.items():
        for tier, figure in [("l1", "hits_l1"), ("warm", "hits_warm"), ("l2", "hits_l2")]:
            sample = f'larder_hits_total{{namespace="default",policy="{name}",tier="{tier}"}}'
            expect(metrics.get(sample, 0), total(players, figure, policy), sample)
        sample = f'larder_hits_total{{namespace="default",policy="{name}",tier="near"}}'
        expect(metrics.get(sample, 0), sum(p.near[policy] for p in players), sample)
        for reason in ["cold", "invalidated", "expired", "evicted"]:
            sample = f'larder_misses_total{{namespace="default",policy="{name}",reason="{reason}"}}'
            expect(metrics.get(sample, 0), total(players, "misses_" + reason, policy), sample)
    for kind, figure in [("key", "invalidated_keys"), ("name", "invalidated_names")]:
        expect(metrics[f'larder_invalidations_total{{namespace="default",source="local",kind="{kind}"}}'], total(players, figure), kind)
    for outcome, figure in [("done", "loads_done"), ("failed", "loads_failed")]:
        expect(metrics[f'larder_loads_total{{namespace="default",outcome="{outcome}"}}'], total(players, figure), outcome)


def in_cells(metrics, family, **labels):
    """What all cells of a histogram hold, which is what its count says."""
    def sample(suffix, **more):
        return family + suffix + "{" + ",".join(f'{name}="{value}"' for name, value in {**labels, **more}.items()) + "}"

    cells, count = metrics.get(sample("_bucket", le="+Inf"), 0), metrics.get(sample("_count"), 0)
    expect(cells, count, sample(""))
    return cells


def compare_times(players, metrics, stats):
    """Every request counts, in the histograms of its operation, its namespace, and its key's policy.  Of hits in shared
    memory one in 1,024 of each thread is measured and told, the first of them."""
    def of_tier(op, tier):
        return in_cells(metrics, "larder_request_duration_seconds", op=op, tier=tier)

    near = sum((sum(p.near.values()) + 1023) // 1024 for p in players)
    fails = total(players, "loads_failed")
    leases = total(players, "requests_lease") - fails
    expect(of_tier("get", "near"), near)
    for tier, figure in [("l1", "hits_l1"), ("warm", "hits_warm"), ("l2", "hits_l2"), ("miss", "misses")]:
        expect(of_tier("get", tier) + of_tier("lease", tier), total(players, figure), tier)
    expect(of_tier("lease", "miss"), leases)
    expect(of_tier("get", "none"), 0)
    told = stats["namespaces"]["default"]["times"]
    for op, wanted in {"get_near": near, "get": total(players, "requests_get"),
                       "set": total(players, "requests_set") + total(players, "requests_touch") + fails,
                       "invalidate": total(players, "requests_invalidate"), "lease": leases}.items():
        expect(in_cells(metrics, "larder_namespace_request_duration_seconds", namespace="default", op=op), wanted, op)
        expect(told[op.removeprefix("get_")]["count"], wanted, op)
    rows = {row["name"]: row for row in stats["policies"]}
    for policy, name in NAMES.items():
        changes = sum(total(players, figure, policy) for figure in ["sets", "sets_skipped", "sets_unmet", "touches"])
        for op, wanted in {"get": total(players, "gets", policy), "set": changes}.items():
            expect(in_cells(metrics, "larder_policy_request_duration_seconds", namespace="default", op=op, policy=name), wanted, (op, name))
            if name in rows:
                expect(rows[name]["times"][op]["count"], wanted, (op, name))


def each_counter_is_what_four_processes_did(larder):
    admin = Admin(larder, more=POLICIES)
    larder.start()
    players = [Player(larder, n) for n in range(PLAYERS)]
    play_all(players, reads_and_misses, lower_tiers, changes, invalidations)
    stats = players[0].wire.stats()
    near, metrics = compare_figures(players, stats), admin.metrics()  # HTTP may tell those of a moment ago
    compare_metrics(players, metrics, near)
    compare_times(players, metrics, stats)
    assert near > 1000, near
    for p in players:  # their last counts are taken in when they go
        p.process.kill()
        p.process.wait()
    until(lambda: admin.stats()["namespaces"]["default"]["l1"]["l1_clients"] == 0, "they are gone")
    compare_figures(players, players[0].wire.stats())


def and_what_came_from_redis_too(larder):
    redis = Redis().start()
    try:
        admin = Admin(larder, more=f"[redis]\nurl = unix:{redis.path}\ncommand_timeout = 10s\n[policy far]\npattern = far:*\nl1 = off\nwarm = off\n")
        larder.start()
        until(lambda: admin.stats()["state"] == "FRESH", "a fleet")
        players = [Player(larder, n) for n in range(PLAYERS)]

        def part(p):
            for n in range(5):
                p.put("far", n, wire.OK, "sets")
                for _ in range(7):
                    p.ask("far", n, tier=3)
                answer = p.wire.get(p.key("far", 100 + n).encode())
                expect(answer.status, wire.MISS)
                p.saw("far", "gets", "misses", "misses_cold")
                p.seen["requests_get"] += 1

        play_all(players, part)
        stats = players[0].wire.stats()
        cache = stats["namespaces"]["default"]["cache"]
        for figure in ["gets", "hits_l1", "hits_warm", "hits_l2", "misses", "misses_cold", "sets"]:
            expect(cache[figure], total(players, figure), figure)
        metrics = admin.metrics()
        compare_metrics(players, metrics, 0)
        compare_times(players, metrics, stats)
    finally:
        redis.finish()


play(each_counter_is_what_four_processes_did, and_what_came_from_redis_too)
