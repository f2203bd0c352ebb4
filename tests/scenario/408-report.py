"""What was counted, by the day: exact, over a kill -9 and restarts, whatever the clock shows (`larder report`)."""

import csv
import io
import json
import os

import wire_client as wire
from admin import Admin
from clock import Clock
from scenario import expect, play, until

CONFIG = """[namespace default]
l1_bytes = 4MiB
[policy page]
pattern = {t}:page:{id}
source_cost = 100ms
source_price = 400
[policy user]
pattern = user:{id}
source_cost = 3ms
[policy passing]
pattern = passing:*
warm = off
"""
GROUPS = ["day", "policy", "tenant", "resource", "minute"]
SUMMED = ["gets", "hits", "hits_shared", "hits_l1", "hits_warm", "misses", "misses_cold", "sets", "saved_calls", "saved_millionths"]


class Told:
    """A daemon with a clock of its own, and what it must have counted."""

    def __init__(self, larder, config=CONFIG):
        self.larder, self.clock = larder, Clock(os.path.join(larder.home, "clock"))
        self.wanted = dict.fromkeys(["hits_shared", "hits_l1", "misses", "sets"], 0)
        self.by_policy = {}
        larder.configure(config)
        self.start()

    def start(self):
        self.larder.start(env=self.clock.environment())

    def report(self, **options):
        with self.larder.client() as client:
            return client.report(**options)

    def count(self, policy, **counts):
        row = self.by_policy.setdefault(policy, dict.fromkeys(self.wanted, 0))
        for name, count in counts.items():
            self.wanted[name] += count
            row[name] += count

    def work(self):
        """Three processes that read in shared memory, one by socket, and two that are bound to a tenant."""
        puppets = [self.larder.puppet() for _ in range(3)]
        for n, puppet in enumerate(puppets):
            for policy, key in (("page", f"acme:page:{n}"), ("user", f"user:{n}"), ("default", f"other:{n}")):
                expect(puppet.ask("set", key, "v"), ["0"])
                for _ in range(10 + n):
                    result, way = puppet.ask("get", key)[:2]
                    expect(result, "HIT")
                    self.count(policy, **{"hits_shared" if way == "near" else "hits_l1": 1})
                expect(puppet.ask("get", key + "none")[0], "MISS")
                self.count(policy, sets=1, misses=1)
            puppet.stdin.close()
            puppet.wait()
        for tenant in (b"acme", b"globex"):
            with self.larder.client(tenant=tenant) as bound:
                bound.set(tenant + b":page:0", b"v")
                bound.get(tenant + b":page:0")
                bound.mget([tenant + b":page:0", tenant + b":page:none"])
                self.count("page", sets=1, hits_l1=2, misses=1)

    def minute_passes(self, seconds=60):
        """Until what was counted is on the disk, all of it."""
        before = self.report()["kept_until"]
        self.clock.step(seconds)
        until(lambda: self.report()["kept_until"] != before, "the minute is over")
        self.on_disk()

    def on_disk(self):
        with self.larder.client() as client:
            until(lambda: client.stats()["namespaces"]["default"]["warm"]["warm_queue_bytes_used"] == 0, "it is committed")

    def expect_all(self, days=30):
        """Exactly that, however it is grouped."""
        totals = self.report(days=days)["totals"]
        expect({name: totals[name] for name in self.wanted}, self.wanted)
        expect(totals["hits"], self.wanted["hits_shared"] + self.wanted["hits_l1"])
        for by in GROUPS:
            report = self.report(days=days, by=by)
            expect(report["totals"], totals, by)
            for name in SUMMED:
                expect(sum(row[name] for row in report["rows"]), totals[name], f"{name} by {by}")
        rows = {row["policy"]: row for row in self.report(days=days, by="policy")["rows"]}
        expect(set(rows), set(self.by_policy))
        for policy, counts in self.by_policy.items():
            expect({name: rows[policy][name] for name in counts}, counts, policy)
        expect(rows["page"]["saved_ms"], 100 * rows["page"]["hits"])
        expect(rows["page"]["saved_millionths"], 400 * rows["page"]["hits"])
        expect(rows["user"]["saved_ms"], 3 * rows["user"]["hits"])


def what_several_processes_did_is_told_exactly_over_a_kill_and_restarts(larder):
    told = Told(larder)
    told.work()
    told.expect_all()
    overall = larder.client().stats()["overall"]
    expect((overall["hits"], overall["misses"]), (told.wanted["hits_shared"] + told.wanted["hits_l1"], told.wanted["misses"]))
    told.minute_passes()
    larder.kill9()
    told.start()
    told.expect_all()
    told.work()
    told.expect_all()
    larder.stop()
    told.start()
    told.expect_all()


def a_kill_loses_the_minute_under_way_and_no_more(larder):
    told = Told(larder)
    told.work()
    told.minute_passes()
    client = larder.client()
    for _ in range(7):
        client.get(b"other:lost")
    expect(told.report()["totals"]["misses"], told.wanted["misses"] + 7)
    larder.kill9()
    told.start()
    told.expect_all()


def tenants_that_connections_are_bound_to_have_rows_and_the_rest_one(larder):
    told = Told(larder)
    told.work()
    rows = {row["tenant"]: row for row in told.report(by="tenant")["rows"]}
    expect(set(rows), {"acme", "globex", "(not bound)"})
    for tenant in ("acme", "globex"):
        expect([rows[tenant][name] for name in ("hits", "misses", "sets", "saved_ms")], [2, 1, 1, 200])
    expect(rows["(not bound)"]["hits_shared"], told.wanted["hits_shared"])
    rows = {row["name"]: (row["hits"], row["misses"], row["sets"]) for row in larder.client().stats()["tenants"]}
    expect(rows, {"acme": (2, 1, 1), "globex": (2, 1, 1)})
    expect(larder.client(tenant=b"acme").stats()["tenants"], [], "who is bound learns of no others")
    rows = {row["resource"]: row["sets"] for row in told.report(by="resource")["rows"]}
    expect(rows, {"page": 5, "user": 3, "(of any kind)": 3})


def tenants_of_a_secret_namespace_are_told_to_its_own_connections_only(larder):
    told = Told(larder, CONFIG + "[namespace vault]\nsecret = on\n")
    larder.client(namespace=b"vault", tenant=b"initech").set(b"initech:page:0", b"v")
    expect(larder.client().stats()["tenants"], [])
    expect([row["tenant"] for row in larder.client(namespace=b"vault").report(by="tenant")["rows"]], ["initech"])


def days_are_told_apart_and_a_clock_that_jumps_loses_nothing(larder):
    told = Told(larder)
    told.work()
    told.minute_passes(24 * 3600)
    told.work()
    days = told.report(days=2)["rows"]
    expect(len(days), 2)
    expect(days[0]["sets"], days[1]["sets"])
    told.minute_passes(-24 * 3600)
    expect(told.report(days=1)["totals"]["sets"], days[0]["sets"], "the first day again")
    larder.kill9()
    told.start()
    told.minute_passes(24 * 3600)
    expect([row["sets"] for row in told.report(days=2)["rows"]], [row["sets"] for row in days])
    expect(told.report(days=2, by="policy")["totals"]["sets"], told.wanted["sets"])


def the_command_prints_a_table_csv_and_json(larder):
    told = Told(larder)
    told.work()
    table = [line.split("\t") for line in larder.says("report", "--by", "policy").splitlines()]
    expect(table[-1][0], "total")
    expect(int(table[-1][1]), told.wanted["hits_shared"] + told.wanted["hits_l1"])
    expect({line[0] for line in table}, {"page", "user", "default", "total"})
    rows = list(csv.DictReader(io.StringIO(larder.says("report", "--by", "policy", "--csv"))))
    expect(sum(int(row["hits"]) for row in rows), int(table[-1][1]))
    document = json.loads(larder.says("--json", "report", "--by", "tenant"))
    expect({row["tenant"] for row in document["rows"]}, {"acme", "globex", "(not bound)"})
    expect(document["totals"], told.report()["totals"])
    for wrong in (["--by", "weather"], ["--days", "401"], ["--days", "none"]):
        expect(larder.cli("report", *wrong).returncode, 2, wrong)


def what_is_hot_is_told_and_no_name_is_written_that_the_warm_tier_does_not_hold(larder):
    told = Told(larder)
    puppet, client = larder.puppet(), larder.client()
    for key in ("acme:page:hot", "passing:secret"):
        expect(puppet.ask("set", key, "v"), ["0"])

    def both_are_hot():
        for _ in range(30):
            puppet.ask("get", "acme:page:hot")
            client.get(b"passing:secret")
        return {"acme:page:hot", "passing:secret"} <= {key["key"] for key in told.report()["keys"]}

    until(both_are_hot, "both are hot")
    told.minute_passes()
    larder.stop()
    told.start()
    expect({key["key"] for key in told.report()["keys"]} & {"acme:page:hot", "passing:secret"}, {"acme:page:hot"})
    with open(os.path.join(larder.state, "default", "data.mdb"), "rb") as file:
        expect(b"passing:secret" in file.read(), False)


def what_became_of_warmings_is_told_after_a_kill(larder):
    told = Told(larder, CONFIG + "[policy warmed]\npattern = warmed:{id}\nwarming = key warmed:{1-3}\n")

    def warming():
        row = next(row for row in larder.client().stats()["policies"] if row["name"] == "warmed")
        return row["warming"]["last"], row["warming"]["days"]

    larder.client().set(b"warmed:1", b"v")
    for _ in range(2):
        larder.says("warm", "--policy", "warmed")
    last, days = warming()
    expect((last["result"], last["keys"], days[0]["runs"], days[0]["missing"]), ("warmed", 3, 2, 4))
    told.on_disk()
    larder.kill9()
    told.start()
    kept_last, kept_days = warming()
    expect(kept_days, days)
    expect({**kept_last, "hit_ratio_after": None}, {**last, "hit_ratio_after": None})


def without_a_warm_tier_it_says_so(larder):
    told = Told(larder, CONFIG.replace("[policy page]", "warm = off\n[policy page]", 1))
    told.work()
    told.expect_all()
    expect(told.report()["kept"], False)
    assert "since the daemon's start" in larder.cli("report").stderr


def http_tells_the_same_and_what_is_wrong_with_a_question(larder):
    admin = Admin(larder, more=CONFIG + "[namespace other]\nl1_bytes = 4MiB\n")
    told = Told(larder, open(larder.config, encoding="utf-8").read())
    told.work()

    def by_http(query):
        """Whoever asks for two of the same grouping too soon is told to ask again."""
        return until(lambda: (answer := admin.get("/api/cache/report" + query)).status != 503 and answer, "a report")

    for by in GROUPS:
        report, wanted = by_http(f"?days=7&by={by}").json(), told.report(days=7, by=by)
        for name in set(wanted) - {"timestamp", "keys"}:
            expect(report[name], wanted[name], f"{name} by {by}")
    expect(by_http("?namespace=other").json()["totals"]["gets"], 0)
    for wrong in ("?days=0", "?days=401", "?days=x", "?by=weather", "?namespace=none", "?from=-1"):
        answer = by_http(wrong)
        expect((answer.status, list(answer.json())), (400, ["error"]), wrong)
    expect(admin.ask("POST", "/api/cache/report").status, 405)


def a_report_that_takes_turns_is_told_by_socket_and_by_http(larder):
    admin = Admin(larder, more=CONFIG)
    told = Told(larder, open(larder.config, encoding="utf-8").read())
    for day in range(10):  # more than are added up in one turn
        with larder.client() as client:
            client.set(b"user:%d" % day, b"v")
        told.minute_passes(24 * 3600)
    wanted = told.report(days=400)
    expect([row["sets"] for row in wanted["rows"]], [1] * 10 + [0])
    report = admin.get("/api/cache/report?days=400").json()
    expect((report["rows"], report["totals"]), (wanted["rows"], wanted["totals"]))


def names_of_a_secret_namespace_are_not_told_by_http(larder):
    admin = Admin(larder, more="[namespace vault]\nl1_bytes = 4MiB\nsecret = on\n")
    told = Told(larder, open(larder.config, encoding="utf-8").read())
    client = larder.client(namespace=b"vault", tenant=b"initech")
    client.set(b"initech:sealed", b"v")
    until(lambda: client.get(b"initech:sealed") and larder.client(namespace=b"vault").report()["keys"], "its own connections are told")
    told.minute_passes()
    for by in GROUPS:
        report = until(lambda: (answer := admin.get(f"/api/cache/report?namespace=vault&by={by}")).status == 200 and answer, by).json()
        expect((report["totals"]["sets"], report["keys"]), (1, []), by)
        assert "initech" not in str(report), report


def a_tenant_does_not_see_it(larder):
    larder.start()
    try:
        larder.client(tenant=b"acme").report()
    except wire.Refused as refused:
        expect(refused.result.status, wire.DENIED)
    else:
        raise AssertionError("it was shown")


play(what_several_processes_did_is_told_exactly_over_a_kill_and_restarts, a_kill_loses_the_minute_under_way_and_no_more,
     tenants_that_connections_are_bound_to_have_rows_and_the_rest_one,
     tenants_of_a_secret_namespace_are_told_to_its_own_connections_only, days_are_told_apart_and_a_clock_that_jumps_loses_nothing,
     the_command_prints_a_table_csv_and_json,
     what_is_hot_is_told_and_no_name_is_written_that_the_warm_tier_does_not_hold, what_became_of_warmings_is_told_after_a_kill, without_a_warm_tier_it_says_so,
     http_tells_the_same_and_what_is_wrong_with_a_question,
     a_report_that_takes_turns_is_told_by_socket_and_by_http, names_of_a_secret_namespace_are_not_told_by_http, a_tenant_does_not_see_it)
