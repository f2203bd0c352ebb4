"""The dashboard in a real browser: shows what is, asks nobody else, fits a phone, clears after a question.

LARDER_PICTURES=DIRECTORY keeps what it looked like."""

import atexit
import os

from admin import Admin
from browser import Browser
from scenario import expect, play, until
from wire_client import HIT

SETTINGS = """[health]
health_window = 5s
hit_ratio_needs = 50
[namespace sessions]
[policy users]
pattern = user:*
expect_hit_ratio = 90%
"""


ONE = []  # a browser takes seconds to start: all cases share it, each with a page of its own


def browsing(case):
    def with_browser(larder):
        if not ONE:
            ONE.append(Browser())
            atexit.register(ONE[0].finish)
        browser = ONE[0]
        browser.resize(1280, 900)
        browser.prefer("light")
        browser.complaints()  # those of the case before
        try:
            case(larder, browser)
        finally:
            browser.open("about:blank")
    with_browser.__name__ = case.__name__
    return with_browser


def keep_picture(browser, name):
    if folder := os.environ.get("LARDER_PICTURES"):
        browser.picture(os.path.join(folder, name))


def work(client):
    for n in range(200):
        client.set(b"user:%d" % n, b"x" * 500)
    for n in range(900):
        client.get(b"user:%d" % (n % 300))


@browsing
def it_shows_what_is_and_asks_nobody_else(larder, browser):
    admin = Admin(larder, more=SETTINGS)
    larder.start()
    work(larder.client())
    browser.open(f"http://127.0.0.1:{admin.port()}/")
    browser.until_text("#status", lambda t: t in ("ok", "degraded"), "health")
    work(larder.client())
    browser.until_text("#ratio", lambda t: t.endswith("%"), "a hit ratio")
    browser.until_text("#issues", lambda t: "hit ratio 66.7 %" in t, "the low hit ratio, among the issues")
    for css, part in [("#policies", "users"), ("#policies", "99 % within"), ("#policies", "µs"), ("#tiers", "warm"), ("#namespaces", "sessions"), ("#days", "saved calls"), ("#redis", "none"),
                      ("#state", "STANDALONE"), ("#score", "of 100")]:
        assert part in browser.text(css), (css, browser.text(css))
    browser.until_text("#days", lambda t: "1,800" in t or "1.8K" in t, "what was counted today")
    until(lambda: browser.run("return CHARTS.every((c) => c.drawn.data.datasets[0].data.length > 0)"), "six curves have points")
    expect(browser.run("return performance.getEntriesByType('resource').filter((r) => !r.name.startsWith(location.origin)).length"), 0)
    expect(browser.complaints(), [])
    browser.resize(1280, 2000)
    keep_picture(browser, "desktop.png")


def leave_names(larder):
    """In the namespace that may be told of, and in the one that may not."""
    client, secret = larder.client(), larder.client(namespace="vault")
    for c, word in [(client, b"open"), (secret, b"sealed")]:
        c.set(word + b":<img src=x>\x1b\xff", b"v", tags=[word + b"-tag"])
        for _ in range(5):
            c.get(word + b":<img src=x>\x1b\xff")
        c.invalidate(tags=[word + b"-tag-<b>2</b>"])
        c.invalidate(tags=[word + b"-tag-<b>2</b>"], keys=[b"k" * 300])


@browsing
def it_shows_what_is_used_and_invalidated_most_but_nothing_secret(larder, browser):
    admin = Admin(larder, more="[namespace default]\nl1_bytes = 8MiB\n[namespace vault]\nsecret = on\n")
    larder.start()
    leave_names(larder)
    browser.open(f"http://127.0.0.1:{admin.port()}/")
    browser.until_text("#top-keys", lambda t: "open:<img src=x>\\x1b\\xff" in t, "the key, as text")
    browser.until_text("#top-tags", lambda t: "open-tag-<b>2</b>2default" in t, "the tag and how often")
    browser.until_text("#invalidations", lambda t: "tag open-tag-<b>2</b>" in t and "wire_client.py" in t, "what, and who")
    assert "sealed" not in browser.text("body"), "nothing of the namespace that is secret"
    stats = admin.stats()
    expect({row["namespace"] for row in stats["top_keys"] + stats["top_tags"]}, {"default"})
    expect([larder.client(tenant="open").stats()[part] for part in ["top_keys", "top_tags"]], [[], []], "a bound connection")
    expect(browser.run("return document.querySelectorAll('table img, table b').length"), 0)
    expect(browser.complaints(), [])
    keep_picture(browser, "names.png")


def names_can_be_switched_off(larder):
    admin = Admin(larder, "http_names = off")
    larder.start()
    leave_names_of_one(larder.client())
    expect(admin.get("/api/cache/invalidations").status, 404)
    stats = admin.stats()
    expect((stats["top_keys"], stats["top_tags"]), ([], []))
    assert larder.client().stats()["top_tags"], "the command is told"


def leave_names_of_one(client):
    client.set(b"k", b"v")
    client.invalidate(tags=[b"t"])


@browsing
def it_fits_a_phone_and_the_dark(larder, browser):
    admin = Admin(larder, more=SETTINGS + "[namespace vault]\n")
    larder.start()
    leave_names(larder)
    browser.resize(390, 844)
    browser.prefer("dark")
    browser.open(f"http://127.0.0.1:{admin.port()}/")
    work(larder.client())
    browser.until_text("#ratio", lambda t: t.endswith("%"), "a hit ratio")
    wide = "return document.documentElement.scrollWidth - innerWidth"
    expect(browser.run(wide), 0, "nothing is wider than the screen")
    background = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert all(int(part) < 64 for part in background[4:-1].split(",")), background
    browser.until_text("#invalidations", lambda t: "open-tag" in t, "the log")
    expect(browser.run(wide), 0, "with names in it, neither")
    expect(browser.complaints(), [])
    browser.resize(390, 3400)
    keep_picture(browser, "phone.png")


def fill_clear_form(browser, kind, names, token):
    browser.run("""const [kind, names, token] = arguments;
        document.querySelector('#clear-kind').value = kind;
        document.querySelector('#clear-names').value = names;
        document.querySelector('#clear-token').value = token;
        document.querySelector('#clear').requestSubmit();""", kind, names, token)


def confirm(browser):
    assert browser.run("return document.querySelector('#confirm').open"), "it asks first"
    browser.run("document.querySelector('#confirm-yes').click()")


@browsing
def it_clears_after_a_question_and_with_the_token(larder, browser):
    admin = Admin(larder, "token = sesame-open-now", more=SETTINGS)
    larder.start()
    client = larder.client()
    for key in [b"a", b"b", b"c"]:
        client.set(key, b"1")
    browser.open(f"http://127.0.0.1:{admin.port()}/")
    until(lambda: browser.run("return document.querySelectorAll('#clear-namespace option').length") == 2, "both namespaces")
    fill_clear_form(browser, "keys", "", "sesame-open-now")
    assert "say which" in browser.text("#clear-said")
    fill_clear_form(browser, "keys", "a\nb", "wrong")
    confirm(browser)
    browser.until_text("#clear-said", lambda t: "token" in t, "a refusal")
    expect(client.get(b"a").status, HIT)
    fill_clear_form(browser, "keys", "a\nb", "sesame-open-now")
    expect(client.get(b"a").status, HIT, "before the answer to the question")
    confirm(browser)
    browser.until_text("#clear-said", lambda t: t.startswith("OK"), "it is done")
    expect([client.get(key).status == HIT for key in [b"a", b"b", b"c"]], [False, False, True])
    fill_clear_form(browser, "all", "", "sesame-open-now")
    confirm(browser)
    until(lambda: client.get(b"c").status != HIT, "everything")


@browsing
def it_begins_a_warming_after_a_question_and_shows_what_became_of_it(larder, browser):
    admin = Admin(larder, "token = sesame-open-now", more=SETTINGS + "[policy pages]\npattern = page:*\nwarming = key page:{0-9}\n")
    larder.start()
    larder.client().set(b"page:1", b"v")
    browser.open(f"http://127.0.0.1:{admin.port()}/")
    until(lambda: browser.run("return document.querySelectorAll('#warm-policy option').length") == 2, "in both namespaces")
    browser.run("""document.querySelector('#warm-token').value = 'sesame-open-now';
        document.querySelector('#warm').requestSubmit();""")
    pages = next(row for row in admin.stats()["policies"] if row["name"] == "pages")
    expect((pages["namespace"], pages["warming"]["last"]), ("default", None), "before the answer to the question")
    confirm(browser)
    browser.until_text("#warm-said", lambda t: t.startswith("OK"), "it is begun")
    browser.until_text("#runs", lambda t: "warmed" in t and "1 runs" in t, "what became of it")
    expect(browser.complaints(), [])


@browsing
def a_daemon_that_stops_and_comes_back_is_noticed(larder, browser):
    admin = Admin(larder)
    larder.configure(f"[admin]\nlisten = unix:{admin.path} 127.0.0.1:0\n")
    larder.start()
    port = admin.port()
    larder.configure(f"[admin]\nlisten = unix:{admin.path} 127.0.0.1:{port}\n")
    browser.open(f"http://127.0.0.1:{port}/")
    browser.until_text("#status", lambda t: t == "ok", "health")
    larder.stop()
    browser.until_text("#status", lambda t: t == "not reached", "that it is gone")
    larder.start()
    browser.until_text("#status", lambda t: t == "ok", "that it is back")


play(it_shows_what_is_and_asks_nobody_else, it_shows_what_is_used_and_invalidated_most_but_nothing_secret,
     names_can_be_switched_off, it_fits_a_phone_and_the_dark, it_clears_after_a_question_and_with_the_token,
     it_begins_a_warming_after_a_question_and_shows_what_became_of_it,
     a_daemon_that_stops_and_comes_back_is_noticed)
