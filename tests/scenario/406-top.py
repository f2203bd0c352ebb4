"""top: the live screen, on a terminal and in a pipe, while the daemon answers, hangs and is not there."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

from scenario import expect, play, until

import scenario


class Screen:
    """`larder top` on a terminal of its own."""

    def __init__(self, larder, *arguments):
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        os.set_blocking(self.controller, False)
        self.before = termios.tcgetattr(terminal)
        self.terminal, self.said = terminal, b""
        self.process = subprocess.Popen([scenario.product("larder"), *arguments, "top"], env=larder.environment(TERM="xterm", **scenario.USUAL),
                                        stdin=terminal, stdout=terminal, stderr=terminal,
                                        preexec_fn=scenario.die_with_parent)
        larder.others.append(self.process)

    def shows(self, text):
        try:
            while chunk := os.read(self.controller, 65536):
                self.said += chunk
        except BlockingIOError:
            pass
        return text.encode() in self.said

    def waits_for(self, *texts):
        """Since it was waited for last."""
        for text in texts:
            until(lambda: self.shows(text), f"the screen shows {text!r}")
        self.said = b""

    def press(self, key):
        os.write(self.controller, key.encode())

    def ended(self):
        """Its exit code; the terminal is as it was."""
        until(lambda: (self.shows(""), self.process.poll() is not None)[1], "it ends")
        expect(termios.tcgetattr(self.terminal)[3], self.before[3])
        return self.process.returncode


def it_shows_what_goes_on_until_q_is_pressed(larder):
    larder.start()
    larder.client().set(b"k", b"v")
    screen = Screen(larder)
    screen.waits_for("namespace default")
    screen.press("q")
    expect(screen.ended(), 0)


def a_daemon_that_hangs_is_told_of_and_one_that_goes_on_too(larder):
    larder.start()
    screen = Screen(larder)
    screen.waits_for("shared memory")
    larder.signal(signal.SIGSTOP)
    screen.waits_for("ANSWER", "read from it")  # "hung" shares a letter with the "busy" before it: curses writes the others
    larder.signal(signal.SIGCONT)
    screen.waits_for("score")
    screen.press("q")
    expect(screen.ended(), 0)


def a_daemon_that_comes_later_is_found(larder):
    screen = Screen(larder)
    screen.waits_for("NO ANSWER")
    larder.start()
    screen.waits_for("shared memory")
    screen.process.send_signal(signal.SIGTERM)
    expect(screen.ended(), 0)


def n_goes_to_the_next_namespace(larder):
    larder.configure("[namespace default]\n[namespace other]\n")
    larder.start()
    screen = Screen(larder)
    screen.waits_for("namespace default", "from shared memory")
    screen.press("n")
    screen.waits_for("other")
    screen.press("q")
    expect(screen.ended(), 0)


def in_a_pipe_it_is_one_screen_of_text(larder):
    larder.start()
    said = larder.says("top", "--timeout", "20s")
    assert "from shared memory" in said and "\033" not in said, said
    larder.stop()
    expect(larder.cli("top").returncode, 3)
    assert "NO ANSWER" in larder.cli("top").stdout


def for_programs_there_is_stats(larder):
    larder.start()
    done = larder.cli("top", "--json")
    expect(done.returncode, 2)
    assert "stats --json" in done.stderr, done.stderr


play(it_shows_what_goes_on_until_q_is_pressed, a_daemon_that_hangs_is_told_of_and_one_that_goes_on_too,
     a_daemon_that_comes_later_is_found, n_goes_to_the_next_namespace, in_a_pipe_it_is_one_screen_of_text,
     for_programs_there_is_stats)
