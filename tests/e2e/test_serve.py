"""`posthorn serve` as an operator meets it: start, second start, taken port, bad configuration,
crashes of what it supervises, clean stop."""

import os
import re
import signal
import socket
import stat
import subprocess
import time
import unittest

from tests.support.platform import (POSTHORN, ServePlatform, http_status, test_message,
                                    wait_for_messages)
from tests.support.processes import wait_until


def processes_mentioning(text):
    out = subprocess.run(["pgrep", "-f", "--", text], stdout=subprocess.PIPE, text=True).stdout
    return {int(pid) for pid in out.split()} - {os.getpid()}


class ServeTest(unittest.TestCase):
    def setUp(self):
        self.platform = ServePlatform()
        self.addCleanup(self.platform.stop)

    def send(self, subject):
        with self.platform.smtp() as client:
            client.sendmail("x@elsewhere.example", ["bob@example.test"], test_message(subject))

    def test_a_second_start_keeps_the_data_and_a_stop_leaves_nothing_running(self):
        self.platform.start()
        self.send("before the stop")
        token = open(self.platform.token_file).read()
        self.assertEqual(stat.S_IMODE(os.stat(self.platform.token_file).st_mode), 0o600)
        self.assertEqual(self.platform.process.stop(timeout=60, sig=signal.SIGINT), 0)
        wait_until(lambda: not processes_mentioning(self.platform.data), 10, "nothing left running")
        started = time.monotonic()
        self.platform.launch()
        print(f"second start: {time.monotonic() - started:.1f} s")
        self.assertEqual(open(self.platform.token_file).read(), token)
        messages = wait_for_messages(self.platform, "bob@example.test", 1)
        self.assertIn(b"before the stop", messages[0])

    def test_a_start_after_kill_9_of_everything_at_hand_works(self):
        self.platform.start()
        self.send("before the crash")
        self.platform.process.kill()
        self.platform.launch()
        self.send("after the crash")
        messages = wait_for_messages(self.platform, "bob@example.test", 2)
        self.assertEqual(len(messages), 2)

    def child(self, *names):
        """The pid of a supervised process, by its program's name."""
        def descendants(pid):
            out = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE,
                                 text=True).stdout.split()
            for text in out:
                yield int(text)
                yield from descendants(int(text))
        for pid in descendants(self.platform.process.pid):
            try:
                with open(f"/proc/{pid}/comm") as file:
                    name = file.read().strip()
                with open(f"/proc/{pid}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if name in names:
                with open(f"/proc/{parent}/comm") as file:
                    if file.read().strip() not in names:
                        return pid
        raise AssertionError(f"no process named {names}")

    def test_what_is_supervised_comes_back_after_a_crash(self):
        self.platform.start()
        for number, name in enumerate(("redis-server", "postgres")):
            with self.subTest(name):
                os.kill(self.child(name), signal.SIGKILL)
                subject = f"after the crash of {name}"

                def delivered():
                    try:
                        self.send(subject)
                        return True
                    except OSError:
                        return False
                wait_until(delivered, 60, f"mail is accepted again after {name} crashed\n")
                wait_until(lambda: any(subject.encode() in m for m in self.platform.messages(
                    "bob@example.test", after_outage=True)), 60, subject)

    def test_a_taken_port_stops_the_start_with_one_line(self):
        port = self.platform.ports().listeners["imap"]
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with self.assertRaises(RuntimeError):
                self.platform.start()
        self.assertNotEqual(self.platform.process.process.returncode, 0)
        lines = [line for line in self.platform.process.text().splitlines()
                 if f"127.0.0.1:{port}" in line]
        self.assertEqual(len(lines), 1, self.platform.process.text())
        self.assertIn("gateway.imap_listeners[0]", lines[0])
        wait_until(lambda: not processes_mentioning(self.platform.data), 20, "nothing left running")

    def test_the_servers_run_without_privileges(self):
        if os.getuid() != 0:
            return  # there are none to drop
        self.platform.start()
        pids = processes_mentioning(self.platform.data)
        users = set()
        for pid in pids - {self.platform.process.pid}:
            try:
                users.add(os.stat(f"/proc/{pid}").st_uid)
            except OSError:
                continue
        self.assertTrue(users)
        self.assertNotIn(0, users)

    def test_health_and_metrics_answer(self):
        self.platform.start()
        port = self.platform.ports().http
        self.assertEqual(http_status(port, "/healthz"), 200)
        self.send("counted")
        import urllib.request
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        self.assertRegex(text, r"(?m)^posthorn_gateway_\w+")
        self.assertRegex(text, r"(?m)^# HELP posthorn_queue_\w+")

    def test_no_secret_is_logged(self):
        self.platform.start()
        self.platform.submit("alice@example.test", ["bob@example.test"],
                             test_message("x", body="the-body-itself\r\n"))
        text = self.platform.process.text()
        for secret in ("alice-secret", "the-body-itself", open(self.platform.token_file).read().strip()):
            self.assertNotIn(secret, text)


class BadConfigurationTest(unittest.TestCase):
    def refuse(self, *args, expect):
        result = subprocess.run([POSTHORN, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=60)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(len(result.stdout.strip().splitlines()), 1, result.stdout)
        for word in expect:
            self.assertIn(word, result.stdout)

    def test_mistakes_are_named_with_key_and_place(self):
        path = "/tmp/ph-bad-config.yaml"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        for text, expect in (("gateway:\n  thread: 2\n", ("gateway.thread", f"{path}:2")),
                             ("gateway:\n  threads: many\n", ("gateway.threads", f"{path}:2")),
                             ("queue:\n  shards: 0\n", ("queue.shards", f"{path}:2")),
                             ("queue: [\n", (path,))):
            with self.subTest(text):
                with open(path, "w") as file:
                    file.write(text)
                self.refuse("config", "check", "--config", path, expect=expect)
        self.refuse("serve", "--config", "/nonexistent/posthorn.yaml",
                    expect=("/nonexistent/posthorn.yaml",))


if __name__ == "__main__":
    unittest.main()
