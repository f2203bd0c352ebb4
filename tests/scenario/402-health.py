"""Health over time: what raises an issue, what clears it, and who is told."""

import json
import os
import signal

from admin import Admin
from redis_client import Redis
from scenario import expect, play, until

QUICK = "[health]\nhealth_window = 1s\nhit_ratio_needs = 20\nalert_hold = 0s\n"


def conditions(admin):
    return {c["condition"]: c["severity"] for c in admin.health()["conditions"]}


def a_low_hit_ratio_is_told_with_its_reason_and_goes_with_its_cause(larder):
    admin = Admin(larder, more=QUICK)
    larder.start()
    client = larder.client()
    client.set(b"there", b"1")

    def ask(key):
        for _ in range(30):
            client.get(key)
        return conditions(admin)

    until(lambda: ask(b"not-there").get("hit_ratio") == "critical", "a critical hit ratio")
    health = admin.health()
    expect(health["status"], "degraded")
    assert health["score"] <= 80 and "100 % never stored before" in health["issues"][0], health
    assert health["recommendations"], health
    until(lambda: "hit_ratio" not in ask(b"there"), "it is gone")
    expect(admin.health()["score"], 100)


def thresholds_change_with_a_reload(larder):
    admin = Admin(larder, more="[health]\nmax_memory = 80%\n")
    larder.start()
    expect(conditions(admin), {})
    text = open(larder.config, encoding="utf-8").read()
    larder.configure(text.replace("max_memory = 80%", "max_memory = 0.1%"))
    larder.signal(signal.SIGHUP)
    until(lambda: "memory" in conditions(admin), "memory over its bound")
    assert "MiB it may" in " ".join(admin.health()["issues"])
    larder.configure(text)
    larder.signal(signal.SIGHUP)
    until(lambda: conditions(admin) == {}, "it is gone")


def told(larder):
    path = os.path.join(larder.home, "alerts")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def a_lost_redis_is_told_once_and_taken_back_once(larder):
    redis = Redis().start()
    try:
        command = f'cat >>{larder.home}/alerts; echo >>{larder.home}/alerts; echo "$LARDER_ALERT_STATE" >>{larder.home}/states'
        admin = Admin(larder, more=f"{QUICK}alert_command = {command}\n[redis]\nurl = unix:{redis.path}")
        larder.start()
        until(lambda: admin.stats()["state"] == "FRESH", "a fleet")
        redis.kill9()
        os.unlink(redis.path)
        lost = until(lambda: [a for a in told(larder) if a["condition"] == "redis_lost"], "an alert")[0]
        expect((lost["state"], lost["severity"]), ("firing", "critical"))
        assert lost["score"] <= 70 and lost["issues"] and lost["recommendations"] and lost["message"] in lost["issues"], lost
        expect(admin.health()["status"], "degraded")
        expect(admin.metrics()['larder_redis_up{namespace="default"}'], 0)
        until(lambda: admin.metrics()["larder_detached_seconds_total"] > 0, "the time away is counted")
        redis.start()
        until(lambda: any(a["condition"] == "redis_lost" and a["state"] == "resolved" for a in told(larder)), "it is taken back")
        expect([a["state"] for a in told(larder) if a["condition"] == "redis_lost"], ["firing", "resolved"])
        assert "redis_lost" not in conditions(admin)
    finally:
        redis.finish()


def a_command_that_hangs_is_killed_and_holds_nothing_up(larder):
    admin = Admin(larder, more="[health]\nmax_memory = 0.1%\nalert_timeout = 200ms\n"
                               f"alert_command = echo $$ >>{larder.home}/pids; tail -f /dev/null\n")
    larder.start()
    until(lambda: "the alert command failed" in larder.log(), "it is killed")
    expect(admin.get("/livez").status, 204)
    pids = open(os.path.join(larder.home, "pids"), encoding="ascii").read().split()
    assert pids and not any(os.path.exists(f"/proc/{pid}") for pid in pids[:1]), pids


def the_end_does_not_wait_for_a_command(larder):
    Admin(larder, more=f"[health]\nmax_memory = 0.1%\nalert_command = echo $$ >{larder.home}/pid; tail -f /dev/null\n")
    larder.start()
    pid = until(lambda: os.path.exists(f"{larder.home}/pid") and open(f"{larder.home}/pid", encoding="ascii").read().strip(),
                "it runs")
    larder.stop()
    until(lambda: not os.path.exists(f"/proc/{pid}"), "it went along")


def a_command_gets_nothing_of_ours(larder):
    Admin(larder, more="[health]\nmax_memory = 0.1%\n"
                       f"alert_command = (ls /proc/$$/fd | tr '\\n' ' '; env) >{larder.home}/has.new; mv {larder.home}/has.new {larder.home}/has")
    larder.start(env={"REDIS_PASSWORD": "sesame", "LARDER_ADMIN_TOKEN": "sesame", "OTHER": "sesame"})
    until(lambda: os.path.exists(f"{larder.home}/has"), "it ran")
    has = open(f"{larder.home}/has", encoding="utf-8").read()
    assert "LARDER_ALERT_CONDITION=memory" in has and "PATH=" in has, has
    assert "sesame" not in has, has
    descriptors = has.split("\n", 1)[0].split()
    assert all(not word.isdigit() or int(word) < 3 or int(word) >= 10 for word in descriptors), has  # 10 and on are the shell's own


def the_last_hour_is_there_for_curves(larder):
    admin = Admin(larder, more=QUICK)
    larder.start()
    larder.client().get(b"a")
    history = until(lambda: (h := admin.document("/api/cache/history"))["misses"][-1:] == [1] and h, "a sample with the miss")
    expect(len({len(series) for series in history.values()}), 1, "all series are as long as each other")
    assert history["t"] == sorted(history["t"]), history["t"]


play(a_low_hit_ratio_is_told_with_its_reason_and_goes_with_its_cause, thresholds_change_with_a_reload,
     a_lost_redis_is_told_once_and_taken_back_once, a_command_that_hangs_is_killed_and_holds_nothing_up,
     the_end_does_not_wait_for_a_command, a_command_gets_nothing_of_ours, the_last_hour_is_there_for_curves)
