"""An app goes on without Redis: how often its source is asked meanwhile.

    131-source-without-redis.py [--minutes]   without it a second stands for each minute"""

import argparse
import random
import sys
import time

import wire_client as wire
from fleet import BY_DEFAULT, play
from scenario import expect

KEYS, ENOUGH = 300, 0.30
GETS = 20 * KEYS  # at least: fewer say nothing
MINUTE_S = 1.0   # what stands for a minute: of the outage, and of `detached_max`
MINUTES = 10


def popular(chance):
    """Zipf, as pages are asked for."""
    return b"page:%d" % min(int(chance.paretovariate(0.9)), KEYS)


def get_or_load(client, key):
    """Whether the source was asked."""
    got = client.lease(key, wait_ms=500)
    if got.status == wire.HIT and not got.token:
        return False
    assert got.status in (wire.HIT, wire.LEASED, wire.WAIT, wire.MISS), got
    if got.token:
        client.set(key, b"from the source", token=got.token)
    return True


def ten_minutes_without_redis_ask_the_source_for_less_than_a_third(fleet):
    chance = random.Random(7)
    host = fleet.start(1, namespace={"detached_max": f"{max(MINUTE_S, 1):.0f}s"}, redis={"command_timeout": BY_DEFAULT})[0]
    client = host.ask()
    for n in range(KEYS):
        get_or_load(client, b"page:%d" % n)
    host.leave_redis()
    asked, loads, end = 0, 0, time.monotonic() + MINUTES * MINUTE_S
    while time.monotonic() < end or asked <= GETS:
        asked += 1
        loads += get_or_load(client, popular(chance))
    print(f"# figure: {asked} gets in {MINUTES} minutes of {MINUTE_S:.0f} s without Redis, {loads} went to the source: "
          f"{100 * loads / asked:.1f} % of what they would be without a cache")
    assert loads <= ENOUGH * asked, f"{loads} of {asked}"
    host.return_to_redis()
    host.until_fresh()
    expect(client.lease(b"page:1").status in (wire.HIT, wire.LEASED), True)


def main():
    global MINUTE_S
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", action="store_true", help="of sixty seconds each")
    if arguments.parse_args().minutes:
        MINUTE_S = 60.0
    play(ten_minutes_without_redis_ask_the_source_for_less_than_a_third)


if __name__ == "__main__":
    sys.exit(main())
