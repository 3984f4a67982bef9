"""Private PostgreSQL and Redis servers for platforms whose services run as separate processes."""

import glob
import os
import signal
import subprocess

from tests.support.processes import (Process, find_program, free_port, remove_directory,
                                     temporary_directory, unprivileged_user, wait_until)


def _postgres_bin(name):
    paths = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not paths:
        raise RuntimeError("PostgreSQL is not installed: run scripts/install-deps")
    return paths[-1]


class PostgresServer:
    """Durable settings as in production; TCP on loopback with trust authentication."""

    def __init__(self):
        self.directory = temporary_directory("pg")
        self.data = os.path.join(self.directory, "data")
        self.port = free_port()
        self.user = unprivileged_user("postgres", "nobody")
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        self.process = None

    def _as_user(self):
        if not self.user:
            return None
        user = self.user

        def become():
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        return become

    def create(self):
        subprocess.run([_postgres_bin("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust",
                        "-E", "UTF8", "--locale=C.UTF-8", "-N"],
                       check=True, stdout=subprocess.DEVNULL, preexec_fn=self._as_user())
        self.start()
        subprocess.run(["psql", "-q", "-h", self.directory, "-p", str(self.port), "-U", "postgres",
                        "-c", "CREATE DATABASE posthorn"], check=True,
                       stdout=subprocess.DEVNULL)
        return self

    def start(self):
        self.process = Process(
            "postgres",
            [_postgres_bin("postgres"), "-D", self.data, "-k", self.directory, "-p", self.port,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=on",
             "-c", "synchronous_commit=on", "-c", "max_connections=100"],
            self.directory, user=self.user).start()
        wait_until(lambda: subprocess.run(
            ["pg_isready", "-q", "-h", self.directory, "-p", str(self.port)]).returncode == 0,
            60, "PostgreSQL accepts connections")
        return self

    def backup(self):
        """A copy of the running server's data; restore() puts it back."""
        copy = os.path.join(self.directory, "backup")
        subprocess.run([_postgres_bin("pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.port),
                        "-U", "postgres", "-D", copy, "-c", "fast"],
                       check=True, timeout=120, preexec_fn=self._as_user())

    def restore(self):
        """Stops the server, and starts it as it was at the backup."""
        self.process.stop(sig=signal.SIGINT)
        remove_directory(self.data)
        os.rename(os.path.join(self.directory, "backup"), self.data)
        self.start()

    def url(self, role="postgres"):
        return f"postgresql://{role}@127.0.0.1:{self.port}/posthorn"

    def kill(self):
        """kill -9 of the postmaster; its children notice and end."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], stdout=subprocess.PIPE,
                                  text=True).stdout.split()
        self.process.kill()
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 60,
                   "PostgreSQL's children ended")

    def stop(self):
        if self.process:
            self.process.stop(sig=signal.SIGINT)
        remove_directory(self.directory)


class RedisServer:
    def __init__(self):
        self.directory = temporary_directory("redis")
        self.port = free_port()
        self.process = None
        self.user = unprivileged_user("redis", "nobody")
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)

    def start(self):
        self.process = Process(
            "redis", [find_program("redis-server"), "--port", self.port, "--bind", "127.0.0.1",
                      "--dir", self.directory, "--save", "", "--appendonly", "yes",
                      "--appendfsync", "everysec"],
            self.directory, user=self.user).start()
        self.process.wait_for_port(self.port)
        return self

    def config(self):
        return {"address": f"127.0.0.1:{self.port}"}

    def command(self, *args):
        return subprocess.run(["redis-cli", "-p", str(self.port), *args], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process:
            self.process.stop()
        remove_directory(self.directory)
