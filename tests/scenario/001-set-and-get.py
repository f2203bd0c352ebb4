"""What one process stores, every other one finds: by the protocol, by the command, by the library."""

import wire_client as wire
from scenario import expect, play, until


def a_value_set_by_one_process_is_found_by_another(larder):
    larder.start()
    expect(larder.client().set(b"user:42", b"Ada").status, wire.OK)
    entry = larder.client().get(b"user:42")
    expect((entry.status, entry.value, entry.tier), (wire.HIT, b"Ada", wire.L1))
    expect(larder.says("get", "--raw", "user:42"), "Ada")


def what_the_command_stores_the_library_finds_in_shared_memory(larder):
    larder.start()
    larder.says("set", "user:42", "Ada")
    puppet = larder.puppet()
    until(lambda: puppet.ask("get", "user:42")[:3] == ["HIT", "near", "Ada"], "a hit in shared memory")


def keys_and_values_are_any_bytes(larder):
    larder.start()
    client = larder.client()
    every = bytes(range(256))
    for key in [b"\0", b"\r\n", b"%s%n", every, b"k" * 1024, "schlüssel:ä".encode()]:
        expect(client.set(key, every + key, user_flags=7, schema=3).status, wire.OK, repr(key))
        entry = client.get(key)
        expect((entry.value, entry.user_flags, entry.schema), (every + key, 7, 3), repr(key))


def an_empty_value_is_a_value_and_absent_is_an_answer(larder):
    larder.start()
    client = larder.client()
    client.set(b"empty", b"")
    client.set(b"absent", b"", absent=True)
    expect((client.get(b"empty").status, client.get(b"empty").value), (wire.HIT, b""))
    expect(client.get(b"absent").status, wire.ABSENT)


def a_key_out_of_bounds_and_a_value_too_large_have_statuses_of_their_own(larder):
    larder.start()
    client = larder.client()
    too_big = b"v" * (client.welcome.value_max + 1)
    for key in [b"", b"k" * (client.welcome.key_max + 1)]:
        expect(client.set(key, b"v").status, wire.BAD_KEY)
        expect(client.get(key).status, wire.BAD_KEY)
    client.set(b"key", b"small")
    expect(client.set(b"key", too_big).status, wire.TOO_BIG)
    expect(client.set(b"key2", too_big[:-1]).status, wire.OK)
    expect(len(client.get(b"key2").value), client.welcome.value_max)


def an_overwritten_value_is_gone_for_everybody(larder):
    larder.start()
    writer, reader, puppet = larder.client(), larder.client(), larder.puppet()
    for n in range(200):
        value = str(n)
        expect(writer.set(b"counter", value.encode()).status, wire.OK)
        expect(reader.get(b"counter").value.decode(), value)
        expect(puppet.ask("get", "counter")[2], value)


play(a_value_set_by_one_process_is_found_by_another, what_the_command_stores_the_library_finds_in_shared_memory,
     keys_and_values_are_any_bytes, an_empty_value_is_a_value_and_absent_is_an_answer,
     a_key_out_of_bounds_and_a_value_too_large_have_statuses_of_their_own,
     an_overwritten_value_is_gone_for_everybody)
