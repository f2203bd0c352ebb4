"""[tenant NAME]: whom the configuration binds names nothing but his tenant's, whatever verb he tries (D8, F17)."""

import os
import signal

import wire_client as wire
from scenario import expect, play, until

RULES = """
[namespace default]
[namespace other]
[namespace closed]
secret = on
[policy mail]
pattern = {t}:mail:{to}
cascade = key "{to}:inbox", prefix "{to}:threads:", tag "{to}:mail", key "{t}:sent", tag "everybody"
[event shout]
invalidate = key "{whom}:k", prefix "{whom}:p:", tag "t"
[limit api]
max = 1
window = 1h
scope = {user}
"""


def bound(larder, how):
    larder.configure(RULES + f"[tenant a]\n{how.format(socket=door(larder), uid=os.getuid())}\n")
    larder.start()


def door(larder):
    return larder.socket + ".a"


def by_socket(larder):
    bound(larder, "socket = {socket}\nnamespace = default")
    return wire.Client(door(larder)), larder.client(tenant="b")


def by_hello(larder):
    larder.configure(RULES)
    larder.start()
    return larder.client(tenant="a"), larder.client(tenant="b")


def attempts(a, larder):
    """Everything of b that a may try to reach, verb by verb."""
    b_token = larder.client().lease(b"b:leased").token
    cursor = larder.client().call(wire.PAGE, wire.KEYS, b"", b"b:", 1)[0]
    yield "get", lambda: a.get(b"b:k")
    yield "get, one of many", lambda: a.mget([b"a:k", b"b:k"])[1]
    yield "get, not modified", lambda: a.get(b"b:k", version=(1, 1, 1))
    yield "set", lambda: a.set(b"b:k", b"forged")
    yield "set, one of many", lambda: a.mset([a.item(b"a:x", b"v"), a.item(b"b:k", b"forged")])[1]
    yield "set with a foreign token", lambda: a.set(b"b:leased", b"forged", token=b_token)
    yield "touch", lambda: a.touch(b"b:k", 1)
    yield "invalidate a key", lambda: a.invalidate(keys=[b"b:k"])
    yield "invalidate a key among others", lambda: a.invalidate(keys=[b"a:k", b"b:k"])
    yield "invalidate a prefix", lambda: a.invalidate(prefixes=[b"b:"])
    yield "invalidate a deeper prefix", lambda: a.invalidate(prefixes=[b"b:p:"])
    yield "invalidate a tag", lambda: a.invalidate(tags=[b"t"])
    yield "invalidate a tag by its long name", lambda: a.invalidate(tags=[b"b:t"])
    yield "invalidate everything", lambda: a.invalidate(all=True)
    yield "a dry run", lambda: a.invalidate(keys=[b"b:k"], dry_run=True)
    yield "a glob", lambda: a.invalidate(globs=[b"b:*"])
    yield "a glob of its own that takes all", lambda: a.invalidate(globs=[b"*"])
    yield "an event", lambda: a.event("shout", whom="b")
    yield "a cascade from its own key", lambda: a.invalidate(keys=[b"a:mail:b"])
    yield "a cascade from its own prefix", lambda: a.invalidate(prefixes=[b"a:mail:"])
    yield "lease", lambda: a.lease(b"b:missing")
    yield "lease, one of many", lambda: a.mlease([b"a:missing", b"b:missing"])[1]
    yield "fail a foreign lease", lambda: a.fail(b"b:leased", b_token)
    yield "limit", lambda: a.limit(b"b:api", 1, 1000)
    yield "warm a key", lambda: a.warm(keys=[b"b:k"])
    yield "warm a prefix", lambda: a.warm(prefixes=[b"b:"])
    yield "warm a tag", lambda: a.warm(tags=[b"t"])
    yield "warm everything", lambda: a.warm(flags=2)
    yield "list", lambda: a.keys(prefix=b"b:")
    yield "list all", lambda: a.keys()
    yield "go on with a foreign list", lambda: a.call(wire.PAGE, wire.KEYS, cursor, b"", 100)
    yield "explain", lambda: a.document(wire.EXPLAIN, b"b:k")
    yield "offer to load", lambda: a.offer(b"b:*", wait_ms=0)
    yield "offer to load for all", lambda: a.offer(b"*:k", wait_ms=0)
    yield "statistics", lambda: a.stats()
    yield "health", lambda: a.health()
    yield "another tenant", lambda: a.hello(tenant="b", namespace=a.welcome.namespace)
    yield "another namespace", lambda: a.hello(namespace="other", tenant="a")
    yield "a mapping", lambda: a.hello(namespace=a.welcome.namespace, tenant="a", want=3).descriptors or None


WHAT_B_HAS = [b"b:k", b"b:inbox", b"b:threads:1", b"b:p:1"]


def try_everything(a, b, larder):
    for name, attempt in attempts(a, larder):
        for key in WHAT_B_HAS:
            expect(b.set(key, b"concealed", tags=[b"t", b"mail"]).status, wire.OK)
        try:
            answer = attempt()
        except wire.Refused as refused:
            answer = refused.result
        assert "concealed" not in str(answer) and "b:inbox" not in str(answer), f"{name}: {answer}"
        if hasattr(answer, "status"):
            assert answer.status != wire.HIT or name == "warm", f"{name}: {answer}"
        for key in WHAT_B_HAS:
            expect((b.get(key).status, b.get(key).value), (wire.HIT, b"concealed"), f"{name}: {key!r}")
        expect(a.descriptors, [], name)


def nothing_leads_out_of_a_socket_of_ones_own(larder):
    try_everything(*by_socket(larder), larder)


def nothing_leads_out_of_a_binding_by_hello(larder):
    try_everything(*by_hello(larder), larder)


def his_own_is_his(larder):
    a, b = by_socket(larder)
    expect(a.set(b"a:k", b"v", tags=[b"t"]).status, wire.OK)
    expect(a.get(b"a:k").value, b"v")
    expect(a.keys()[0].key, b"a:k")
    expect(a.invalidate(keys=[b"a:mail:b"]).status, wire.OK)
    expect(a.set(b"a:sent", b"v").status, wire.OK)
    a.invalidate(keys=[b"a:mail:b"])
    expect(a.get(b"a:sent").status, wire.MISS, "its own cascades go on")
    expect([a.limit_named("api", user="1").status, b.limit_named("api", user="1").status], [wire.OK, wire.OK])
    expect(a.invalidate(tags=[b"t"]).status, wire.OK)
    expect(a.get(b"a:k").status, wire.MISS)


def what_the_configuration_says_literally_is_reached(larder):
    a, _ = by_socket(larder)
    world = larder.client()
    world.set(b"front-page", b"v", tags=[b"everybody"])
    a.invalidate(keys=[b"a:mail:b"])
    expect(world.get(b"front-page").status, wire.MISS)


def a_user_is_bound_whatever_he_says(larder):
    bound(larder, "uids = 4294967000, {uid}\nnamespace = other")
    silent = larder.client()
    expect((silent.welcome.namespace, silent.set(b"a:k", b"v").status, silent.set(b"k", b"v").status),
           ("other", wire.OK, wire.DENIED))
    expect(larder.client(namespace="other", tenant="a").get(b"a:k").value, b"v")
    for words in [{"tenant": "b"}, {"namespace": "default"}, {"namespace": "not there"}]:
        try:
            raise AssertionError(f"{words}: {larder.client(**words).welcome}")
        except wire.Refused as refused:
            expect(refused.result.status, wire.DENIED, str(words))
    expect(silent.hello(want=3).descriptors, 0)


def reload_with_key(larder, key, more):
    """Begins without a tenant, stores, and reloads with `more`."""
    larder.configure(RULES)
    larder.start()
    expect(larder.client().set(key, b"v").status, wire.OK)
    larder.configure(RULES + more)
    larder.signal(signal.SIGHUP)


def a_reload_binds_whoever_comes_from_then_on(larder):
    reload_with_key(larder, b"k", f"[tenant a]\nuids = {os.getuid()}\n")
    until(lambda: larder.client().get(b"k").status == wire.DENIED, "a new connection is bound")


def a_tenant_whose_namespace_comes_with_the_next_start_is_not_let_into_others(larder):
    reload_with_key(larder, b"a:k", f"[namespace later]\n[tenant a]\nuids = {os.getuid()}\nnamespace = later\n")

    def shut_out():
        try:
            assert larder.client().get(b"a:k").status == wire.HIT, "bound, and in a namespace that is not his"
            return False
        except (wire.Closed, ConnectionError):
            return True
    until(shut_out, "nobody is let in")


def a_tenant_that_is_no_more_lets_nobody_in(larder):
    by_socket(larder)
    larder.configure(RULES)
    larder.signal(signal.SIGHUP)

    def shut():
        try:
            wire.Client(door(larder)).close()
            return False
        except (wire.Closed, ConnectionError):
            return True
    until(shut, "the door is shut")


def a_secret_namespace_gives_out_no_mapping(larder):
    larder.configure(RULES)
    larder.start()
    closed = larder.client("closed", want=3)
    expect((closed.welcome.descriptors, closed.descriptors), (0, []))
    assert "secret" in closed.welcome.why_no_segment, closed.welcome
    expect(closed.set(b"k", b"v").status, wire.OK)
    expect(larder.client("other", want=3).welcome.descriptors > 0, True)


def a_tenant_called_like_a_pattern_offers_for_nobody(larder):
    larder.configure(RULES)
    larder.start()
    for tenant in ["*", "{t}", "a*"]:
        try:
            answer = larder.client(tenant=tenant).offer(tenant.encode() + b":mail:{to}", wait_ms=0)
            raise AssertionError(f"{tenant}: {answer}")
        except wire.Refused as refused:
            expect(refused.result.status, wire.DENIED, tenant)


def a_tenant_called_like_a_pattern_invalidates_no_globs(larder):
    larder.configure(RULES)
    larder.start()
    expect(larder.client().set(b"b:mail", b"v").status, wire.OK)
    for tenant in ["*", "{t}", "b*"]:
        expect(larder.client(tenant=tenant).invalidate(globs=[tenant.encode() + b":*"]).status, wire.DENIED, tenant)
    expect(larder.client().get(b"b:mail").status, wire.HIT)


play(nothing_leads_out_of_a_socket_of_ones_own, nothing_leads_out_of_a_binding_by_hello, his_own_is_his,
     what_the_configuration_says_literally_is_reached, a_user_is_bound_whatever_he_says,
     a_reload_binds_whoever_comes_from_then_on, a_tenant_that_is_no_more_lets_nobody_in,
     a_tenant_whose_namespace_comes_with_the_next_start_is_not_let_into_others,
     a_secret_namespace_gives_out_no_mapping, a_tenant_called_like_a_pattern_offers_for_nobody,
     a_tenant_called_like_a_pattern_invalidates_no_globs)
