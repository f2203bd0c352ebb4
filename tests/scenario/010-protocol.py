"""What WIRE.md says about a connection: first messages, versions, pipelining, errors, its end."""

import os
import socket

import wire_client as wire
from scenario import expect, play, until


def result_of(client):
    code, id, fields = client.receive()
    expect(code, wire.RESULT)
    return id, wire.Result(*fields[:6])


def closed(client):
    try:
        client.receive()
    except (wire.Closed, ConnectionError):
        return True
    return False


def ping_is_answered_before_hello_and_after(larder):
    larder.start()
    client = larder.client(hello=False)
    expect(client.ping(b"early"), b"early")
    client.hello()
    expect(client.ping(b"late"), b"late")


def refused_hello(client, status, **hello):
    try:
        client.hello(**hello)
    except wire.Refused as refusal:
        return expect(refusal.result.status, status)
    raise AssertionError("it was welcomed")


def a_client_without_a_version_in_common_is_told_so_and_may_try_again(larder):
    larder.start()
    client = larder.client(hello=False)
    refused_hello(client, wire.BAD_VERSION, versions=(200, 255))
    expect(client.hello().version, wire.VERSION)


def a_client_of_many_versions_gets_one_both_speak(larder):
    larder.start()
    client = larder.client(hello=False)
    expect(client.hello(versions=(1, 255)).version, wire.VERSION)
    expect(client.hello(versions=(1, 1)).version, 1)


def an_unknown_namespace_is_told_so(larder):
    larder.start()
    refused_hello(larder.client(hello=False), wire.NO_NAMESPACE, namespace="nowhere")


def a_connection_keeps_its_namespace_and_tenant(larder):
    larder.configure("[namespace default]\n[namespace other]\nl1_bytes = 4MiB\n")
    larder.start()
    client = larder.client(tenant="a")
    refused_hello(client, wire.DENIED, tenant="b")
    refused_hello(client, wire.DENIED, namespace="other", tenant="a")
    expect(client.hello(tenant="a").namespace, "default")


def a_request_before_hello_is_refused_and_hello_may_follow(larder):
    larder.start()
    client = larder.client(hello=False)
    client.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k"])
    expect(result_of(client)[1].status, wire.BAD_REQUEST)
    expect(client.hello().version, wire.VERSION)


def a_connection_that_never_says_hello_is_closed(larder):
    larder.configure("[server]\nhandshake_timeout = 200ms\n")
    larder.start()
    silent, talking = larder.client(hello=False), larder.client()
    expect(closed(silent), True)
    expect(talking.ping(), b"?")


def a_frame_that_is_never_finished_ends_the_connection(larder):
    larder.configure("[server]\nframe_timeout = 200ms\n")
    larder.start()
    client = larder.client()
    client.socket.sendall(wire.frame(wire.pack([wire.PING, 1, b"half"]))[:6])
    expect(closed(client), True)


def a_connection_too_many_is_told_busy(larder):
    larder.configure("[server]\nconnections = 4\n")
    larder.start()
    clients = [larder.client() for _ in range(4)]
    refused = larder.client(hello=False)
    expect(result_of(refused)[1].status, wire.BUSY)
    clients.pop().close()
    until(lambda: may_connect(larder), "there is room again")


def may_connect(larder):
    try:
        return larder.client().ping()
    except (wire.Refused, wire.Closed, ConnectionError):
        return False


def fields_of_a_later_version_are_stepped_over(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    id = client.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k"], 0, 0, 0, "", 0, "later", [1, [2, [b"3"]]], True, 2**64 - 1)
    code, got_id, fields = client.receive()
    expect((code, got_id, wire.Entry(*fields[0][0]).value), (wire.VALUES, id, b"v"))


def an_unknown_and_a_reserved_verb_are_unsupported_and_the_connection_lives(larder):
    larder.start()
    client = larder.client()
    for code in [33, 49, 200, wire.VALUES, 0]:
        id = client.send(code, 1, b"x")
        got_id, result = result_of(client)
        expect(got_id, id)
        assert result.status in (wire.UNSUPPORTED, wire.BAD_REQUEST), (code, result)
    expect(client.ping(), b"?")


def a_request_that_breaks_its_table_is_refused_and_the_connection_lives(larder):
    larder.start()
    client = larder.client()
    wrong = [(wire.GET,), (wire.GET, 0, 0, 0, 0, 0, 0, b"no list"), (wire.GET, b"0", 0, 0, 0, 0, 0, [b"k"]),
             (wire.GET, 2**40, 0, 0, 0, 0, 0, [b"k"]), (wire.SET, 0, 0, 0, [[b"k"]]), (wire.EXPLAIN, 7)]
    for message in wrong:
        id = client.send(*message)
        got_id, result = result_of(client)
        expect((got_id, result.status), (id, wire.BAD_REQUEST), repr(message))
    expect(client.ping(), b"?")


def a_broken_frame_is_told_and_ends_the_connection(larder):
    larder.start()
    broken = [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\x00\x00\x02\x90\x90", wire.frame(b"\x07\x06\x07"),
              wire.frame(b"\x91\x06\xc0"), wire.frame(b"\xdd\xff\xff\xff\xff\x06\x07"), wire.frame(b"\xc1\xc1\xc1")]
    for data in broken:
        client = larder.client()
        client.socket.sendall(data)
        expect(result_of(client)[1].status, wire.BAD_FRAME, data.hex())
        expect(closed(client), True, data.hex())
    expect(larder.client().ping(), b"?")


def requests_are_pipelined_and_each_gets_one_reply_with_its_id(larder):
    larder.start()
    client = larder.client()
    client.mset([client.item(b"k%d" % n, b"v%d" % n) for n in range(1000)])
    ids = {2**63 + n: n for n in range(1000)}
    for id, n in ids.items():
        client.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k%d" % n], id=id)
    for _ in range(1000):
        code, id, fields = client.receive()
        expect((code, wire.Entry(*fields[0][0]).value), (wire.VALUES, b"v%d" % ids.pop(id)))
    expect(ids, {})


def a_frame_may_come_byte_by_byte(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    for byte in wire.frame(wire.pack([wire.GET, 77, 0, 0, 0, 0, 0, 0, [b"k"]])):
        client.socket.sendall(bytes([byte]))
    code, id, fields = client.receive()
    expect((code, id, wire.Entry(*fields[0][0]).value), (wire.VALUES, 77, b"v"))


def what_was_sent_before_a_half_close_is_answered(larder):
    larder.start()
    client = larder.client()
    client.set(b"k", b"v")
    for n in range(50):
        client.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k"])
    client.socket.shutdown(socket.SHUT_WR)
    for n in range(50):
        expect(wire.Entry(*client.receive()[2][0][0]).value, b"v")
    expect(closed(client), True)


def descriptors_come_only_to_those_who_want_them(larder):
    larder.start()
    expect((larder.client().welcome.descriptors, larder.client().descriptors), (0, []))
    for want in [1, 3]:
        client = larder.client(want=want)
        expect(len(client.descriptors), client.welcome.descriptors)
        assert client.welcome.descriptors == (1 if want == 1 else 2), client.welcome
        close_all(client.descriptors)


def close_all(descriptors):
    for fd in descriptors:
        os.close(fd)


def hello_again_attaches_again(larder):
    larder.start()
    client = larder.client(want=1)
    close_all(client.descriptors)
    first = client.welcome.incarnation
    expect(client.hello(want=1).incarnation, first)
    close_all(client.descriptors)
    larder.restart()
    assert larder.client().welcome.incarnation != first, "a new segment with the old incarnation"


def a_client_that_sends_descriptors_leaves_none_behind(larder):
    larder.start()

    def held():
        return len(os.listdir(f"/proc/{larder.daemon.pid}/fd"))

    client = larder.client()
    before = held()
    for _ in range(20):
        socket.send_fds(client.socket, [wire.frame(wire.pack([wire.PING, 1, b""]))], [0, 1, 2] * 20)
        client.receive()
    until(lambda: held() <= before, "no descriptor more than before")


play(ping_is_answered_before_hello_and_after, a_client_without_a_version_in_common_is_told_so_and_may_try_again,
     a_client_of_many_versions_gets_one_both_speak, an_unknown_namespace_is_told_so,
     a_connection_keeps_its_namespace_and_tenant, a_request_before_hello_is_refused_and_hello_may_follow,
     a_connection_that_never_says_hello_is_closed, a_frame_that_is_never_finished_ends_the_connection,
     a_connection_too_many_is_told_busy, fields_of_a_later_version_are_stepped_over,
     an_unknown_and_a_reserved_verb_are_unsupported_and_the_connection_lives,
     a_request_that_breaks_its_table_is_refused_and_the_connection_lives,
     a_broken_frame_is_told_and_ends_the_connection, requests_are_pipelined_and_each_gets_one_reply_with_its_id,
     a_frame_may_come_byte_by_byte, what_was_sent_before_a_half_close_is_answered,
     descriptors_come_only_to_those_who_want_them, hello_again_attaches_again,
     a_client_that_sends_descriptors_leaves_none_behind)
