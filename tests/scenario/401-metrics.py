"""/metrics: what Prometheus takes, with the names dashboards know, the figures of what was done, and no label a key."""

import re
import shutil
import subprocess

import tap
from admin import Admin
from scenario import expect, play

CONTRACT = ["requests_total", "request_duration_seconds_bucket", "hits_total", "misses_total", "l1_bytes", "evictions_total",
            "invalidations_total", "redis_up", "detached_seconds_total", "loads_total", "client_connections", "build_info",
            "warm_entries", "state", "http_requests_total", "lease_wait_seconds_count", "client_unreached_total",
            "health_score", "health_issues", "namespace_request_duration_seconds_bucket", "policy_request_duration_seconds_bucket",
            "tenant_request_duration_seconds_bucket"]
LABELS = {"namespace", "tenant", "op", "result", "tier", "reason", "policy", "kind", "source", "fate", "outcome", "state", "le", "quantile",
          "version", "condition", "severity", "status"}


def promtool_finds_nothing_wrong(larder):
    if not shutil.which("promtool"):
        raise tap.Skip("no promtool here")
    admin = Admin(larder, more='[namespace other]\n[policy users]\npattern = user:*')
    larder.start()
    larder.client().set(b"user:1", b"1")
    larder.client().get(b"user:1")
    larder.client(tenant='a"b\\c\n').get(b'a"b\\c\n:1')
    text = admin.get("/metrics")
    assert b"tenant_request_duration_seconds_count" in text.body
    expect(text.headers["Content-Type"].split(";")[0], "text/plain")
    done = subprocess.run(["promtool", "check", "metrics"], input=text.body, capture_output=True, check=False)
    expect((done.returncode, done.stdout, done.stderr), (0, b"", b""))


def names_of_the_contract_are_there_and_labels_are_few(larder):
    admin = Admin(larder)
    larder.start()
    client = larder.client()
    client.set(b"secret-key", b"1", tags=[b"secret-tag"])
    client.get(b"secret-key")
    larder.client(tenant="acme").get(b"acme:1")
    metrics = admin.metrics()
    for name in CONTRACT:
        assert any(re.match(rf"larder_{name}(\{{|$)", sample) for sample in metrics), name
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"]:
        assert metrics[name] > 0, name
    used = {label for sample in metrics for label in re.findall(r'(\w+)="', sample)}
    assert used <= LABELS, used - LABELS
    assert "secret" not in str(metrics)


def counters_are_those_of_the_work_that_was_done(larder):
    admin = Admin(larder, more='[policy users]\npattern = user:*\n')
    larder.start()
    client = larder.client()
    for n in range(5):
        client.set(b"user:%d" % n, b"1", tags=[b"t"])
    client.set(b"other", b"1")
    for n in range(7):
        client.get(b"user:%d" % n)
    client.get(b"other")
    client.invalidate(keys=[b"other"])
    client.invalidate(tags=[b"t"])
    client.get(b"user:0")
    m = admin.metrics()
    for sample, wanted in {
            'larder_requests_total{namespace="default",op="set",result="stored"}': 6,
            'larder_requests_total{namespace="default",op="get",result="hit_l1"}': 6,
            'larder_requests_total{namespace="default",op="get",result="miss"}': 3,
            'larder_requests_total{namespace="default",op="invalidate",result="done"}': 2,
            'larder_hits_total{namespace="default",policy="users",tier="l1"}': 5,
            'larder_hits_total{namespace="default",policy="default",tier="l1"}': 1,
            'larder_misses_total{namespace="default",policy="users",reason="cold"}': 2,
            'larder_misses_total{namespace="default",policy="users",reason="invalidated"}': 1,
            'larder_invalidations_total{namespace="default",source="local",kind="key"}': 1,
            'larder_invalidations_total{namespace="default",source="local",kind="name"}': 1,
            'larder_state{namespace="default",state="STANDALONE"}': 1,
            'larder_redis_up{namespace="default"}': 0,
            'larder_client_connections': 1}.items():
        expect(m[sample], wanted, sample)
    expect(m['larder_request_duration_seconds_count{op="get",tier="l1"}'], 6)


def tenants_are_told_to_none_who_may_not_know_names(larder):
    admin = Admin(larder, more="[namespace vault]\nsecret = on\n")
    larder.start()
    acme = larder.client(tenant="acme")
    acme.get(b"acme:1")
    for _ in range(3):
        acme.set(b"acme:1", b"1")
    larder.client(tenant="hidden", namespace="vault").get(b"hidden:1")
    metrics = admin.metrics()
    for op, wanted in {"get": 1, "set": 3}.items():
        expect(metrics[f'larder_tenant_request_duration_seconds_count{{namespace="default",op="{op}",tenant="acme"}}'], wanted, op)
    assert "hidden" not in str(metrics)
    admin = Admin(larder, "http_names = off")
    larder.restart()
    larder.client(tenant="acme").get(b"acme:1")
    assert "acme" not in str(admin.metrics())


def metrics_can_be_switched_off(larder):
    admin = Admin(larder, "metrics = off")
    larder.start()
    expect(admin.get("/metrics").status, 404)


play(promtool_finds_nothing_wrong, names_of_the_contract_are_there_and_labels_are_few,
     counters_are_those_of_the_work_that_was_done, tenants_are_told_to_none_who_may_not_know_names, metrics_can_be_switched_off)
