"""Starting, watching and stopping real servers for tests: always private, always on loopback,
always in a temporary directory, and exactly the processes started here are stopped, by pid."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


_given = set()


def free_port(address="127.0.0.1"):
    """A TCP and UDP port nobody listens on at the moment, below those that the kernel gives to
    outgoing connections, so that none of these takes it before the server starts."""
    for _ in range(1000):
        port = random.randrange(10_000, 32_000)
        if port in _given:
            continue
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((address, port))
                udp.bind((address, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def wait_until(condition, timeout, what, interval=0.05):
    """Polls `condition` until it returns something true, and returns that. `what` names it in the
    error: text, or a function that makes the text then."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise TimeoutError(f"not within {timeout} s: {text}")
        time.sleep(interval)


def port_open(port, address="127.0.0.1"):
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def temporary_directory(prefix):
    """Short (unix sockets) and reachable for servers that run as another user."""
    path = tempfile.mkdtemp(prefix=f"ph-{prefix}-", dir="/tmp")
    os.chmod(path, 0o755)
    return path


def unprivileged_user(*names):
    """The first of `names` that exists, when we are root; None otherwise."""
    if os.getuid() != 0:
        return None
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"none of the users {names} exists")


class Process:
    """One child process with its output in a file."""

    def __init__(self, name, args, directory, env=None, user=None, cwd=None):
        self.name = name
        self.args = [str(a) for a in args]
        self.log_path = os.path.join(directory, f"{name}.log")
        self.env = dict(os.environ, **(env or {}))
        self.user = user
        self.cwd = cwd
        self.process = None

    def start(self):
        preexec = None
        if self.user is not None:
            user = self.user

            def preexec():
                os.initgroups(user.pw_name, user.pw_gid)
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.args, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env=self.env, preexec_fn=preexec, cwd=self.cwd, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9 of the process itself, and a wait until it is gone."""
        if self.running():
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()

    def stop(self, timeout=30, sig=signal.SIGTERM):
        """Asks it to end; returns its status, or kills it and raises if it does not."""
        if self.process is None:
            return None
        if self.running():
            os.kill(self.process.pid, sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.kill(self.process.pid, signal.SIGKILL)
                self.process.wait()
                self.log.close()
                raise TimeoutError(f"{self.name} did not stop within {timeout} s:\n{self.tail()}")
        self.log.close()
        return self.process.returncode

    def text(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for_port(self, port, timeout=60, address="127.0.0.1"):
        def ready():
            if not self.running():
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return port_open(port, address)
        wait_until(ready, timeout,
                   lambda: f"{self.name} listening on {address}:{port}\n{self.tail()}")


def find_program(name, *extra):
    """The path of a server program; Debian keeps many of them outside of a user's PATH."""
    path = shutil.which(name, path=os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *extra]))
    if path is None:
        raise RuntimeError(f"{name} is not installed: run scripts/install-deps")
    return path


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)


def note(text):
    """A line for whoever watches the test run."""
    print(text, file=sys.stderr, flush=True)
