"""key_shape: a namespace says of which parts its keys are made, and takes no others, by socket, command and library; what
holds can be changed while it runs."""

import signal

import wire_client as wire
from scenario import expect, play, until

GOOD, BAD = b"acme:user:7", b"user7"


def shaped(larder, shape="tenant:resource:id"):
    larder.configure(f"[namespace default]\nkey_shape = {shape}\n[namespace free]\n")
    larder.start()
    return larder.client()


def a_key_without_its_tenant_is_refused_with_a_status_of_its_own(larder):
    client = shaped(larder)
    expect([client.set(key, b"v").status for key in (GOOD, BAD)], [wire.OK, wire.BAD_SHAPE])
    expect([client.get(key).status for key in (GOOD, BAD)], [wire.HIT, wire.BAD_SHAPE])
    expect([entry.status for entry in client.mget([BAD, GOOD, b"acme:user:"])], [wire.BAD_SHAPE, wire.HIT, wire.BAD_SHAPE])
    expect(client.lease(BAD).status, wire.BAD_SHAPE)
    expect(client.invalidate([GOOD, BAD]).status, wire.BAD_SHAPE)
    expect(client.get(GOOD).status, wire.HIT, "the call was refused as a whole")
    expect(client.invalidate(prefixes=[b"acme:"]).status, wire.OK)


def other_namespaces_take_any_key(larder):
    shaped(larder)
    expect(larder.client(namespace=b"free").set(BAD, b"v").status, wire.OK)


def a_bound_connection_still_names_only_its_own(larder):
    shaped(larder, "tenant:*")
    bound = larder.client(tenant=b"acme")
    expect([bound.set(key, b"v").status for key in (GOOD, b"acme:x", b"acme:", b"other:x")],
           [wire.OK, wire.OK, wire.BAD_SHAPE, wire.DENIED])


def a_process_that_maps_it_is_told_too(larder):
    client = shaped(larder)
    reader = larder.puppet()
    client.set(GOOD, b"v")
    until(lambda: reader.ask("get", GOOD.decode())[1] == "near", "the library maps it")
    expect(reader.ask("get", BAD.decode())[0], "OTHER", "no miss: it would be asked for again and again")


def the_command_says_so_and_ends_with_2(larder):
    shaped(larder)
    for words in (["get", "user7"], ["set", "user7", "v"], ["touch", "user7", "1m"], ["invalidate", "user7"]):
        told = larder.cli(*words)
        expect(told.returncode, 2, words)
        assert "has not the parts that its namespace demands" in told.stderr, told.stderr


def it_changes_while_the_daemon_runs(larder):
    client = shaped(larder)
    larder.configure("[namespace default]\nkey_shape = id\n[namespace free]\n")
    larder.signal(signal.SIGHUP)
    until(lambda: client.set(BAD, b"v").status == wire.OK, "the shape is another")
    expect(client.set(GOOD, b"v").status, wire.BAD_SHAPE)


def a_shape_that_is_none_is_named_by_the_check(larder):
    larder.configure("[namespace default]\nkey_shape = tenant::id\n")
    assert "expected names with ':' between them" in larder.refuses_to_start()


play(a_key_without_its_tenant_is_refused_with_a_status_of_its_own, other_namespaces_take_any_key,
     a_bound_connection_still_names_only_its_own, a_process_that_maps_it_is_told_too,
     the_command_says_so_and_ends_with_2, it_changes_while_the_daemon_runs, a_shape_that_is_none_is_named_by_the_check)
