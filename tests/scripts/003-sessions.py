"""A dead session changes nothing, however late its bytes arrive (F7)."""

import os

from redis_scripts import TENDED_MS, expect, play

DAY_MS = 24 * 3600 * 1000


def bytes_held_back_by_the_network_change_nothing(fleet):
    zombie = fleet.host("a")
    held = zombie.set_words("k", "v1")
    # Time-out: the host gives up, connects again, cleans up and goes on.
    a = fleet.host("a")
    expect(a.invalidate("k").v, 1)
    expect(a.set("k", "v2").v, 2)
    # Now the network delivers.
    fleet.unchanged(zombie.run, "set", *held)
    expect(zombie.run("set", *held).word(), "SESSION")
    expect((a.get("k"), fleet.ask("GET", fleet.key("ver"))), (b"v2", b"2"))


def every_script_asks_for_the_session(fleet):
    zombie = fleet.host("a")
    zombie.set("k", "v")
    token = zombie.getl("miss").token
    fleet.host("a")
    for act in [lambda: zombie.set("k", "w"), lambda: zombie.fill("miss", "v", token), lambda: zombie.invalidate("k", names=["a"]),
                lambda: zombie.touch("k", 1000), lambda: zombie.getl("k"), lambda: zombie.same("k", b"x" * 18), zombie.fence]:
        expect(fleet.unchanged(act).reply.word(), "SESSION")
    expect(fleet.unchanged(zombie.renew, "miss", token, 1000).word(), "SESSION")
    expect(fleet.unchanged(zombie.drop, "miss", token).word(), "SESSION")


def hosts_do_not_end_each_other_s_sessions(fleet):
    a, b = fleet.host("a"), fleet.host("b")
    fleet.host("c")
    expect((a.set("k", "v").status, b.set("k", "v").status), ("OK", "OK"))


def hosts_silent_for_a_day_are_forgotten_a_hundred_at_a_time(fleet):
    a = fleet.host("a")
    long_ago = a.hello().ms - DAY_MS - 1000
    for n in range(150):
        fleet.ask("HSET", fleet.key("inc"), f"s:dead{n}", os.urandom(8))
        fleet.ask("ZADD", fleet.key("hosts"), long_ago, f"s:dead{n}")
    a.hello()
    expect(fleet.ask("ZCARD", fleet.key("hosts")), 51)
    a.hello()
    expect((fleet.ask("ZRANGE", fleet.key("hosts"), 0, -1), fleet.ask("HEXISTS", fleet.key("inc"), "s:dead7")), ([b"s:a"], 0))
    expect(a.set("k", "v").status, "OK")


def a_forgotten_host_that_wakes_up_has_to_say_hello(fleet):
    sleeper, other = fleet.host("sleeper"), fleet.host("other")
    fleet.ask("ZADD", fleet.key("hosts"), other.hello().ms - DAY_MS - 1000, "s:sleeper")
    other.hello()
    expect(sleeper.fence().status, "SESSION")
    sleeper.hello()
    expect(sleeper.fence().status, "OK")


def a_fence_keeps_its_host_alive_and_tells_the_position(fleet):
    a = fleet.host("a")
    fleet.ask("ZADD", fleet.key("hosts"), 1, "s:a")
    a.set("k", "v")
    answer = a.fence(TENDED_MS)
    expect(answer.v, 1)
    expect(int(fleet.ask("ZSCORE", fleet.key("hosts"), "s:a")), answer.ms)


play(bytes_held_back_by_the_network_change_nothing, every_script_asks_for_the_session, hosts_do_not_end_each_other_s_sessions,
     hosts_silent_for_a_day_are_forgotten_a_hundred_at_a_time, a_forgotten_host_that_wakes_up_has_to_say_hello,
     a_fence_keeps_its_host_alive_and_tells_the_position)
