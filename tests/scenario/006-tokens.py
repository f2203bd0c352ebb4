"""The token of a miss: what was read before an invalidation is not stored after it (D5, C6)."""

import wire_client as wire
from scenario import expect, play

KEY = b"user:42:name"


def token_of_a_miss(client, key=KEY):
    entry = client.get(key)
    expect(entry.status, wire.MISS)
    assert 0 < len(entry.token) <= 64, "a miss without a token"
    return entry.token


def a_set_with_the_token_of_its_miss_is_stored(larder):
    larder.start()
    client = larder.client()
    expect(client.set(KEY, b"v", token=token_of_a_miss(client)).status, wire.OK)
    expect(client.get(KEY).value, b"v")


def a_set_after_an_invalidation_of_the_key_is_refused(larder):
    refused_after(larder, keys=[KEY])


def a_set_after_an_invalidation_of_its_tag_is_refused(larder):
    refused_after(larder, tags=[b"users"])


def a_set_after_an_invalidation_of_its_prefix_is_refused(larder):
    refused_after(larder, prefixes=[b"user:42:"])


def a_set_after_an_invalidation_of_everything_is_refused(larder):
    refused_after(larder, all=True)


def refused_after(larder, **what):
    larder.start()
    client = larder.client()
    token = token_of_a_miss(client)
    expect(larder.client().invalidate(**what).status, wire.OK)
    expect(client.set(KEY, b"too late", token=token, tags=[b"users"]).status, wire.REFUSED)
    expect(client.get(KEY).status, wire.MISS)
    expect(client.set(KEY, b"newer", token=token_of_a_miss(client), tags=[b"users"]).status, wire.OK)


def a_set_after_another_ones_set_is_refused_and_leaves_that_value(larder):
    larder.start()
    client = larder.client()
    token = token_of_a_miss(client)
    larder.client().set(KEY, b"newer")
    expect(client.set(KEY, b"too late", token=token).status, wire.REFUSED)
    expect(client.get(KEY).value, b"newer")


def an_unrelated_invalidation_refuses_nothing(larder):
    larder.start()
    client = larder.client()
    token = token_of_a_miss(client)
    client.invalidate(keys=[b"other"], tags=[b"others"], prefixes=[b"user:43:"])
    expect(client.set(KEY, b"v", token=token, tags=[b"users"]).status, wire.OK)


def a_token_of_before_a_restart_is_refused(larder):
    larder.start()
    token = token_of_a_miss(larder.client())
    larder.restart()
    expect(larder.client().set(KEY, b"v", token=token).status, wire.REFUSED)


def a_bare_set_claims_to_be_newer_than_everything(larder):
    larder.start()
    client = larder.client()
    client.invalidate(keys=[KEY])
    expect(client.set(KEY, b"v").status, wire.OK)


def a_token_nobody_gave_out_is_no_way_in(larder):
    larder.start()
    client = larder.client()
    for token in [b"x", b"\xff" * 64, bytes(32)]:
        expect(client.set(KEY, b"v", token=token).status in (wire.REFUSED, wire.BAD_REQUEST), True, repr(token))
        expect(client.get(KEY).status, wire.MISS)


play(a_set_with_the_token_of_its_miss_is_stored, a_set_after_an_invalidation_of_the_key_is_refused,
     a_set_after_an_invalidation_of_its_tag_is_refused, a_set_after_an_invalidation_of_its_prefix_is_refused,
     a_set_after_an_invalidation_of_everything_is_refused, a_set_after_another_ones_set_is_refused_and_leaves_that_value,
     an_unrelated_invalidation_refuses_nothing, a_token_of_before_a_restart_is_refused,
     a_bare_set_claims_to_be_newer_than_everything, a_token_nobody_gave_out_is_no_way_in)
