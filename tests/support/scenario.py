"""Scenarios: real binaries, one page each.

    def a_value_set_by_one_process_is_found_by_another(larder):
        larder.start()
        ...
    play(a_value_set_by_one_process_is_found_by_another)

Each case gets a Larder of its own: a fresh directory on tmpfs, a socket, a state directory, and the daemon once it is
started.  What a case started is ended by its process id.  A daemon that ends by itself or complains about memory fails
the case.  Nothing sleeps to wait: `until` asks for a condition and has a deadline."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import tap
import wire_client
from tree import ROOT, product

SECONDS = 30        # how long a condition may take before it counts as never, on a machine that does ten other things
PATIENT_MS = 10_000 # what a call of the library may take
POLL_SECONDS = 0.01
USUAL = {"LARDER_TIMEOUT_MS": ""}  # an environment for those who are about the deadlines that the library has by itself
NOBODY = 65534


def until(condition, what, seconds=SECONDS):
    """Waits for a condition and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(POLL_SECONDS)


def until_committed(client, count):
    until(lambda: client.stats()["tiers"]["warm"]["entries"] >= count, "the entries are in the warm tier")


def expect(got, wanted, what=""):
    assert got == wanted, f"{what + ': ' if what else ''}expected {wanted!r}, got {got!r}"


def die_with_parent():
    """A test that is shot takes its daemon along."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Larder:
    def __init__(self):
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = tempfile.mkdtemp(prefix="larder-test.", dir=shm)
        self.socket = os.path.join(self.home, "larder.sock")
        self.state = os.path.join(self.home, "state")
        self.config = os.path.join(self.home, "larder.conf")
        self.log_path = os.path.join(self.home, "larderd.log")
        self.daemon, self.others, self.clients, self.may_end = None, [], [], False

    # ---- the daemon ----

    def configure(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def environment(self, **more):
        """Nothing of the developer's own settings reaches a test, and a machine that is slow just now fails none."""
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR") or k.endswith("SAN_OPTIONS")}
        return {**keep, "HOME": self.home, "XDG_RUNTIME_DIR": self.home, "XDG_STATE_HOME": self.home,
                "LARDER_SOCKET": self.socket, "LARDER_TIMEOUT_MS": str(PATIENT_MS), **more}

    def spawn_daemon(self, *flags, env=None, uid=None, **options):
        if not os.path.exists(self.config):
            self.configure("")
        log = open(self.log_path, "ab")
        command = [product("larderd"), "--config", self.config, "--socket", self.socket, "--state", self.state, *flags]
        child = subprocess.Popen(self.wrapped(command), env=self.environment(**(env or {})), stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log, preexec_fn=die_with_parent, user=uid, group=uid,
                                 extra_groups=[] if uid else None, **options)
        log.close()
        self.others.append(child)
        return child

    def wrapped(self, command):
        """For those who start it by way of something else."""
        return command

    def start(self, *flags, **options):
        """Starts the daemon and waits until it answers."""
        self.may_end = False
        self.daemon = self.spawn_daemon(*flags, **options)
        until(self.answers, "larderd answers a ping")
        return self

    def answers(self):
        assert self.daemon.poll() is None, f"larderd ended with {self.daemon.returncode}:\n{self.log()}"
        try:
            with wire_client.Client(self.socket, hello=False, seconds=1) as client:
                return client.ping()
        except (OSError, wire_client.Closed):
            return None

    def signal(self, number):
        self.daemon.send_signal(number)

    def stop(self):
        """Clean stop; the exit code must be 0."""
        self.may_end = True
        self.signal(signal.SIGTERM)
        expect(self.daemon.wait(timeout=SECONDS), 0, "exit code of larderd")

    def kill9(self):
        self.may_end = True
        self.signal(signal.SIGKILL)
        self.daemon.wait(timeout=SECONDS)

    def restart(self, *flags, **options):
        self.stop()
        return self.start(*flags, **options)

    def refuses_to_start(self, *flags, seconds=SECONDS, **options):
        """The daemon must end by itself with an error; returns what it said."""
        before = len(self.log())
        child = self.spawn_daemon(*flags, **options)
        code = child.wait(timeout=seconds)
        assert code > 0, f"larderd ended with {code}, expected an error"
        return self.log()[before:]

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def status_bytes(self, name):
        """VmRSS and the like, from /proc."""
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))

    # ---- its users ----

    def client(self, *arguments, **options):
        self.clients.append(wire_client.Client(self.socket, *arguments, **options))
        return self.clients[-1]

    def cli(self, *arguments, input=None, env=None, timeout=60):
        """The command: what it printed and its exit code."""
        return subprocess.run([product("larder"), *map(str, arguments)], env=self.environment(**(env or {})), input=input,
                              capture_output=True, text=not isinstance(input, bytes), timeout=timeout, check=False)

    def says(self, *arguments, code=0, **options):
        """What the command printed, given that it ended with `code`."""
        done = self.cli(*arguments, **options)
        assert done.returncode == code, f"larder {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def puppet(self, *arguments, env=None):
        command = [product("puppet"), self.socket, *arguments]
        self.others.append(puppet := Puppet(command, self.environment(**(env or {}))))
        return puppet

    # ---- the end ----

    def finish(self):
        for client in self.clients:
            client.close()
        ended = None if self.daemon is None or self.may_end else self.daemon.poll()
        for child in self.others:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
        log = self.log()
        shutil.rmtree(self.home, ignore_errors=True)
        assert ended is None, f"larderd ended by itself with {ended}:\n{log[-4000:]}"
        for trouble in ["ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "check failed"]:
            assert trouble not in log, log[-8000:]


class Puppet(subprocess.Popen):
    """A process that uses liblarder as it is told, line by line (tests/fault/puppet.c)."""

    def __init__(self, command, env):
        super().__init__(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                         preexec_fn=die_with_parent)

    def ask(self, *words):
        """One command, one line of answer, as words."""
        self.tell(*words)
        return self.answer()

    def tell(self, *words):
        self.stdin.write(" ".join(words) + "\n")
        self.stdin.flush()

    def answer(self):
        line = self.stdout.readline()
        assert line, "the puppet ended"
        return line.split()


def pipe_notify(larder):
    """A socket in which systemd would listen for READY=1."""
    path = os.path.join(larder.home, "notify")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(path)
    listening.settimeout(SECONDS)
    return path, listening


def play(*cases):
    report = tap.Report()
    for case in cases:
        with report.case(case.__name__.replace("_", " ")):
            larder = Larder()
            try:
                case(larder)
            except AssertionError as error:
                raise AssertionError(f"{error}\n--- log of larderd:\n{larder.log()[-4000:]}") from error
            finally:
                larder.finish()
    report.end()
