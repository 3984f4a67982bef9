"""What SMTP says while a part is away or full: never a 5yz, and nothing that was accepted is lost."""

import smtplib
import unittest
import uuid

from tests.support.platform import (ServePlatform, SplitPlatform, _unverified, test_message)
from tests.support.processes import wait_until


def connect(platform, role):
    if role == "lmtp":
        return smtplib.LMTP("127.0.0.1", platform.ports().listeners["lmtp"],
                            local_hostname="client.test")
    return platform.smtp(role, timeout=90)


class OnePlatform(SplitPlatform):
    replicas = 1


class OutagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = OnePlatform(config={
            "rpc": {"deadline_seconds": 3},
            # Remote mail waits in the queue.
            "delivery": {"routes": [{"pattern": "*", "hosts": ["127.0.0.1:9"]}]}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def setUp(self):
        self.accepted = []

    def attempt(self, role, recipients, message, login=None):
        """One transaction; every reply to it, up to the first that refuses."""
        replies = []

        def said(code, text):
            replies.append((code, text))
            return code < 400

        with connect(self.platform, role) as client:
            client.ehlo()
            sender = "x@outside.example"
            if login:
                sender = login
                client.starttls(context=_unverified())
                client.ehlo()
                try:
                    client.login(login, self.platform.passwords[login])
                except smtplib.SMTPAuthenticationError as error:
                    return [(error.smtp_code, error.smtp_error)]
            if (said(*client.mail(sender)) and all(said(*client.rcpt(r)) for r in recipients)):
                said(*client.data(message))
        return replies

    def send(self, role, recipients, login=None):
        """The last reply's code; none is ever permanent."""
        subject = uuid.uuid4().hex
        replies = self.attempt(role, recipients, test_message(
            subject, sender=login or "x@outside.example", message_id=f"<{subject}@test>"), login)
        for code, text in replies:
            self.assertLess(code, 500, replies)
        if replies[-1][0] == 250:
            self.accepted.append(subject)
        return replies[-1][0]

    def assert_nothing_was_lost(self, login="bob@example.test"):
        for subject in self.accepted:
            wait_until(lambda: sum(f"Subject: {subject}\r\n".encode() in m for m in
                                   self.platform.messages(login, after_outage=True)) == 1, 90,
                       f"{subject}, once")

    def until_accepted(self, role="mx", recipients=("bob@example.test",), login=None):
        wait_until(lambda: self.send(role, list(recipients), login) == 250, 90, "mail flows again",
                   interval=0.5)

    def test_the_database_is_away(self):
        self.until_accepted()
        self.platform.postgres.kill()
        try:
            for _ in range(3):
                self.assertNotEqual(self.send("mx", ["bob@example.test"]), 250)
                self.assertNotEqual(self.send("lmtp", ["bob@example.test"]), 250)
            # An address that nobody has asked for lately.
            self.assertNotEqual(self.send("mx", ["alice@example.test"]), 250)
            self.assertNotEqual(
                self.send("submission", ["bob@example.test"], login="alice@example.test"), 250)
        finally:
            self.platform.postgres.start()
        self.until_accepted()
        self.assert_nothing_was_lost()

    def test_the_mailbox_service_is_away(self):
        self.until_accepted()
        self.platform.kill("mailbox", 0)
        try:
            # Who is known to the gateway may still be written to: the queue takes the message.
            self.send("mx", ["bob@example.test"])
            self.send("lmtp", ["bob@example.test"])
            self.assertEqual(self.send("mx", [f"{uuid.uuid4().hex}@example.test"]), 451)
            self.assertEqual(
                self.send("submission", ["bob@example.test"], login="alice@example.test"), 454)
        finally:
            self.platform.launch("mailbox", 0)
        self.until_accepted()
        self.assert_nothing_was_lost()

    def test_the_queue_is_away(self):
        self.until_accepted("submission", login="alice@example.test")
        self.platform.kill("queue", 0)
        try:
            # Mailboxes need no queue; the world does.
            self.assertEqual(self.send("mx", ["bob@example.test"]), 250)
            remote = self.send("submission", ["x@remote.example"], login="alice@example.test")
            self.assertEqual(remote, 451)
            self.assertEqual(self.send("submission", ["bob@example.test", "x@remote.example"],
                                       login="alice@example.test"), 451)
        finally:
            self.platform.launch("queue", 0)
        self.until_accepted("submission", login="alice@example.test")
        self.assert_nothing_was_lost()


class FullStagingTest(unittest.TestCase):
    def test_a_full_staging_area_defers(self):
        platform = ServePlatform(config={"gateway": {"staging_max_octets": 1_000_000}}).start()
        self.addCleanup(platform.stop)
        line = b"line after line after line after line\r\n"
        for role in ("mx", "lmtp", "submission"):
            with self.subTest(role), connect(platform, role) as client:
                client.ehlo()
                if role == "submission":
                    client.login("alice@example.test", "alice-secret")
                large = b"Subject: large\r\n\r\n" + line * 50_000
                # Who says the size is told before the octets travel.
                with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
                    client.sendmail("alice@example.test", ["bob@example.test"], large)
                self.assertEqual(refused.exception.smtp_code, 452)
                self.assertTrue(refused.exception.smtp_error.startswith(b"4.3.1"))
                client.rset()
                self.assertEqual(client.mail("alice@example.test")[0], 250)
                self.assertEqual(client.rcpt("bob@example.test")[0], 250)
                code, text = client.data(large)
                self.assertEqual((code, text[:5]), (452, b"4.3.1"))
                client.sendmail("alice@example.test", ["bob@example.test"],
                                b"Subject: small\r\n\r\n" + line * 5_000)


if __name__ == "__main__":
    unittest.main()
