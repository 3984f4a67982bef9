"""One message's whole journey, the same on `posthorn serve` and on separate services with two
replicas each: in by SMTP, submission and API, out by IMAP, POP3 and to other servers, and back
with the reason where it can't be delivered."""

import email
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import (ServePlatform, SplitPlatform, test_message,
                                    wait_for_messages)
from tests.support.postfix import Postfix
from tests.support.processes import wait_until
from tests.support.send_client import Send, RpcError


class Journey:
    """The tests; subclasses say on which platform."""

    platform_class = None

    @classmethod
    def setUpClass(cls):
        cls.postfix = Postfix("example.net", ["carol", "dave"],
                              settings={"smtpd_recipient_limit": "1000"}).start()
        cls.dns = DnsServer([
            "example.net. IN MX 20 backup.example.net.",
            "example.net. IN MX 10 mx.example.net.",
            "mx.example.net. IN A 127.0.0.1",
            "backup.example.net. IN A 127.0.0.77",
            "implicit.example. IN A 127.0.0.1",
            "null.example. IN MX 0 .",
        ]).start()
        cls.platform = cls.platform_class(
            dns=cls.dns, config={"delivery": {"smtp_port": cls.postfix.port}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.postfix.stop()

    def replicas(self):
        return range(len(self.platform.gateways))

    def test_mail_from_outside_is_in_the_mailbox_when_250_arrives(self):
        for replica in self.replicas():
            subject = f"inbound {replica}"
            with self.platform.smtp("mx", replica) as client:
                client.sendmail("x@elsewhere.example", ["alice@example.test"],
                                test_message(subject, sender="x@elsewhere.example"))
            for reader in self.replicas():
                found = [m for m in self.platform.messages("alice@example.test", replica=reader)
                         if f"Subject: {subject}".encode() in m]
                self.assertEqual(len(found), 1)
                self.assertTrue(found[0].startswith(b"Return-Path: <x@elsewhere.example>\r\n"
                                                    b"Delivered-To: alice@example.test\r\n"))

    def test_pop3_shows_the_same_bytes_as_imap(self):
        self.platform.submit("alice@example.test", ["bob@example.test"], test_message("for pop"))
        by_imap = self.platform.messages("bob@example.test")
        client = self.platform.pop3("bob@example.test")
        count, size = client.stat()
        by_pop = [b"".join(line + b"\r\n" for line in client.retr(i + 1)[1])
                  for i in range(count)]
        client.quit()
        self.assertEqual(by_pop, by_imap)
        self.assertEqual(size, sum(len(m) for m in by_imap))

    def test_submission_to_a_remote_server_through_dns(self):
        before = len(self.postfix.messages("carol"))
        self.platform.submit("alice@example.test", ["carol@example.net", "dave@example.net"],
                             test_message("to the world", to="carol@example.net"))
        wait_until(lambda: len(self.postfix.messages("carol")) > before, 60,
                   lambda: "arrival at Postfix\n" + self.postfix.log())
        message = self.postfix.messages("carol")[-1]
        self.assertIn(b"Subject: to the world", message)
        wait_until(lambda: self.platform.ctl("queue", "list", "--json") == [], 30, "empty queue")

    def test_local_and_remote_recipients_in_one_transaction(self):
        subject = f"both ways {self.platform.kind}"
        self.platform.submit("alice@example.test", ["bob@example.test", "carol@example.net"],
                             test_message(subject))
        needle = f"Subject: {subject}".encode()
        wait_until(lambda: any(needle in m for m in self.postfix.messages("carol")), 60,
                   lambda: "arrival at Postfix\n" + self.postfix.log())
        wait_until(lambda: sum(needle in m for m in
                               self.platform.messages("bob@example.test")) == 1, 60,
                   "arrival at bob")

    def bounces(self, login):
        return [m for m in self.platform.messages(login) if b"report-type=delivery-status" in m]

    def check_bounce(self, recipient, status):
        before = len(self.bounces("bob@example.test"))
        self.platform.submit("bob@example.test", [recipient],
                             test_message("will fail", sender="bob@example.test", to=recipient,
                                          message_id=f"<fails-{recipient}>"))
        wait_until(lambda: len(self.bounces("bob@example.test")) > before, 60, "a DSN for bob")
        raw = self.bounces("bob@example.test")[-1]
        self.assertTrue(raw.startswith(b"Return-Path: <>\r\n"))
        report = email.message_from_bytes(raw)
        self.assertEqual(report.get_content_type(), "multipart/report")
        text, machine, original = report.get_payload()
        self.assertEqual(text.get_content_type(), "text/plain")
        self.assertIn(recipient, text.get_payload())
        self.assertEqual(machine.get_content_type(), "message/delivery-status")
        per_message, per_recipient = machine.get_payload()[:2]
        self.assertEqual(per_message["Reporting-MTA"], "dns; mail.example.test")
        self.assertEqual(per_recipient["Action"], "failed")
        self.assertEqual(per_recipient["Final-Recipient"].split(";")[1].strip(), recipient)
        self.assertRegex(per_recipient["Status"], status)
        self.assertIn("fails-", str(original))
        return report

    def test_a_permanent_refusal_comes_back_as_a_dsn(self):
        self.check_bounce("nobody@example.net", r"^5\.1\.1$")

    def test_a_domain_with_a_null_mx_comes_back(self):
        self.check_bounce("x@null.example", r"^5\.1\.10$")

    def test_a_domain_that_does_not_exist_comes_back(self):
        self.check_bounce("x@nonexistent.example", r"^5\.1\.2$")

    def test_no_bounce_for_a_bounce(self):
        # Mail with a null reverse-path may only come from outside; a remote alias sends it on.
        address = f"away-{self.platform.kind}@example.test"
        self.platform.ctl("alias", "add", address, "nobody@example.net")
        with self.platform.smtp() as client:
            client.sendmail("", [address], test_message("null sender"))
        wait_until(lambda: self.platform.ctl("queue", "list", "--json") == [], 60, "empty queue")

    def test_an_alias_reaches_local_and_remote_targets(self):
        address = f"team-{self.platform.kind}@example.test"
        self.platform.ctl("alias", "add", address, "bob@example.test", "dave@example.net")
        subject = f"for the team {self.platform.kind}"
        with self.platform.smtp() as client:
            client.sendmail("x@elsewhere.example", [address], test_message(subject))
        needle = f"Subject: {subject}".encode()
        wait_until(lambda: any(needle in m for m in self.postfix.messages("dave")), 60,
                   lambda: "arrival at Postfix\n" + self.postfix.log())
        wait_until(lambda: sum(needle in m for m in
                               self.platform.messages("bob@example.test")) == 1, 60,
                   "arrival at bob")

    def test_an_api_send_arrives_locally_and_remotely_once(self):
        key = self.platform.ctl("key", "add", "--tenant", "demo", "--description", "app",
                                "--json")["secret"]
        send = Send(self.platform.ports().api, key)
        subject = f"by api {self.platform.kind}"
        raw = test_message(subject, sender="app@example.test").encode()
        recipients = ["alice@example.test", "carol@example.net"]
        first = send("app@example.test", recipients, raw, idempotency_key="k1" + subject)
        again = send("app@example.test", recipients, raw, idempotency_key="k1" + subject)
        self.assertEqual(first.message_id, again.message_id)
        self.assertFalse(first.duplicate)
        self.assertTrue(again.duplicate)
        needle = f"Subject: {subject}".encode()
        wait_until(lambda: any(needle in m for m in self.postfix.messages("carol")), 60,
                   lambda: "arrival at Postfix\n" + self.postfix.log())
        wait_until(lambda: any(needle in m for m in
                               self.platform.messages("alice@example.test")), 60, "at alice")
        self.assertEqual(sum(needle in m for m in self.platform.messages("alice@example.test")), 1)
        self.assertEqual(sum(needle in m for m in self.postfix.messages("carol")), 1)

    def test_an_api_send_is_refused_with_its_reason(self):
        key = self.platform.ctl("key", "add", "--tenant", "demo", "--description", "app",
                                "--json")["secret"]
        raw = test_message("refused").encode()
        good = dict(sender="app@example.test", to=["alice@example.test"], raw=raw)
        for name, credential, change, code in (
                ("no key", "", {}, "UNAUTHENTICATED"),
                ("wrong key", key + "x", {}, "UNAUTHENTICATED"),
                ("foreign sender", key, {"sender": "x@elsewhere.example"}, "PERMISSION_DENIED"),
                ("no recipient", key, {"to": []}, "INVALID_ARGUMENT"),
                ("malformed recipient", key, {"to": ["not an address"]}, "INVALID_ARGUMENT"),
                ("unknown recipient", key, {"to": ["nobody@example.test"]}, "NOT_FOUND"),
                ("bare LF", key, {"raw": b"Subject: x\n\nbody\n"}, "INVALID_ARGUMENT")):
            with self.subTest(name):
                arguments = dict(good, **change)
                with self.assertRaises(RpcError) as caught:
                    Send(self.platform.ports().api, credential)(
                        arguments["sender"], arguments["to"], arguments["raw"])
                self.assertEqual(caught.exception.code().name, code)

    def test_a_deferred_message_waits_and_is_cancelled_or_retried(self):
        self.dns.replace(self.dns.records + ["later.example. IN MX 10 nowhere.later.example.",
                                             "nowhere.later.example. IN A 127.0.0.78"])
        self.platform.submit("alice@example.test", ["x@later.example"], test_message("waits"))
        listed = wait_until(lambda: [m for m in self.platform.ctl("queue", "list", "--json")
                                     if m["recipients"][0]["address"] == "x@later.example"
                                     and m["recipients"][0]["attempts"] > 0],
                            60, "a deferred message in the queue")
        identifier = listed[0]["message_id"]
        shown = self.platform.ctl("queue", "show", identifier, "--json")
        self.assertEqual(shown["reverse_path"], "alice@example.test")
        self.platform.ctl("queue", "retry", identifier)
        self.platform.ctl("queue", "cancel", identifier)
        wait_until(lambda: identifier not in [m["message_id"] for m in
                                              self.platform.ctl("queue", "list", "--json")],
                   30, "the cancelled message is gone")

    def test_a_large_message_arrives_whole_in_both_directions(self):
        body = ("0123456789abcdef" * 4 + "\r\n") * 40_000  # about 2.6 MB
        raw = test_message(f"large {self.platform.kind}", body=body,
                           message_id=f"<large.{self.platform.kind}@example.test>")
        self.platform.submit("alice@example.test", ["bob@example.test", "carol@example.net"], raw)
        needle = f"Subject: large {self.platform.kind}".encode()
        found = wait_until(lambda: [m for m in self.platform.messages("bob@example.test")
                                    if needle in m], 60, "arrival at bob")
        self.assertTrue(found[0].endswith(raw.encode()))
        found = wait_until(lambda: [m for m in self.postfix.messages("carol") if needle in m], 60,
                           lambda: "arrival at Postfix\n" + self.postfix.log())
        self.assertTrue(found[0].endswith(body.replace("\r\n", "\n").encode()))


class ServeJourneyTest(Journey, unittest.TestCase):
    platform_class = ServePlatform


class SplitJourneyTest(Journey, unittest.TestCase):
    platform_class = SplitPlatform


class TwoPlatformsTest(unittest.TestCase):
    """Two Posthorns exchange mail through DNS."""

    def test_mail_travels_both_ways(self):
        first = ServePlatform(demo=False)
        second = ServePlatform(demo=False)
        dns = DnsServer(["one.example. IN MX 10 mx.one.example.", "mx.one.example. IN A 127.0.0.1",
                         "two.example. IN MX 10 mx.two.example.", "mx.two.example. IN A 127.0.0.1"])
        try:
            dns.start()
            for platform, other, name in ((first, second, "one"), (second, first, "two")):
                platform.config["hostname"] = f"mx.{name}.example"
                platform.config["dns"] = {"address": dns.address, "port": dns.port, "cache": "off"}
                platform.config["delivery"] = {"smtp_port": other.ports().listeners["mx"]}
            for platform, name in ((first, "one"), (second, "two")):
                platform.start()
                platform.passwords = {}
                platform.ctl("tenant", "add", name)
                platform.ctl("domain", "add", "--tenant", name, f"{name}.example")
                platform.add_account(f"user@{name}.example", "a-secret-word")
            for platform, other, here, there in ((first, second, "one", "two"),
                                                 (second, first, "two", "one")):
                platform.submit(f"user@{here}.example", [f"user@{there}.example"],
                                test_message(f"from {here}", sender=f"user@{here}.example"))
                messages = wait_for_messages(other, f"user@{there}.example", 1)
                self.assertIn(f"Subject: from {here}".encode(), messages[-1])
        finally:
            first.stop()
            second.stop()
            dns.stop()


if __name__ == "__main__":
    unittest.main()
