"""A socket and a state directory belong to one daemon; what a dead one left is taken over, what a live one has is not."""

import os
import stat

from scenario import expect, play


def a_second_daemon_on_the_same_socket_is_refused_with_a_sentence(larder):
    larder.start()
    said = larder.refuses_to_start("--state", os.path.join(larder.home, "other"))
    assert larder.socket in said, said
    expect(larder.client().ping(), b"?", "the first goes on")


def a_second_daemon_on_the_same_state_is_refused_with_a_sentence(larder):
    larder.start()
    said = larder.refuses_to_start("--socket", os.path.join(larder.home, "other.sock"))
    assert larder.state in said, said
    expect(larder.client().ping(), b"?", "the first goes on")


def the_socket_of_a_killed_daemon_is_taken_over(larder):
    larder.start()
    larder.kill9()
    assert os.path.exists(larder.socket), "kill -9 leaves the socket"
    larder.start()
    expect(larder.client().ping(), b"?")


def a_clean_stop_takes_the_socket_away(larder):
    larder.start()
    larder.stop()
    assert not os.path.exists(larder.socket)


def a_file_that_is_no_socket_is_left_alone(larder):
    with open(larder.socket, "w", encoding="ascii") as file:
        file.write("precious")
    said = larder.refuses_to_start()
    assert larder.socket in said, said
    with open(larder.socket, encoding="ascii") as file:
        expect(file.read(), "precious")


def a_socket_path_too_long_is_refused_with_a_sentence(larder):
    path = os.path.join(larder.home, "x" * 120)
    said = larder.refuses_to_start("--socket", path)
    assert "too long" in said or "107" in said or "108" in said, said


def the_socket_is_not_for_everybody(larder):
    larder.start()
    mode = stat.S_IMODE(os.stat(larder.socket).st_mode)
    expect(oct(mode), "0o660")


play(a_second_daemon_on_the_same_socket_is_refused_with_a_sentence,
     a_second_daemon_on_the_same_state_is_refused_with_a_sentence, the_socket_of_a_killed_daemon_is_taken_over,
     a_clean_stop_takes_the_socket_away, a_file_that_is_no_socket_is_left_alone,
     a_socket_path_too_long_is_refused_with_a_sentence, the_socket_is_not_for_everybody)
