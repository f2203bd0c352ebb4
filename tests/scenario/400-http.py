"""Health, statistics and clearing by HTTP: what is answered, who may change something, what a peer may pin."""

import os
import signal
import socket
import stat

from admin import Admin, all_of, connect
from scenario import expect, play, until
from redis_client import Redis
from wire_client import HIT

TOKEN = {"Authorization": "Bearer sesame-open-now"}


def nothing_is_listened_on_unless_asked(larder):
    larder.start()
    assert "HTTP" not in larder.log(), larder.log()


def probes_say_alive_and_ready(larder):
    admin = Admin(larder)
    larder.start()
    for path in ["/livez", "/readyz"]:
        answer = admin.get(path)
        expect((answer.status, answer.body), (204, b""), path)


def http_and_the_command_tell_the_same_statistics(larder):
    admin = Admin(larder)
    larder.start()
    client = larder.client()
    client.set(b"a", b"1")
    for key in [b"a", b"a", b"b"]:
        client.get(key)
    by_http, by_wire = admin.stats(), client.stats()
    for part in ["schema", "overall", "tiers", "policies", "tenants", "redis"]:
        assert part in by_http, part
    expect(set(by_http), set(by_wire))
    for part in ["tiers", "policies", "redis", "namespaces"]:  # the pool and the warm thread are still at work
        until(lambda: admin.stats()[part] == client.stats()[part], f"both say the same of {part}")
    for path in ["/api/cache/health", "/healthz"]:
        health = admin.document(path)
        expect((health["status"], health["score"]), ("ok", 100))


def a_clear_clears_what_it_names(larder):
    admin = Admin(larder, more="[namespace other]")
    larder.start()
    client, other = larder.client(), larder.client(namespace=b"other")
    for n, tags in enumerate([[b"red"], [b"blue"], []]):
        client.set(b"g%d:k" % n, b"v", tags=tags)
        other.set(b"g%d:k" % n, b"v", tags=tags)

    def left(of):
        return [n for n in range(3) if of.get(b"g%d:k" % n).status == HIT]

    expect(admin.post("/api/cache/clear", {"keys": "g2:k"}).json(), {"status": "OK", "namespace": "default", "count": 1})
    expect(left(client), [0, 1])
    expect(admin.post("/api/cache/clear", {"tags": ["blue", "green"]}).status, 200)
    expect(left(client), [0])
    expect(admin.post("/api/cache/clear", {"namespace": "other", "prefix": ["g0:"]}).status, 200)
    expect((left(client), left(other)), ([0], [1, 2]))
    expect(admin.post("/api/cache/clear", {"all": True}).status, 200)
    expect((left(client), left(other)), ([], [1, 2]))


def what_is_not_understood_clears_nothing(larder):
    admin = Admin(larder)
    larder.start()
    client = larder.client()
    client.set(b"a", b"1", tags=[b"t"])
    for body in ["", "{}", "[]", "null", "{", '{"all": "yes"}', '{"all": false}', '{"tag": "t", "all": true}', '{"keys": [1]}',
                 '{"keys": ["a", 1]}', '{"all": true, "all": true}', '{"all": true} x', '{"keys": []}',
                 '{"keys": %s}' % (["a"] * 1025), b"\xff\xfe", "[" * 60000]:
        answer = admin.post("/api/cache/clear", str(body).replace("'", '"') if isinstance(body, str) else body)
        expect(answer.status, 400, repr(body)[:80])
        assert answer.json()["error"], answer
    expect(admin.post("/api/cache/clear", {"namespace": "nowhere", "all": True}).status, 400)
    expect(client.get(b"a").status, HIT)


def only_a_post_changes_something(larder):
    admin = Admin(larder)
    larder.start()
    client = larder.client()
    client.set(b"a", b"1")
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "post"]:
        answer = admin.ask(method, "/api/cache/clear", {"all": True})
        expect((answer.status, answer.headers["Allow"]), (405, "POST"), method)
    expect(admin.post("/api/cache/stats", {}).status, 405)
    expect(admin.get("/nowhere").status, 404)
    expect(client.get(b"a").status, HIT)
    expect(admin.get("/api/cache/stats?x=1").status, 200, "with a query")


def a_change_wants_the_token_when_there_is_one(larder):
    token_file = os.path.join(larder.home, "token")
    with open(token_file, "w", encoding="ascii") as file:
        file.write("sesame-open-now\n")
    admin = Admin(larder, f"token_file = {token_file}")
    larder.start()
    client = larder.client()
    client.set(b"a", b"1")
    for wrong in [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer sesame"},
                  {"Authorization": "Bearer sesame-open-now-and-more"}, {"Authorization": "Bearer Sesame-open-now"},
                  {"Authorization": "Basic sesame-open-now"}]:
        expect(admin.post("/api/cache/clear", {"all": True}, headers=wrong).status, 401, str(wrong))
    expect(client.get(b"a").status, HIT)
    expect(admin.get("/api/cache/stats").status, 200, "looking wants none")
    expect(admin.post("/api/cache/clear", {"all": True}, headers=TOKEN).status, 200)
    assert client.get(b"a").status != HIT
    assert "sesame" not in larder.log() + larder.says("config", "dump"), "the token is told"


def a_page_of_elsewhere_is_refused(larder):
    admin = Admin(larder, "hosts = cache.example")
    larder.start()
    port = admin.port()
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "cache.example.evil"]:
        expect(admin.get("/api/cache/stats", place=port, headers={"Host": host}).status, 403, host)
    for host in ["localhost", f"127.0.0.1:{port}", "[::1]:80", "cache.example", "CACHE.example:443", "127.1.2.3"]:
        expect(admin.get("/api/cache/stats", place=port, headers={"Host": host}).status, 200, host)
    for place in [admin.path, port]:
        for origin in ["https://evil.example", "null", "http://localhost:1", "http://localhost.evil.example"]:
            headers = {"Host": "localhost", "Origin": origin}
            expect(admin.post("/api/cache/clear", {"all": True}, place=place, headers=headers).status, 403, origin)
        own = {"Host": "localhost:5", "Origin": "http://localhost:5"}
        expect(admin.post("/api/cache/clear", {"all": True}, place=place, headers=own).status, 200, "its own page")
    expect(admin.raw(b"GET /livez HTTP/1.0\r\n\r\n", place=port)[:12], b"HTTP/1.1 403", "no Host at all")


def only_this_host_is_listened_to(larder):
    for listen in ["0.0.0.0:8370", "10.0.0.1:1", "[::]:1", "8370", "127.0.0.1:x", "127.0.0.1:70000", "unix:", "example.org:80",
                   "unix:/" + "x" * 110, "127.0.0.1:1 " * 5]:
        larder.configure(f"[admin]\nlisten = {listen}\n")
        assert "listen" in larder.refuses_to_start(), listen


def its_socket_is_made_and_taken_over_like_the_clients_own(larder):
    admin = Admin(larder, "listen_mode = 0600")
    larder.start()
    expect(stat.S_IMODE(os.stat(admin.path).st_mode), 0o600)
    larder.kill9()
    assert os.path.exists(admin.path)
    larder.start()
    expect(admin.get("/livez").status, 204, "after a kill")
    larder.stop()
    assert not os.path.exists(admin.path)
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(admin.path)
        living.listen()
        assert "another daemon listens there" in larder.refuses_to_start()


def a_peer_pins_a_bounded_amount(larder):
    admin = Admin(larder, "http_connections = 4\nhttp_timeout = 300ms")
    larder.start()
    expect(admin.raw(b"POST /api/cache/clear HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")[:12], b"HTTP/1.1 413")
    expect(admin.post("/api/cache/clear", b"x" * 65537).status, 413)
    assert b" 431 " in admin.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40000 + b"\r\n\r\n")[:40]
    until(lambda: admin.stats()["process"], "room again")
    slow = [connect(admin.path) for _ in range(4)]
    for s in slow:
        s.sendall(b"GET /livez HTTP/1.1\r\nHo")
    for s in slow:
        expect(all_of(s), b"", "hung up on")
        s.close()
    expect(admin.get("/livez").status, 204, "and there is room again")


def events_come_once_a_second_to_a_few_readers(larder):
    admin = Admin(larder, "http_streams = 2")
    larder.start()
    readers = [connect(admin.path) for _ in range(2)]
    for s in readers:
        s.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    got = [b"", b""]
    for n, s in enumerate(readers):
        while got[n].count(b"event: stats\ndata: {") < 2 or got[n].count(b"event: health") < 2:
            got[n] += s.recv(65536)
        assert b"text/event-stream" in got[n]
    expect(admin.get("/events").status, 503, "a third reader")
    readers[0].close()
    until(lambda: admin.raw(b"HEAD /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200"),
          "a place is free again")
    larder.stop()
    readers[1].settimeout(10)
    all_of(readers[1])
    readers[1].close()


def a_clear_under_way_is_answered_before_the_end(larder):
    redis = Redis().start()
    try:
        admin = Admin(larder, more=f"[redis]\nurl = unix:{redis.path}\ncommand_timeout = 1s")
        larder.start()
        until(lambda: admin.stats()["state"] == "FRESH", "a fleet")
        redis.child.send_signal(signal.SIGSTOP)
        with connect(admin.path) as s:
            s.sendall(b'POST /api/cache/clear HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{"all": true}')
            until(lambda: admin.stats()["namespaces"]["default"]["cache"]["invalidations"], "it is under way")
            larder.stop()
            answer = all_of(s)
        assert b'"status":"QUEUED"' in answer or b'"status":"UNKNOWN"' in answer or b'"status":"LOCAL"' in answer, answer
    finally:
        redis.finish()


def a_warming_is_begun_with_the_token_and_told_in_statistics_and_metrics(larder):
    admin = Admin(larder, "token = sesame-open-now",
                  "[policy pages]\npattern = page:*\nwarming = key page:{0-9}\n[policy users]\npattern = user:*")
    larder.start()
    larder.client().set(b"page:1", b"v")
    expect(admin.post("/api/cache/warm", {"policy": "pages"}).status, 401)
    for body, status, says in [({}, 400, "say what to warm"), ({"policy": 7}, 400, "are texts"), ("[]", 400, "a JSON object"),
                               ({"policy": "pages", "namespace": "none"}, 400, "no such namespace"),
                               ({"keys": ["a"]}, 400, "there are: "), ({"policy": "nobody"}, 409, "no such policy"),
                               ({"policy": "users"}, 409, "does not say what to warm")]:
        refused = admin.post("/api/cache/warm", body, headers=TOKEN)
        expect((refused.status, says in refused.json()["error"]), (status, True), body)
    expect(admin.post("/api/cache/warm", {"policy": "pages"}, headers=TOKEN).json(),
           {"status": "OK", "namespace": "default", "policy": "pages"})
    warming = until(lambda: next((w for w in [admin.stats()["policies"][1]["warming"]] if w["days"][0]["runs"]), None), "it is over")
    last = warming["last"]
    expect((last["result"], last["keys"], last["here"], last["missing"]), ("warmed", 10, 1, 9))
    metrics = admin.metrics()
    for name, outcome, value in [("runs", "done", 1), ("keys", "here", 1), ("keys", "missing", 9)]:
        expect(metrics[f'larder_warming_{name}_total{{namespace="default",policy="pages",outcome="{outcome}"}}'], value)


play(a_warming_is_begun_with_the_token_and_told_in_statistics_and_metrics, nothing_is_listened_on_unless_asked, probes_say_alive_and_ready, http_and_the_command_tell_the_same_statistics,
     a_clear_clears_what_it_names, what_is_not_understood_clears_nothing, only_a_post_changes_something,
     a_change_wants_the_token_when_there_is_one, a_page_of_elsewhere_is_refused, only_this_host_is_listened_to,
     its_socket_is_made_and_taken_over_like_the_clients_own, a_peer_pins_a_bounded_amount,
     events_come_once_a_second_to_a_few_readers, a_clear_under_way_is_answered_before_the_end)
