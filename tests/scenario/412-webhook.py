"""A webhook: alert_command is curl, as server/doc/ops/README.md has it, and a receiver gets each condition once as it comes and
once as it goes, whatever the receiver does meanwhile."""

import http.server
import json
import os
import shutil
import signal
import threading

import tap
from admin import Admin
from scenario import ROOT, expect, play, until

QUICK = "health_window = 1s\nhit_ratio_needs = 20\nalert_hold = 0s\n"
STRICT = "max_memory = 0.1%\nmax_latency = 1us\nmin_score = 100\n"


class Receiver(http.server.ThreadingHTTPServer):
    """`mood`: what it answers; None: nothing, ever."""

    def __init__(self, mood=200):
        super().__init__(("127.0.0.1", 0), Hook)
        self.mood, self.got, self.over = mood, [], threading.Event()
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def told(self, condition):
        return [alert for _, alert in self.got if alert["condition"] == condition]

    def finish(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))
        if self.server.mood is None:
            self.server.over.wait(60)
        self.send_response(self.server.mood or 500)
        self.end_headers()

    def log_message(self, *_):
        pass


def command():
    """The line of the documentation."""
    if not shutil.which("curl"):
        raise tap.Skip("no curl here")
    text = open(os.path.join(ROOT, "server/doc/ops/README.md"), encoding="utf-8").read()
    line, = [line.strip() for line in text.splitlines() if line.strip().startswith("alert_command = curl")]
    return line


def hooked(larder, receiver, more=""):
    """Its address is a secret, in a file of its own."""
    place = os.path.join(larder.home, "alert.curl")
    with open(place, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(f'url = "http://127.0.0.1:{receiver.server_port}/hook/sesame"\n')
    return f"[health]\n{QUICK}{command().replace('/etc/larder/alert.curl', place)}\n{more}"


def change(larder, old, new):
    text = open(larder.config, encoding="utf-8").read()
    larder.configure(text.replace(old, new))
    larder.signal(signal.SIGHUP)


def each_condition_is_told_once_and_taken_back_once(larder):
    receiver = Receiver()
    try:
        admin = Admin(larder, more=hooked(larder, receiver))
        larder.start()
        client, conditions = larder.client(), ["memory", "latency", "score", "hit_ratio"]
        client.set(b"there", b"1")

        def ask(key):
            for _ in range(30):
                client.get(key)

        change(larder, QUICK, QUICK + STRICT)
        until(lambda: ask(b"not-there") or all(receiver.told(c) for c in conditions), "each is told")
        change(larder, STRICT, "")
        until(lambda: ask(b"there") or all(len(receiver.told(c)) > 1 for c in conditions), "each is taken back")
        for c in conditions:
            expect([a["state"] for a in receiver.told(c)], ["firing", "resolved"], c)
        expect({c: receiver.told(c)[0]["severity"] for c in conditions},
               {"memory": "warning", "latency": "warning", "score": "critical", "hit_ratio": "critical"})
        for path, alert in receiver.got:
            expect(path, "/hook/sesame")
            assert {"severity", "message", "score", "issues", "recommendations"} <= set(alert), alert
        expect(admin.metrics()['larder_alert_commands_total{result="failed"}'], 0)
        assert "sesame" not in larder.log() + larder.says("config", "dump") + admin.get("/api/cache/stats").body.decode()
    finally:
        receiver.finish()


def a_receiver_that_never_answers_or_refuses_holds_nothing_up(larder):
    for mood in (None, 500):
        receiver = Receiver(mood)
        try:
            admin = Admin(larder, more=hooked(larder, receiver, "alert_timeout = 2s\n" + STRICT))
            larder.start()
            until(lambda: admin.metrics()['larder_alert_commands_total{result="failed"}'] > 0, f"it failed ({mood})")
            until(lambda: receiver.got, "it was asked")
            expect(admin.get("/livez").status, 204)
            expect(larder.client().set(b"k", b"v").status, 0)
            larder.stop()
        finally:
            receiver.finish()


play(each_condition_is_told_once_and_taken_back_once, a_receiver_that_never_answers_or_refuses_holds_nothing_up)
