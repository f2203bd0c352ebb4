"""A connection bound to a tenant can neither see nor change anything of another one (D8, F17)."""

import wire_client as wire
from scenario import expect, play


def bound_keys_only(larder):
    larder.start()
    a = larder.client(tenant="acme")
    expect(a.set(b"acme:k", b"v").status, wire.OK)
    for key in [b"other:k", b"acme", b"acmex:k", b":k"]:
        expect(a.set(key, b"v").status, wire.DENIED, repr(key))
        expect(a.get(key).status, wire.DENIED, repr(key))
        expect(a.invalidate(keys=[key]).status, wire.DENIED, repr(key))
    expect(larder.client().get(b"acme:k").value, b"v", "an unbound connection sees it")


def a_tag_of_one_tenant_is_not_that_of_another(larder):
    larder.start()
    a, b = larder.client(tenant="a"), larder.client(tenant="b")
    a.set(b"a:k", b"v", tags=[b"t"])
    b.set(b"b:k", b"v", tags=[b"t"])
    expect(b.invalidate(tags=[b"t"]).status, wire.OK)
    expect((a.get(b"a:k").status, b.get(b"b:k").status), (wire.HIT, wire.MISS))


def an_entry_with_tags_of_others_is_not_told_with_half_of_them(larder):
    """Who stored it again so would keep it from the kills of the others: a dump of a tenant, loaded later."""
    larder.start()
    larder.client().set(b"a:k", b"v", tags=[b"a:t", b"all-hosts"])
    a = larder.client(tenant="a")
    a.set(b"a:own", b"v", tags=[b"t"])
    expect(a.get(b"a:own", flags=wire.GET_TAGS).tags, [b"t"])
    told = a.get(b"a:k", flags=wire.GET_TAGS)
    expect((told.status, told.reason, told.tags), (wire.MISS, wire.REASON_UNNAMED, []))
    expect(a.get(b"a:k").value, b"v")
    expect(larder.client().get(b"a:k", flags=wire.GET_TAGS).tags, [b"a:t", b"all-hosts"])


def everything_of_a_tenant_is_everything_of_that_tenant(larder):
    larder.start()
    a, b = larder.client(tenant="a"), larder.client(tenant="b")
    a.set(b"a:k", b"v")
    b.set(b"b:k", b"v")
    expect(a.invalidate(all=True).status, wire.OK)
    expect((a.get(b"a:k").status, b.get(b"b:k").status), (wire.MISS, wire.HIT))


def a_prefix_must_lie_inside_the_tenant(larder):
    larder.start()
    a, b = larder.client(tenant="a"), larder.client(tenant="b")
    b.set(b"b:x:k", b"v")
    for prefix in [b"b:", b"b:x:", b""]:
        status = a.invalidate(prefixes=[prefix]).status
        assert status in (wire.DENIED, wire.BAD_REQUEST), (prefix, status)
    expect(b.get(b"b:x:k").status, wire.HIT)
    a.set(b"a:x:k", b"v")
    expect(a.invalidate(prefixes=[b"a:x:"]).status, wire.OK)
    expect(a.get(b"a:x:k").status, wire.MISS)


def keys_of_another_tenant_are_not_listed_nor_explained(larder):
    larder.start()
    a, b = larder.client(tenant="a"), larder.client(tenant="b")
    a.set(b"a:k", b"v")
    b.set(b"b:k", b"v")
    expect([h.key for h in a.keys()], [b"a:k"])
    for look in [lambda: a.keys(prefix=b"b:"), lambda: a.document(wire.EXPLAIN, b"b:k")]:
        try:
            raise AssertionError(f"it saw {look()}")
        except wire.Refused as refusal:
            expect(refusal.result.status, wire.DENIED)


def no_document_names_a_key_of_another_tenant(larder):
    larder.start()
    a, b = larder.client(tenant="a"), larder.client(tenant="b")
    for n in range(50):
        b.set(b"b:hidden-%d" % n, b"concealed", tags=[b"veiled"])
        b.get(b"b:hidden-%d" % n)
        b.get(b"b:hidden-not-there-%d" % n)
    b.invalidate(keys=[b"b:hidden-1"], prefixes=[b"b:hidden-2:"], tags=[b"veiled"])
    a.set(b"a:k", b"v")
    documents = [a.stats(), a.health(), a.document(wire.EXPLAIN, b"a:k"), a.document(wire.EXPLAIN, b"a:hidden-1"),
                 a.document(wire.CONFIG, True)]
    for document in documents:
        for word in ["hidden", "concealed", "veiled"]:
            assert word not in str(document).replace("a:hidden-1", ""), f"{word} in {document}"


def no_shared_memory_is_given_to_a_bound_connection(larder):
    larder.start()
    a = larder.client(tenant="a", want=3)
    expect((a.welcome.descriptors, a.descriptors), (0, []))
    assert a.welcome.why_no_segment, "it does not say why"


play(bound_keys_only, a_tag_of_one_tenant_is_not_that_of_another,
     an_entry_with_tags_of_others_is_not_told_with_half_of_them, everything_of_a_tenant_is_everything_of_that_tenant,
     a_prefix_must_lie_inside_the_tenant, keys_of_another_tenant_are_not_listed_nor_explained,
     no_document_names_a_key_of_another_tenant, no_shared_memory_is_given_to_a_bound_connection)
