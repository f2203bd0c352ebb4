"""Under systemd: READY when it answers, STOPPING when it goes, the socket handed over by activation is used."""

import os
import socket
import subprocess
import threading

import wire_client
from scenario import die_with_parent, expect, pipe_notify, play, until
from tree import product

DEADLINE_MS = "20000"  # of calls that a restart holds up


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


def listen(larder):
    """The socket, as a service manager keeps it."""
    larder.configure("")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(larder.socket)
    listening.listen()
    return listening


def activate(larder, listening, program="larderd"):
    def hand_over():
        die_with_parent()
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)

    script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    command = ["sh", "-c", script, "sh", product(program), "--config", larder.config, "--state", larder.state]
    larder.daemon = subprocess.Popen(command, env=larder.environment(), preexec_fn=hand_over, pass_fds=[3],
                                     stderr=open(larder.log_path, "ab"))
    larder.others.append(larder.daemon)


def a_socket_from_activation_is_used(larder):
    activate(larder, listen(larder))
    until(larder.answers, "it answers on the socket it was given")
    larder.stop()
    assert os.path.exists(larder.socket), "a socket that belongs to the service manager was removed"


def calls_made_while_nobody_is_there_wait_for_the_next(larder):
    listening = listen(larder)
    activate(larder, listening)
    one, other = larder.puppet(DEADLINE_MS), larder.puppet(DEADLINE_MS)
    expect(one.ask("set", "k", "v"), ["0"])
    expect(other.ask("get", "k")[0], "HIT")
    larder.stop()
    one.tell("set", "late", "v")
    other.tell("get", "k")
    activate(larder, listening)
    expect(one.answer(), ["0"])
    answer = other.answer()
    expect((answer[0], answer[2]), ("HIT", "v"))


def calling(puppet, number, over, answers):
    """Sets and gets until it is over; what was answered."""
    key = f"k{number}"
    while not over.is_set():
        answers.append(puppet.ask("set", key, "v"))
        answers.append(puppet.ask("get", key)[:1])


def release(larder):
    with wire_client.Client(larder.socket, seconds=20) as client:
        return client.stats()["version"]


def finds_near(puppet, key, value):
    """By itself, in the segment of whoever runs now: it attaches to that with its next question."""
    answer = puppet.ask("get", key)
    expect((answer[0], answer[2]), ("HIT", value), f"{key}, which the other build had stored")
    return answer[1] == "near"


def no_call_fails_when_a_restart_changes_the_build(larder):
    listening = listen(larder)
    activate(larder, listening)
    puppets = [larder.puppet(DEADLINE_MS) for _ in range(4)]
    for number, puppet in enumerate(puppets):
        expect(puppet.ask("set", f"kept{number}", f"v{number}"), ["0"])
    answers, releases = [], [release(larder)]
    for program in ["larderd-next", "larderd", "larderd-next"]:
        over = threading.Event()
        callers = [threading.Thread(target=calling, args=(p, n, over, answers)) for n, p in enumerate(puppets)]
        for caller in callers:
            caller.start()
        seen = len(answers)
        until(lambda: len(answers) > seen + 100, "calls are answered")
        larder.stop()
        activate(larder, listening, program)
        seen = len(answers)
        until(lambda: len(answers) > seen + 100, "calls are answered by the other build")
        over.set()
        for caller in callers:
            caller.join()
        releases.append(release(larder))
        for number, puppet in enumerate(puppets):
            until(lambda: finds_near(puppet, f"kept{number}", f"v{number}"), "what was kept is found without a call")
    expect([a for a in answers if a not in (["0"], ["HIT"])], [])
    assert releases[0] != releases[1] and releases == 2 * releases[:2], f"the builds did not change: {releases}"


play(ready_is_told_when_it_answers_and_stopping_when_it_goes, the_watchdog_is_fed, a_socket_from_activation_is_used,
     calls_made_while_nobody_is_there_wait_for_the_next, no_call_fails_when_a_restart_changes_the_build)
