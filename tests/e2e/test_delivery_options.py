"""What senders ask for with ESMTP parameters, honoured by queue and delivery, with Postfix as the
server that offers or lacks the extensions. DSNs are read by Python's email package."""

import email
import email.policy
import re
import ssl
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform
from tests.support.postfix import Postfix
from tests.support.processes import wait_until
from tests.support.queue_client import DeliverBy, Envelope, Queue, at

BOB = "bob@example.test"


def message(subject, body="Hello.\r\n", fields=""):
    return (f"From: {BOB}\r\nTo: x@example.test\r\nSubject: {subject}\r\n{fields}"
            f"\r\n{body}").encode()


class DeliveryOptionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # "able" offers what Postfix can; "plain" is an old server.
        cls.able = Postfix("able.example", ["carol"], address="127.0.0.1").start()
        cls.plain = Postfix("plain.example", ["dave"], address="127.0.0.2", port=cls.able.port,
                            settings={"smtpd_discard_ehlo_keywords":
                                      "dsn, 8bitmime, smtputf8, chunking"}).start()
        cls.dns = DnsServer([
            "able.example. IN MX 10 mx.able.example.", "mx.able.example. IN A 127.0.0.1",
            "plain.example. IN MX 10 mx.plain.example.", "mx.plain.example. IN A 127.0.0.2",
            "dead.example. IN MX 10 mx.dead.example.", "mx.dead.example. IN A 127.0.0.77",
        ]).start()
        cls.platform = SplitPlatform(
            dns=cls.dns, config={"delivery": {"smtp_port": cls.able.port},
                                 "queue": {"max_hold_seconds": 3600}}).start()
        cls.queue = Queue(cls.platform)

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.plain.stop()
        cls.able.stop()

    def notifications(self, marker):
        """DSNs of messages whose subject has `marker`, parsed."""
        return [email.message_from_bytes(raw, policy=email.policy.default)
                for raw in self.platform.messages(BOB)
                if b"report-type=delivery-status" in raw and marker.encode() in raw]

    def notification(self, marker, action):
        found = wait_until(lambda: self.notifications(marker), 60,
                           lambda: f"a DSN of {marker}\n" + self.able.log() + self.plain.log())
        self.assertEqual(len(found), 1)
        report = found[0]
        self.assertEqual(report["Return-Path"], "<>")
        for part in report.walk():
            self.assertEqual(part.defects, [])
        status = report.get_payload()[1].get_payload()
        self.assertEqual(status[1]["Action"], action)
        return report, status[0], status[1]

    def settled(self):
        wait_until(lambda: self.platform.ctl("queue", "list", "--json") == [], 60, "empty queue")

    def received(self, postfix, user, marker):
        return wait_until(lambda: [m for m in postfix.messages(user) if marker.encode() in m], 60,
                          lambda: f"arrival of {marker}\n" + postfix.log())[0]

    def test_success_in_a_mailbox_is_told(self):
        self.queue.enqueue(BOB, ["alice@example.test"], message("told-success"),
                           Envelope(envelope_id="QQ 1+1"), notify=["SUCCESS"],
                           orcpt="rfc822;Alias@example.test")
        _, head, recipient = self.notification("told-success", "delivered")
        self.assertEqual(head["Original-Envelope-Id"], "QQ 1+1")
        self.assertEqual(head["Reporting-MTA"], "dns; mail.example.test")
        self.assertEqual(recipient["Original-Recipient"], "rfc822; Alias@example.test")
        self.assertEqual(recipient["Final-Recipient"], "rfc822; alice@example.test")
        self.assertEqual(recipient["Status"], "2.0.0")

    def test_a_server_without_dsn_is_a_relay(self):
        self.queue.enqueue(BOB, ["dave@plain.example"], message("told-relayed"),
                           notify=["SUCCESS", "FAILURE"])
        report, _, recipient = self.notification("told-relayed", "relayed")
        self.assertIn("taken by the mail servers", report.get_payload()[0].get_content())
        self.assertIn("mx.plain.example", recipient["Remote-MTA"])
        self.assertNotIn("NOTIFY", self.plain.log())

    def test_a_server_with_dsn_is_asked_instead(self):
        self.queue.enqueue(BOB, ["carol@able.example"], message("asked-success"),
                           Envelope(envelope_id="QQ2"), notify=["SUCCESS"])
        self.received(self.able, "carol", "asked-success")
        # Postfix sends the notification itself, to a domain that it can't find.
        wait_until(lambda: re.search("sender delivery status notification", self.able.log()), 30,
                   lambda: "Postfix's notification\n" + self.able.log())
        self.settled()
        self.assertEqual(self.notifications("asked-success"), [])

    def test_never_means_never(self):
        self.queue.enqueue(BOB, ["nobody@able.example"], message("never-told"), notify=["NEVER"])
        self.queue.enqueue(BOB, ["nobody@able.example"], message("told-failure"))
        self.notification("told-failure", "failed")
        self.settled()
        self.assertEqual(self.notifications("never-told"), [])

    def test_full_returns_the_message(self):
        self.queue.enqueue(BOB, ["nobody@able.example"], message("full-return", "the body\r\n"),
                           Envelope(ret=Envelope.RET_FULL))
        report, _, recipient = self.notification("full-return", "failed")
        self.assertEqual(recipient["Status"], "5.1.1")
        self.assertIn("no such mailbox", report.get_payload()[0].get_content())
        original = report.get_payload()[2]
        self.assertEqual(original.get_content_type(), "message/rfc822")
        self.assertIn("the body", original.get_payload()[0].get_payload())

    def test_headers_only_is_the_default(self):
        self.queue.enqueue(BOB, ["nobody@able.example"], message("only-headers", "secret\r\n"))
        report, _, _ = self.notification("only-headers", "failed")
        self.assertEqual(report.get_payload()[2].get_content_type(), "text/rfc822-headers")
        self.assertNotIn("secret", str(report))

    def test_8bit_goes_as_it_is_or_rewritten(self):
        body = message("octets", "gr\u00fc\u00dfe\r\n", "MIME-Version: 1.0\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\n"
                       "Content-Transfer-Encoding: 8bit\r\n")
        self.queue.enqueue(BOB, ["carol@able.example", "dave@plain.example"], body, is_8bit=True)
        self.assertIn("gr\u00fc\u00dfe".encode(), self.received(self.able, "carol", "octets"))
        rewritten = self.received(self.plain, "dave", "octets")
        self.assertTrue(rewritten.isascii())
        parsed = email.message_from_bytes(rewritten, policy=email.policy.default)
        self.assertEqual(parsed["Content-Transfer-Encoding"], "quoted-printable")
        self.assertEqual(parsed.get_content(), "gr\u00fc\u00dfe\n")

    def test_binary_goes_rewritten_to_a_server_without_it(self):
        octets = bytes(range(256)) * 3
        body = message("binary", "", "MIME-Version: 1.0\r\nContent-Type: image/png\r\n"
                       "Content-Transfer-Encoding: binary\r\n") + octets
        self.queue.enqueue(BOB, ["carol@able.example"], body, Envelope(body_is_binary=True))
        parsed = email.message_from_bytes(self.received(self.able, "carol", "binary"))
        self.assertEqual(parsed.get_payload(decode=True), octets)

    def test_chunking_is_used_where_it_is_offered(self):
        lines = "".join(f".line {i}\r\n" for i in range(2000))
        self.queue.enqueue(BOB, ["carol@able.example", "dave@plain.example"],
                           message("chunks", lines))
        for postfix, user in ((self.able, "carol"), (self.plain, "dave")):
            self.assertIn(lines.replace("\r\n", "\n").encode(),
                          self.received(postfix, user, "chunks"))
        wait_until(lambda: re.search(r"disconnect.* bdat=", self.able.log()), 30,
                   lambda: "BDAT in the log\n" + self.able.log())
        self.assertNotIn("bdat=", self.plain.log())

    def test_utf8_needs_a_server_that_takes_it(self):
        body = message("utf8-header", fields="X-Name: j\u00fcrgen\r\n")
        self.queue.enqueue(BOB, ["carol@able.example"], body, Envelope(smtputf8=True))
        self.received(self.able, "carol", "utf8-header")
        body = message("utf8-refused", fields="X-Name: j\u00fcrgen\r\n")
        self.queue.enqueue(BOB, ["dave@plain.example"], body, Envelope(smtputf8=True))
        report, _, recipient = self.notification("utf8-refused", "failed")
        self.assertEqual(recipient["Status"], "5.6.7")
        self.assertIn("international addresses", report.get_payload()[0].get_content())

    def test_required_tls_is_never_given_up(self):
        self.queue.enqueue(BOB, ["carol@able.example"], message("protected", "secret\r\n"),
                           Envelope(require_tls=True, ret=Envelope.RET_FULL))
        report, _, recipient = self.notification("protected", "failed")
        self.assertEqual(recipient["Status"], "5.7.30")
        self.assertNotIn("secret", str(report))
        self.assertFalse(any(b"protected" in m for m in self.able.messages("carol")))

    def test_a_held_message_waits_and_can_be_cancelled(self):
        kept = self.queue.enqueue(BOB, ["carol@able.example"], message("held-kept"),
                                  Envelope(hold_until=at(4)))
        gone = self.queue.enqueue(BOB, ["carol@able.example"], message("held-gone"),
                                  Envelope(hold_until=at(1800)))
        listed = {m["message_id"]: m for m in self.platform.ctl("queue", "list", "--json")}
        self.assertIn(gone, listed)
        self.assertIn("hold_until", listed[gone]["options"])
        self.assertEqual(listed[gone]["recipients"][0]["state"], "queued")
        self.platform.ctl("queue", "cancel", gone)
        if kept in listed:
            self.assertFalse(any(b"held-kept" in m for m in self.able.messages("carol")))
        self.received(self.able, "carol", "held-kept")
        self.settled()
        self.assertFalse(any(b"held-gone" in m for m in self.able.messages("carol")))
        with self.assertRaisesRegex(ValueError, "held too long"):
            self.queue.enqueue(BOB, ["carol@able.example"], message("x"),
                               Envelope(hold_until=at(3700)))

    def test_deliver_by_returns_or_tells(self):
        self.queue.enqueue(BOB, ["x@dead.example"], message("by-return"), Envelope(
            deliver_by=DeliverBy(by=at(3), mode=DeliverBy.MODE_RETURN)))
        told = self.queue.enqueue(BOB, ["x@dead.example"], message("by-notify"), Envelope(
            deliver_by=DeliverBy(by=at(3), mode=DeliverBy.MODE_NOTIFY)))
        _, _, recipient = self.notification("by-return", "failed")
        self.assertEqual(recipient["Status"], "5.4.7")
        _, _, recipient = self.notification("by-notify", "delayed")
        self.assertEqual(recipient["Status"], "4.4.7")
        self.assertIn(told, [m["message_id"] for m in self.platform.ctl("queue", "list", "--json")])
        self.platform.ctl("queue", "cancel", told)

    def submit(self, subject, to, mail=(), rcpt=()):
        """With ESMTP parameters; the message id that the server names."""
        with self.platform.smtp("submission") as client:
            client.starttls(context=ssl._create_unverified_context())
            client.login(BOB, self.platform.passwords[BOB])
            self.assertEqual(client.mail(BOB, list(mail))[0], 250)
            self.assertEqual(client.rcpt(to, list(rcpt))[0], 250)
            code, text = client.data(message(subject))
            self.assertEqual(code, 250)
            return text.decode().split()[1]

    def options_of(self, identifier):
        return next(m["options"] for m in self.platform.ctl("queue", "list", "--json")
                    if m["message_id"] == identifier)

    def test_submission_offers_what_is_honoured(self):
        with self.platform.smtp("submission") as client:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo()
            for keyword in ("dsn", "requiretls", "futurerelease", "mt-priority", "deliverby"):
                self.assertTrue(client.has_extn(keyword), keyword)

    def test_submitted_dsn_parameters_reach_the_notification(self):
        self.submit("smtp-success", "alice@example.test", ["RET=HDRS", "ENVID=QQ+2B5"],
                    ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Al+2Bx@example.test"])
        _, head, recipient = self.notification("smtp-success", "delivered")
        self.assertEqual(head["Original-Envelope-Id"], "QQ+5")
        self.assertEqual(recipient["Original-Recipient"], "rfc822; Al+x@example.test")

    def test_submitted_required_tls_is_never_given_up(self):
        self.submit("smtp-protected", "carol@able.example", ["REQUIRETLS"])
        _, _, recipient = self.notification("smtp-protected", "failed")
        self.assertEqual(recipient["Status"], "5.7.30")

    def test_a_submission_can_be_held_and_cancelled(self):
        identifier = self.submit("smtp-held", "carol@able.example", ["HOLDFOR=1800"])
        self.assertIn("hold_until", self.options_of(identifier))
        self.platform.ctl("queue", "cancel", identifier)
        self.settled()
        self.assertFalse(any(b"smtp-held" in m for m in self.able.messages("carol")))

    def test_a_submission_may_have_a_deadline_and_a_priority(self):
        self.submit("smtp-by", "x@dead.example", ["BY=3;R"])
        _, _, recipient = self.notification("smtp-by", "failed")
        self.assertEqual(recipient["Status"], "5.4.7")
        identifier = self.submit("smtp-priority", "x@dead.example", ["MT-PRIORITY=3"])
        self.assertEqual(int(self.options_of(identifier)["priority"]), 3)
        self.platform.ctl("queue", "cancel", identifier)


if __name__ == "__main__":
    unittest.main()
