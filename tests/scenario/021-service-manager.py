"""Under systemd: READY when it answers, STOPPING when it goes, the socket handed over by activation is used."""

import os
import socket
import subprocess

from scenario import die_with_parent, expect, pipe_notify, play, until
from tree import product


def ready_is_told_when_it_answers_and_stopping_when_it_goes(larder):
    path, listening = pipe_notify(larder)
    larder.start(env={"NOTIFY_SOCKET": path})
    assert b"READY=1" in listening.recv(4096)
    larder.stop()
    until(lambda: b"STOPPING=1" in messages_of(listening), "STOPPING=1")


def messages_of(listening):
    try:
        return listening.recv(4096)
    except TimeoutError:
        return b""


def the_watchdog_is_fed(larder):
    path, listening = pipe_notify(larder)
    larder.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
    until(lambda: b"WATCHDOG=1" in messages_of(listening), "WATCHDOG=1")


def a_socket_from_activation_is_used(larder):
    larder.configure("")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(larder.socket)
    listening.listen()

    def hand_over():
        die_with_parent()
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)

    script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    command = ["sh", "-c", script, "sh", product("larderd"), "--config", larder.config, "--state", larder.state]
    larder.daemon = subprocess.Popen(command, env=larder.environment(), preexec_fn=hand_over, pass_fds=[3],
                                     stderr=open(larder.log_path, "ab"))
    larder.others.append(larder.daemon)
    until(larder.answers, "it answers on the socket it was given")
    larder.stop()
    assert os.path.exists(larder.socket), "a socket that belongs to the service manager was removed"


play(ready_is_told_when_it_answers_and_stopping_when_it_goes, the_watchdog_is_fed, a_socket_from_activation_is_used)
