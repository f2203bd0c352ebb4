"""What server/doc/ops offers to Prometheus and Grafana: rules that fire when they should, and names the daemon really has."""

import json
import os
import re
import shutil
import subprocess

import tap
from admin import Admin
from redis_client import Redis
from scenario import expect, play, until
from tree import ROOT

OPS = os.path.join(ROOT, "server/doc/ops")
# What Prometheus makes itself, or from ours.
NOT_OURS = {"larder:gets:rate5m", "larder:hit_ratio:rate5m", "larder:get_seconds:p99"}


def promtool(*words):
    if not shutil.which("promtool"):
        raise tap.Skip("no promtool here")
    return subprocess.run(["promtool", *words], cwd=OPS, capture_output=True, text=True, check=False)


def the_rules_are_rules(larder):
    done = promtool("check", "rules", "larder.rules.yml")
    expect(done.returncode, 0, done.stdout + done.stderr)


def every_alert_comes_with_its_cause_and_not_without(larder):
    done = promtool("test", "rules", "larder.rules.test.yml")
    expect(done.returncode, 0, done.stdout + done.stderr)
    with open(os.path.join(OPS, "larder.rules.yml"), encoding="utf-8") as rules, \
         open(os.path.join(OPS, "larder.rules.test.yml"), encoding="utf-8") as tests:
        alerts, tested = set(re.findall(r"alert: (\w+)", rules.read())), tests.read()
    assert all(f'alertname="{name}"' in tested for name in alerts), alerts


def names_used():
    text = open(os.path.join(OPS, "larder.rules.yml"), encoding="utf-8").read()
    dashboard = json.load(open(os.path.join(OPS, "grafana-dashboard.json"), encoding="utf-8"))
    text += " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    text += " ".join(variable["query"] for variable in dashboard["templating"]["list"])
    return set(re.findall(r"\b((?:larder|process)_[a-z0-9_]+)\b", re.sub(r'"[^"]*"', '""', text)))


def the_daemon_has_every_name_they_use(larder):
    redis = Redis().start()
    try:
        admin = Admin(larder, more=f"[redis]\nurl = unix:{redis.path}")
        larder.start()
        until(lambda: admin.stats()["state"] == "FRESH", "a fleet")
        larder.client(tenant="acme").get(b"acme:1")  # who asked for nothing has no histogram
        has = {sample.split("{")[0] for sample in admin.metrics()}
        used = names_used()
        assert len(used) > 20, used
        expect(used - has - NOT_OURS, set())
    finally:
        redis.finish()


play(the_rules_are_rules, every_alert_comes_with_its_cause_and_not_without, the_daemon_has_every_name_they_use)
