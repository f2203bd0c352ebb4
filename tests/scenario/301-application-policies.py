"""The policy files of five applications: what each row says is what a daemon that was given the file explains."""

import json
import os
import subprocess

import wire_client as wire
from scenario import expect, play
from tree import ROOT, product

MINUTE, HOUR = 60, 3600
FOLDER = os.path.join(ROOT, "client", "example", "policies")


def row(key, policy, ttl=None, **more):
    """A key, its policy, its life in seconds; and what else is told of it, lives in seconds too."""
    told = {f"{name}_ms": 1000 * more.pop(name) for name in list(more) if name.endswith("ttl") or name == "stale"}
    return key, policy, {**({} if ttl is None else {"ttl_ms": 1000 * ttl}), **told, **more}


NOT_CACHED = {"store": False}
CRM = [
    row("acme:organization:7", "organization", 1 * HOUR, stale=5 * MINUTE, tags=["organization:7"], lease_scope="fleet", refresh_at=0.8),
    row("acme:user:42", "user", 30 * MINUTE, negative_ttl=MINUTE, tags=["user:42", "users:acme"]),
    row("acme:user:42:profile", "user", 30 * MINUTE, tags=["user:42", "users:acme"]),
    row("acme:campaign:5:steps", "campaign", 15 * MINUTE, tags=["campaigns:acme"]),
    row("acme:analytics:2026-11", "analytics", 10 * MINUTE, jitter=0.2),
    row("acme:messages:9", "messages", 30, l1_ttl=5, warm=False, l1=True, l2=True),
    row("acme:conversations:9", "conversations", MINUTE, warm=False),
    row("acme:dashboard:7", "dashboard", 5 * MINUTE, stale=MINUTE, tags=["dashboard:acme"]),
    row("acme:template:welcome", "templates", 2 * HOUR),
    row("template:welcome", "templates", 2 * HOUR),
    row("static:countries:de", "static", 3 * HOUR),
    row("session:abc", "sessions", **NOT_CACHED),
    row("acme:session:abc", "sessions", **NOT_CACHED),
    row("acme:invoice:1", "default", 1 * HOUR, store=True),
]
SHOP = [
    row("cart:u1", "carts", **NOT_CACHED),
    row("checkout:u1:step2", "carts", **NOT_CACHED),
    row("price:sku9:eur", "price", MINUTE, serve_detached=False, tags=["product:sku9", "prices"]),
    row("stock:sku9", "stock", 10, negative_ttl=5, warm=False),
    row("product:sku9", "product", 1 * HOUR, stale=24 * HOUR, tags=["product:sku9"]),
    row("product:sku9:images", "product", 1 * HOUR, tags=["product:sku9"]),
    row("category:shoes:page:2", "listing", 5 * MINUTE, max_value=256 << 10, tags=["category:shoes"]),
    row("search:red-shoes", "listing", 5 * MINUTE),
    row("recommend:u1:home", "recommendation", 15 * MINUTE, l2=False, l1=True, warm=True),
]
LEARNING = [
    row("exam:math:answers:u1", "answers", **NOT_CACHED),
    row("exam:math:questions", "exam", 10 * MINUTE, warm=False),
    row("course:7", "course", 6 * HOUR, tags=["course:7", "courses"]),
    row("course:7:stats", "course", 6 * HOUR, lease_scope="fleet"),
    row("progress:u1:7", "progress", 10 * MINUTE, write_through=False, tags=["user:u1", "course:7"]),
    row("ranking:week", "ranking", MINUTE, stale=5 * MINUTE),
    row("video:3:manifest", "video", 24 * HOUR, l2_ttl=2 * HOUR, max_value=64 << 10),
    row("video:3:segment", "default", 1 * HOUR),
]
GATEWAY = [
    row("secret:db", "secrets", **NOT_CACHED),
    row("key:u1:private", "secrets", **NOT_CACHED),
    row("token:abc", "token", MINUTE, l1=True, warm=False, l2=False, negative_ttl=5),
    row("permission:u1:orders:read", "permission", 5 * MINUTE, max_ttl=5 * MINUTE, tags=["user:u1", "permissions"]),
    row("GET:quotes:live:eurusd", "quick", 2, warm=False, l2=False),
    row("GET:quotes:history:eurusd", "answer", MINUTE, stale=10 * MINUTE, tags=["service:quotes"], max_ttl=HOUR),
    row("POST:quotes:x", "default", 1 * HOUR),
]
CONTENT = [
    row("draft:7", "drafts", **NOT_CACHED),
    row("preview:7:desk", "drafts", **NOT_CACHED),
    row("page:news:start", "page", 1 * HOUR, stale=24 * HOUR, negative_ttl=30, tags=["site:news", "page:start"]),
    row("page:news:start:mobile", "page", 1 * HOUR, tags=["site:news", "page:start"]),
    row("fragment:news:menu", "fragment", 10 * MINUTE, jitter=0.25),
    row("feed:rss", "feed", 15 * MINUTE, l1=False),
    row("sitemap:1", "feed", 15 * MINUTE),
    row("image:9:640", "picture", 7 * 24 * HOUR, l1=False, tags=["image:9"]),
    row("views:page:7", "counter", 5, warm=False),
]


# What is invalidated (a key, or an event with its arguments), what dies of it, what goes on.
CASCADES = {
    "crm.conf": [
        ("acme:messages:9", {}, ["acme:messages:9", "acme:conversations:9", "acme:dashboard:1"], ["umbrella:conversations:9"]),
        ("acme:user:42", {}, ["acme:user:42", "acme:dashboard:1"], ["acme:user:43", "acme:messages:9"]),
        ("acme:campaign:5", {}, ["acme:campaign:5", "acme:analytics:2026"], ["acme:dashboard:1"]),
        ("user.left", {"company": "acme", "id": "42"}, ["acme:user:42", "acme:user:42:profile"], ["acme:user:43"]),
        ("campaign.sent", {"company": "acme"}, ["acme:campaign:5", "acme:dashboard:1", "acme:analytics:2026"], ["acme:user:42"]),
    ],
    "shop.conf": [
        ("stock:s9", {}, ["stock:s9", "product:s9:availability"], ["product:s9"]),
        ("product.changed", {"sku": "s9"}, ["product:s9", "price:s9", "stock:s9"], ["product:s8"]),
        ("prices.changed", {}, ["price:s9", "price:s8"], ["product:s9"]),
    ],
    "learning.conf": [
        ("progress:u1:7", {}, ["ranking:week"], ["course:7"]),
        ("course.updated", {"id": "7"}, ["course:7", "course:7:stats", "course:8"], ["ranking:week"]),
        ("user.deleted", {"id": "u1"}, [], ["course:7"]),
    ],
    "gateway.conf": [
        ("logout", {"user": "u1", "hash": "abc"}, ["permission:u1:orders", "token:abc"], ["permission:u2:orders"]),
        ("service.deployed", {"service": "quotes"}, ["GET:quotes:history"], ["GET:orders:1"]),
    ],
    "content.conf": [
        ("fragment:news:menu", {}, ["fragment:news:menu", "page:news:start"], ["page:sport:start"]),
        ("page.published", {"site": "news", "path": "start"}, ["page:news:start", "page:news:start:m", "feed:rss"], ["page:news:other"]),
        ("picture.replaced", {"id": "9"}, ["image:9:640", "image:9:80"], ["image:8:640"]),
    ],
}


def explained(larder, key):
    return json.loads(larder.says("--json", "explain", key))


def dies_of(larder, what, arguments, dead, alive):
    client = larder.client()
    for key in dead + alive:
        expect(client.set(key.encode(), b"v").status, wire.OK, key)
    is_event = ":" not in what
    result = client.event(what, **arguments) if is_event else client.invalidate(keys=[what.encode()])
    expect(result.status, wire.OK, what)
    for key in dead + alive:
        expect(client.get(key.encode()).status, wire.MISS if key in dead else wire.HIT, f"{key} after {what}")


def holds_all(larder, name, rows):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        larder.configure(file.read())
    larder.start()
    for key, policy, wanted in rows:
        told = explained(larder, key)
        expect(told["policy"], policy, key)
        for option, value in wanted.items():
            expect(told["holds"].get(option), value, f"{key}: {option}")
    for what, arguments, dead, alive in CASCADES[name]:
        dies_of(larder, what, arguments, dead, alive)
    named = {line.split(" ", 1)[1].rstrip("]\n") for line in open(os.path.join(FOLDER, name), encoding="utf-8")
             if line.startswith("[policy ")}
    expect(named - {policy for _, policy, _ in rows}, set(), "policies no row speaks of")


def a_crm(larder):
    holds_all(larder, "crm.conf", CRM)


def a_shop(larder):
    holds_all(larder, "shop.conf", SHOP)


def a_learning_platform(larder):
    holds_all(larder, "learning.conf", LEARNING)


def a_gateway(larder):
    holds_all(larder, "gateway.conf", GATEWAY)


def a_content_site(larder):
    holds_all(larder, "content.conf", CONTENT)


def all_files_pass_the_check_and_no_other_is_there(larder):
    names = sorted(os.listdir(FOLDER))
    expect(names, ["content.conf", "crm.conf", "gateway.conf", "learning.conf", "shop.conf"])
    for name in names:
        done = subprocess.run([product("larderd"), "--config", os.path.join(FOLDER, name), "--check-config"],
                              env=larder.environment(), capture_output=True, text=True, timeout=60)
        expect(done.returncode, 0, done.stderr)


play(a_crm, a_shop, a_learning_platform, a_gateway, a_content_site, all_files_pass_the_check_and_no_other_is_there)
