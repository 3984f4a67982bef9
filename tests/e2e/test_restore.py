"""PostgreSQL restored to an earlier point, with Redis, clients and other servers still knowing the time
that is lost there: no message of the backup is lost, and nothing that comes is taken for what was."""

import os
import re
import shutil
import subprocess
import unittest

from tests.support.platform import (POSTHORN, ServePlatform, SplitPlatform, test_message,
                                     wait_for_messages)
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink

ALICE = "alice@example.test"
BOB = "bob@example.test"


def subject_of(message):
    return re.search(rb"(?m)^Subject: (.*)\r$", message)[1].decode()


def known_to_client(platform, login):
    """What an IMAP client keeps: UIDVALIDITY, HIGHESTMODSEQ, and for each message its subject by
    (UIDVALIDITY, UID) and by EMAILID."""
    client = platform.imap(login)
    try:
        _, (line,) = client.status("INBOX", "(UIDVALIDITY HIGHESTMODSEQ)")
        validity = int(re.search(rb"UIDVALIDITY (\d+)", line)[1])
        modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", line)[1])
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", "1:*", "(EMAILID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        by_uid, by_email = {}, {}
        for part in data:
            if isinstance(part, tuple):
                subject = part[1].split(b"\r\n")[0].removeprefix(b"Subject: ").decode()
                by_uid[validity, int(re.search(rb"UID (\d+)", part[0])[1])] = subject
                by_email[re.search(rb"EMAILID \((\S+)\)", part[0])[1]] = subject
        return validity, modseq, by_uid, by_email
    finally:
        client.logout()


class RestoreTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.open = False
        cls.sink = SmtpSink(replies={
            "RCPT": lambda line: None if cls.open or "held" not in line else "450 4.2.0 later"})
        cls.sink.start()
        cls.platform = SplitPlatform(config={"delivery": {
            "routes": [{"pattern": "*", "hosts": [f"127.0.0.1:{cls.sink.port}"]}]}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.sink.stop()

    def fence(self, check=True):
        return subprocess.run(
            [POSTHORN, "fence", "--config", os.path.join(self.platform.directory, "queue0.yaml")],
            check=check, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def send(self, subject, *recipients):
        self.platform.submit(BOB, list(recipients), test_message(subject, sender=BOB))

    def sent(self):
        return [subject_of(message.data) for message in list(self.sink.messages)]

    def queued(self):
        return self.platform.ctl("queue", "list", "--json")

    def logs(self):
        return "\n".join(process.tail() for key, process in self.platform.processes.items()
                         if key[0] in ("queue", "delivery"))

    def number(self, sql):
        return int(subprocess.run(["psql", "-At", "-d", self.platform.postgres.url(), "-c", sql],
                                  check=True, stdout=subprocess.PIPE, text=True).stdout)

    def test_nothing_of_the_time_that_is_lost_is_taken_for_what_comes(self):
        for i in range(3):
            self.send(f"kept-{i}", ALICE)
        wait_for_messages(self.platform, ALICE, 3)
        self.send("waits-at-the-backup", "held@one.example")
        wait_until(lambda: any(entry["state"] == "deferred" for listed in self.queued()
                               for entry in listed["recipients"]), 60, "it waits")
        self.platform.postgres.backup()

        # The time that will be lost.
        for i in range(3):
            self.send(f"lost-{i}", ALICE)
        wait_for_messages(self.platform, ALICE, 6)
        self.send("lost-and-waits", "held@two.example")
        self.send("lost-and-sent", "x@one.example")
        wait_until(lambda: "lost-and-sent" in self.sent(), 60, self.logs)
        self.assertNotIn("waits-at-the-backup", self.sent())
        type(self).open = True
        wait_until(lambda: "waits-at-the-backup" in self.sent()
                   and "lost-and-waits" in self.sent(), 60, self.logs)
        type(self).open = False
        self.send("lost-and-still-waiting", "held@three.example")
        before = known_to_client(self.platform, ALICE)
        last_job = self.number("SELECT max(job_id) FROM queue.job")

        refused = self.fence(check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("stop all services first", refused.stdout)
        for process in self.platform.processes.values():
            process.stop(timeout=60)
        self.platform.postgres.restore()
        self.fence()
        self.assertGreater(self.number("SELECT min(attempt) FROM queue.job"), 1000000)
        for name, replica in list(self.platform.processes):
            self.platform.launch(name, replica)
        wait_until(lambda: self.platform.ctl("status", check=False).returncode == 0, 120, self.logs)
        wait_for_messages(self.platform, ALICE, 3, timeout=120)

        # What was in the backup, and only that: also what was delivered meanwhile comes again.
        type(self).open = True
        wait_until(lambda: self.sent().count("waits-at-the-backup") == 2, 90, self.logs)
        self.assertEqual(sorted(subject_of(m) for m in self.platform.messages(ALICE)),
                         ["kept-0", "kept-1", "kept-2"])
        for i in range(4):
            self.send(f"new-{i}", ALICE, f"x{i}@one.example")
        wait_for_messages(self.platform, ALICE, 7, timeout=90)
        wait_until(lambda: {f"new-{i}" for i in range(4)} <= set(self.sent()), 90, self.logs)
        after = known_to_client(self.platform, ALICE)
        self.assertGreater(after[0], before[0], "UIDVALIDITY")
        self.assertGreater(after[1], before[1], "HIGHESTMODSEQ")
        for old, new in zip(before[2:], after[2:]):
            for name in old.keys() & new.keys():
                self.assertEqual(old[name], new[name], name)
        # Redis still had jobs of the time that is lost: they are gone, and nobody else's have their ids.
        wait_until(lambda: self.queued() == [], 60, lambda: f"{self.queued()}\n{self.logs()}")
        self.assertGreater(self.number("SELECT last_value FROM queue.job_id"), last_job)
        sent = self.sent()
        self.assertNotIn("lost-and-still-waiting", sent)
        for i in range(4):
            self.assertEqual(sent.count(f"new-{i}"), 1, f"new-{i}")
        self.assertEqual(sent.count("waits-at-the-backup"), 2)
        checked = subprocess.run(
            [POSTHORN, "check", "--config", os.path.join(self.platform.directory, "mailbox0.yaml")],
            timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout)


class EmbeddedRestoreTest(unittest.TestCase):
    def test_serve_fences_its_own_database_when_it_is_told_to(self):
        platform = ServePlatform()
        try:
            platform.start()
            platform.submit(BOB, [ALICE], test_message("kept", sender=BOB))
            wait_for_messages(platform, ALICE, 1)
            platform.process.stop(timeout=60)
            postgres = os.path.join(platform.data, "postgres")
            shutil.copytree(postgres, postgres + ".backup", copy_function=shutil.copy2)
            owner = os.stat(postgres)
            platform.launch()
            platform.submit(BOB, [ALICE], test_message("lost", sender=BOB))
            wait_for_messages(platform, ALICE, 2)
            before = known_to_client(platform, ALICE)
            platform.process.stop(timeout=60)
            shutil.rmtree(postgres)
            os.rename(postgres + ".backup", postgres)
            for path, names, files in os.walk(postgres):
                for name in (".", *names, *files):
                    os.chown(os.path.join(path, name), owner.st_uid, owner.st_gid)
            subprocess.run([POSTHORN, "fence", "--config", platform.config_file, "--data-dir",
                            platform.data], check=True, timeout=60, stdout=subprocess.DEVNULL)
            platform.launch()
            self.assertFalse(os.path.exists(os.path.join(platform.data, "fence")))
            platform.submit(BOB, [ALICE], test_message("new", sender=BOB))
            wait_for_messages(platform, ALICE, 2)
            after = known_to_client(platform, ALICE)
            self.assertEqual(sorted(after[2].values()), ["kept", "new"])
            self.assertGreater(after[0], before[0])
            self.assertGreater(after[1], before[1])
            self.assertNotIn("new", [after[3][name] for name in before[3].keys() & after[3].keys()])
        finally:
            platform.stop()


if __name__ == "__main__":
    unittest.main()
