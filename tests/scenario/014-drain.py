"""SIGTERM: what was read is answered, nothing is lost, the exit code is 0; a second one ends at once."""

import os
import signal

import wire_client as wire
from scenario import expect, play


def requests_already_sent_are_answered_before_the_end(larder):
    larder.start()
    client = larder.client()
    client.mset([client.item(b"k%d" % n, b"v%d" % n) for n in range(100)])
    for n in range(100):
        client.send(wire.GET, 0, 0, 0, 0, 0, 0, [b"k%d" % n])
    expect(client.receive()[0], wire.VALUES)
    larder.may_end = True
    larder.signal(signal.SIGTERM)
    expect(whole_replies(client), 99, "replies before the end")
    expect(larder.daemon.wait(timeout=20), 0)


def whole_replies(client):
    count = 0
    try:
        while True:
            expect(client.receive()[0], wire.VALUES)
            count += 1
    except wire.Closed:
        return count


def an_idle_client_does_not_hold_the_daemon_up(larder):
    larder.start()
    clients = [larder.client() for _ in range(10)]
    larder.stop()
    for client in clients:
        try:
            client.receive()
            raise AssertionError("a message from a daemon that is gone")
        except (wire.Closed, ConnectionError):
            pass


def a_client_in_the_middle_of_a_frame_does_not_hold_the_daemon_up(larder):
    larder.start()
    client = larder.client()
    client.socket.sendall(wire.frame(wire.pack([wire.PING, 1, b"half"]))[:6])
    client2 = larder.client()
    expect(client2.ping(), b"?")
    larder.stop()


def a_second_sigterm_ends_at_once(larder):
    larder.start()
    client = larder.client()
    client.socket.sendall(wire.frame(wire.pack([wire.PING, 1, b"half"]))[:6])
    larder.may_end = True
    larder.signal(signal.SIGTERM)
    larder.signal(signal.SIGTERM)
    assert larder.daemon.wait(timeout=20) is not None


def all_acknowledged_changes_are_there_after_a_stop_under_load(larder):
    larder.start()
    client = larder.client()
    for n in range(1000):
        client.send(wire.SET, 0, 0, 0, [client.item(b"k%d" % n, b"v")], id=n)
    larder.may_end = True
    larder.signal(signal.SIGTERM)
    acknowledged = drain_acknowledged(client)
    expect(larder.daemon.wait(timeout=20), 0)
    assert not os.path.exists(larder.socket)
    larder.start()
    client = larder.client()
    lost = [n for n in acknowledged if client.get(b"k%d" % n).status != wire.HIT]
    expect(lost, [], "acknowledged and gone")


def drain_acknowledged(client):
    done = []
    try:
        while True:
            code, id, fields = client.receive()
            if code == wire.OUTCOMES and fields[0][0][0] == wire.OK:
                done.append(id)
    except (wire.Closed, ConnectionError):
        return done


play(requests_already_sent_are_answered_before_the_end, an_idle_client_does_not_hold_the_daemon_up,
     a_client_in_the_middle_of_a_frame_does_not_hold_the_daemon_up, a_second_sigterm_ends_at_once,
     all_acknowledged_changes_are_there_after_a_stop_under_load)
