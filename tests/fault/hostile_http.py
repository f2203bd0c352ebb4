"""Hostile HTTP: paths, headers and bodies nobody meant, half requests, peers that send or read a byte at a time.

What must hold: the daemon lives and answers others, what it answers is HTTP, nothing is changed but by a good POST, and
what a peer pins is given back.  Random from a seed that is printed; HTTP_SEED=N repeats a run."""

import http.client
import json
import os
import random
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from admin import Admin, all_of, connect
from scenario import expect, play, until
from wire_client import HIT

REQUESTS = 2000
SEED = int(os.environ.get("HTTP_SEED") or random.randrange(1 << 30))
SETTINGS = "token = sesame-open-now\nhttp_connections = 16\nhttp_timeout = 100ms"

METHODS = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "POST", "", "G" * 5000, "GET GET", "\0", "PRI"]
PATHS = ["/", "/livez", "/readyz", "/healthz", "/metrics", "/api/cache/clear", "/api/cache/warm", "/api/cache/stats", "/chart.js",
         "/api/cache/invalidations", "/api/cache/clear/", "//api/cache/clear", "/api/cache/clear?all=true", "/api/cache/%63lear",
         "/..%2f..%2fetc/passwd", "/%00",
         "/%", "/%zz", "*", "http://evil.example/api/cache/clear", "/" + "a" * 9000, "/\xff\xfe", "/a b", ""]
HEADERS = ["Host: localhost", "Host: localhost\r\nHost: evil", "Host:", "Content-Length: 13", "Content-Length: -1", "Content-Length: 1e9",
           "Content-Length: 99999999999999999999", "Content-Length: 13\r\nContent-Length: 0", "Transfer-Encoding: chunked",
           "Transfer-Encoding: gzip, chunked", "Expect: 100-continue", "Expect: nothing", "Connection: close", "Connection: upgrade",
           "Upgrade: websocket", "Authorization: Bearer wrong", "Authorization: Bearer sesame-open-nov", "Authorization:",
           "Authorization: Bearer " + "x" * 9000, "Origin: http://evil.example", "X-HTTP-Method-Override: POST", "Range: bytes=0-1",
           "A: " + "b" * 20000, "no colon", ": no name", "Folded: a\r\n b", "Tab:\tx", "N\0l: x", "Cookie: " + ";" * 3000]
BODIES = [b"", b'{"all": true}', b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"{" * 1000, b"\0" * 100, b"-1\r\n\r\n", b"x" * 70000,
          b'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n' * 50]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "HTTP/1.", "", "FTP/1.1"]


def some_request(rng):
    lines = [f"{rng.choice(METHODS)} {rng.choice(PATHS)} {rng.choice(VERSIONS)}", *rng.sample(HEADERS, rng.randrange(5))]
    data = "\r\n".join(lines).encode("latin-1") + rng.choice([b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n", b""]) + rng.choice(BODIES)
    if rng.random() < 0.3:  # bytes of it changed
        data = bytearray(data)
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256) if data else 0
    return bytes(data[:rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def push(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass  # it hung up first


def send_all(s, data):
    push(s, data)
    try:
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def asked(ask):
    """Until it is answered: whom a busy machine holds up for as long as http_timeout is hung up on too, and rightly."""
    def try_it():
        try:
            return [ask()]
        except (http.client.HTTPException, OSError):
            return None
    return until(try_it, "HTTP answers")[0]


def goes_on(larder, admin, client):
    expect(client.ping(), b"?", "the cache answers")
    until(lambda: asked(lambda: admin.get("/livez")).status == 204, "HTTP answers")
    expect(client.get(b"kept").status, HIT, "nothing was changed")


def prepared(larder):
    admin = Admin(larder, SETTINGS)
    larder.start()
    client = larder.client()
    client.set(b"kept", b"1", tags=[b"t"])
    return admin, client


def random_requests_change_nothing_and_are_answered_in_http(larder):
    print(f"# figure: HTTP_SEED={SEED}")
    admin, client = prepared(larder)
    rng, port = random.Random(SEED), admin.port()
    answered = 0
    for n in range(REQUESTS):
        data = some_request(rng)
        with connect(rng.choice([admin.path, port])) as s:
            send_all(s, data)
            answer = all_of(s) if rng.random() < 0.9 else b""
        assert not answer or re.match(rb"HTTP/1\.[01] \d{3} |100", answer), (data[:200], answer[:200])
        assert b"sesame" not in answer, data[:200]
        answered += bool(answer)
        if n % 500 == 0:
            goes_on(larder, admin, client)
    assert answered > REQUESTS / 4, answered
    goes_on(larder, admin, client)
    expect(asked(admin.stats)["namespaces"]["default"]["cache"]["invalidations"], 0)


def some_body(rng):
    values = [True, False, None, 0, "", "kept", ["kept"], [["kept"]], {"all": True}, [None], ["a"] * 2000, "x" * 5000, 1e308, "\0"]
    names = ["all", "keys", "tags", "prefix", "soft", "namespace", "tag", "key", "ALL", "", "a" * 300]
    body = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(4))}
    text = bytearray(json.dumps(body).encode())
    for _ in range(rng.randrange(3)):
        text[rng.randrange(len(text))] = rng.randrange(256)
    return bytes(text)


def bodies_of_all_kinds_are_answered(larder):
    admin, client = prepared(larder)
    rng = random.Random(SEED)
    for _ in range(REQUESTS // 3):
        body = some_body(rng)
        answer = asked(lambda: admin.post("/api/cache/clear", body, headers={"Authorization": "Bearer sesame-open-now"}))
        assert answer.status in (200, 400, 413, 503), answer
        assert answer.status == 200 or answer.json()["error"], answer
    client.set(b"kept", b"1")
    goes_on(larder, admin, client)


def peers_that_dawdle_are_hung_up_on_and_hold_nobody_up(larder):
    admin, client = prepared(larder)
    begun = [b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\nA", b"POST /api/cache/clear HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
             b"", b"POST /api/cache/clear HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"]
    slow = [connect(admin.path) for _ in range(15)]
    for n, s in enumerate(slow):
        push(s, begun[n % len(begun)])
    expect(asked(lambda: admin.get("/livez")).status, 204, "beside them")
    for s in slow:
        answer = all_of(s)
        assert b" 20" not in answer[:16], answer
        s.close()
    until(lambda: asked(admin.metrics)["larder_http_connections_cut_total"] >= 15, "all were cut off")
    goes_on(larder, admin, client)


def peers_that_do_not_read_are_hung_up_on(larder):
    admin, client = prepared(larder)
    deaf = []
    for _ in range(8):
        s = connect(admin.path)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        push(s, b"GET /chart.js HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        deaf.append(s)
    goes_on(larder, admin, client)
    until(lambda: asked(admin.metrics)["larder_http_connections"] <= 1, "they are gone")
    for s in deaf:
        s.close()


def a_storm_of_connections_leaves_room_again(larder):
    admin, client = prepared(larder)
    for _ in range(10):
        crowd = []
        for _ in range(40):
            s = connect(admin.path)
            send_all(s, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            crowd.append(s)
        for s in crowd:
            s.close()
    until(lambda: asked(admin.metrics)["larder_http_connections"] <= 1, "room again")
    expect(client.ping(), b"?")
    goes_on(larder, admin, client)


play(random_requests_change_nothing_and_are_answered_in_http, bodies_of_all_kinds_are_answered,
     peers_that_dawdle_are_hung_up_on_and_hold_nobody_up, peers_that_do_not_read_are_hung_up_on,
     a_storm_of_connections_leaves_room_again)
