"""Rate limits: counted once for all hosts, by this host alone while Redis is away, and by whoever asks there is no way around."""

import json
import threading

import wire_client as wire
from fleet import play
from scenario import expect

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


play(two_hosts_together_allow_exactly_so_many, a_refusal_says_when_and_leaves_the_rest_alone,
     while_redis_is_away_a_host_counts_by_itself_or_as_it_is_told, what_cannot_be_is_said_by_name,
     a_foreign_value_at_its_key_in_redis_lets_this_host_count, the_command_says_it_in_words_and_exit_codes)
