"""Daily reports to other domains about how TLS with their servers went (RFC 8460): counted by two
workers, sent once, to a mail server and a web server."""

import datetime
import email
import email.policy
import gzip
import json
import subprocess
import unittest

from tests.support.certificates import Authority
from tests.support.dns_server import DnsServer
from tests.support.https_server import PolicyServer, ReportServer
from tests.support.platform import SplitPlatform
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink

BOB = "bob@example.test"
FROM = "tls-reports@example.test"


def message(subject):
    return f"From: {BOB}\r\nTo: x@example.test\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()


class TlsReportsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        # Servers by address, all on one port: a good certificate, one that has expired, and none.
        good = cls.authority.issue("mx.good.example", "mx.dane.example")
        expired = cls.authority.issue("mx.expired.example", expired=True)
        cls.good = SmtpSink(certificate=good, address="127.0.0.1").start()
        port = cls.good.port
        cls.expired = SmtpSink(certificate=expired, address="127.0.0.2", port=port).start()
        cls.clear = SmtpSink(address="127.0.0.3", port=port).start()
        # Where reports go; its certificate is for another name, which is no reason to keep them.
        cls.inbox = SmtpSink(certificate=cls.authority.issue("elsewhere.example"),
                             address="127.0.0.4", port=port).start()
        cls.web = ReportServer(cls.authority.issue("reports.example"))
        cls.servers = [cls.good, cls.expired, cls.clear, cls.inbox]
        records = [
            "mx.good.example. IN A 127.0.0.1", "mx.expired.example. IN A 127.0.0.2",
            "mx.clear.example. IN A 127.0.0.3", "mx.inbox.example. IN A 127.0.0.4",
            "inbox.example. IN MX 10 mx.inbox.example.",
            # It would forbid the mail with the reports, and ask for reports about them.
            "_mta-sts.inbox.example. IN TXT \"v=STSv1; id=1;\"",
            "mta-sts.inbox.example. IN A 127.0.0.1",
            f"_{port}._tcp.mx.inbox.example. IN TLSA 3 0 1 {'00' * 32}",
            "_smtp._tls.inbox.example. IN TXT \"v=TLSRPTv1; rua=mailto:tls@inbox.example\"",
            "reports.example. IN A 127.0.0.1",
            "silent.example. IN MX 10 mx.good.example.",
            # One domain with servers that fail in several ways.
            "mixed.example. IN MX 10 mx.clear.example.",
            "mixed.example. IN MX 20 mx.misnamed.example.",
            "mixed.example. IN MX 30 mx.expired.example.",
            "mixed.example. IN MX 40 mx.good.example.",
            "mx.misnamed.example. IN A 127.0.0.1",
            "_mta-sts.mixed.example. IN TXT \"v=STSv1; id=1;\"",
            "mta-sts.mixed.example. IN A 127.0.0.1",
            "_smtp._tls.mixed.example. IN TXT \"v=TLSRPTv1; rua=mailto:tls@inbox.example\"",
            # Records that its certificate does not match, then another server without any.
            "dane.example. IN MX 10 mx.dane.example.",
            "mx.dane.example. IN A 127.0.0.1",
            f"_{port}._tcp.mx.dane.example. IN TLSA 3 0 1 {'11' * 32}",
            "_smtp._tls.dane.example. IN TXT "
            f"\"v=TLSRPTv1; rua=https://reports.example:{cls.web.port}/v1/tlsrpt\"",
        ]
        cls.policies = {
            "mixed.example": ["mx.clear.example", "mx.misnamed.example", "mx.expired.example",
                              "mx.good.example"],
            "inbox.example": ["mx.nobody.example"]}
        cls.policy_server = PolicyServer(cls.authority, {
            domain: "version: STSv1\r\nmode: enforce\r\n"
                    + "".join(f"mx: {name}\r\n" for name in names) + "max_age: 86400\r\n"
            for domain, names in cls.policies.items()})
        cls.dns = DnsServer(records, signed=True).start()
        cls.platform = SplitPlatform(dns=cls.dns, config={"delivery": {
            "smtp_port": port,
            "dnssec_trust_anchor_file": cls.dns.trust_anchor,
            "tls_ca_file": cls.authority.file,
            "mta_sts_port": cls.policy_server.port,
            "tls_reports": {"from": FROM, "organization_name": "Example Ltd",
                            "contact_info": "postmaster@example.test"}}}).start()
        cls.platform.add_account(FROM, "reports-secret")

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        for server in [*cls.servers, cls.web, cls.policy_server]:
            server.stop()
        cls.authority.remove()

    def sql(self, text):
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.platform.postgres.url(),
                        "-c", text], check=True, timeout=60)

    def reports(self, *domain):
        return {report["domain"]: report
                for report in self.platform.ctl("tls-reports", "list", *domain, "--json")}

    def logs(self):
        return json.dumps(self.reports(), indent=1) + "\n" + "\n".join(
            process.tail(60) for key, process in self.platform.processes.items()
            if key[0] in ("delivery", "queue"))

    def read(self, mail):
        parsed = email.message_from_bytes(mail.data, policy=email.policy.default)
        self.assertEqual(parsed.get_content_type(), "multipart/report")
        self.assertEqual(parsed.get_param("report-type"), "tlsrpt")
        text, attached = parsed.iter_parts()
        self.assertEqual(text.get_content_type(), "text/plain")
        self.assertEqual(attached.get_content_type(), "application/tlsrpt+gzip")
        return parsed, attached, json.loads(gzip.decompress(attached.get_content()))

    def test_what_was_counted_is_told_once(self):
        recipients = ["x@mixed.example", "x@dane.example", "x@silent.example"]
        for recipient in recipients:
            self.platform.submit(BOB, [recipient], message(f"to {recipient}"))
        # Mail for mixed.example goes to the only server that keeps the policy, after three that don't;
        # that for dane.example waits.
        wait_until(lambda: len(self.good.messages) >= 2, 90, lambda: "arrival\n" + self.logs())

        def failures(domain):
            return self.reports().get(domain, {}).get("failed", 0)

        wait_until(lambda: failures("mixed.example") >= 3 and failures("dane.example") >= 1
                   and self.reports().get("silent.example", {}).get("successful", 0) >= 1, 90,
                   lambda: "the counts\n" + self.logs())
        for listed in self.platform.ctl("queue", "list", "--json"):
            self.platform.ctl("queue", "cancel", listed["message_id"])
        # A report is made once its day is over; these days are over now.
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        refused = self.platform.ctl("tls-reports", "send", "--day", today, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("before today", refused.stderr)
        self.sql("UPDATE queue.tls_result SET day = day - 1; UPDATE queue.tls_report SET day = day - 1")
        days = {report["day"] for report in self.reports().values()}
        self.platform.ctl("tls-reports", "send")
        wait_until(lambda: {"mixed.example": "sent", "dane.example": "sent",
                            "silent.example": "not wanted"}
                   == {domain: report["state"] for domain, report in self.reports().items()}, 90,
                   lambda: "the reports are sent\n" + self.logs())

        # To the web server, for dane.example.
        path, content_type, content = self.web.posted[0]
        self.assertEqual((path, content_type), ("/v1/tlsrpt", "application/tlsrpt+gzip"))
        report = json.loads(gzip.decompress(content))
        (policy,) = report["policies"]
        self.assertEqual(policy["policy"]["policy-type"], "tlsa")
        self.assertEqual(policy["policy"]["policy-domain"], "mx.dane.example")
        self.assertEqual(policy["policy"]["policy-string"], ["3 0 1 " + "11" * 32])
        self.assertEqual(policy["summary"]["total-successful-session-count"], 0)
        self.assertEqual({failure["result-type"] for failure in policy["failure-details"]},
                         {"tlsa-invalid"})

        # By mail, for mixed.example.
        wait_until(lambda: self.inbox.messages, 60, lambda: "the report arrives\n" + self.logs())
        parsed, attached, report = self.read(self.inbox.messages[0])
        self.assertEqual(self.inbox.messages[0].recipients, ["RCPT TO:<tls@inbox.example>"])
        self.assertEqual(parsed["TLS-Report-Domain"], "mixed.example")
        self.assertEqual(parsed["TLS-Report-Submitter"], "example.test")
        self.assertEqual(parsed["From"], FROM)
        self.assertEqual(parsed["Subject"], "Report Domain: mixed.example Submitter: example.test "
                         f"Report-ID: <{report['report-id']}>")
        self.assertEqual(report["organization-name"], "Example Ltd")
        self.assertEqual(report["contact-info"], "postmaster@example.test")
        start = report["date-range"]["start-datetime"]
        self.assertIn(start[:10], days)
        self.assertEqual(report["date-range"]["end-datetime"], start[:10] + "T23:59:59Z")
        first = int(datetime.datetime.fromisoformat(start.replace("Z", "+00:00")).timestamp())
        self.assertTrue(attached.get_filename().startswith(
            f"example.test!mixed.example!{first}!{first + 86399}!"), attached.get_filename())
        by_type = {policy["policy"]["policy-type"]: policy for policy in report["policies"]}
        self.assertEqual(set(by_type), {"sts"})
        policy = by_type["sts"]
        self.assertEqual(policy["policy"]["policy-domain"], "mixed.example")
        self.assertEqual(policy["policy"]["mx-host"], self.policies["mixed.example"])
        self.assertEqual(policy["policy"]["policy-string"][:2], ["version: STSv1", "mode: enforce"])
        self.assertGreaterEqual(policy["summary"]["total-successful-session-count"], 1)
        found = {(failure["result-type"], failure["receiving-mx-hostname"], failure["receiving-ip"])
                 for failure in policy["failure-details"]}
        self.assertEqual(found, {
            ("starttls-not-supported", "mx.clear.example", "127.0.0.3"),
            ("certificate-host-mismatch", "mx.misnamed.example", "127.0.0.1"),
            ("certificate-expired", "mx.expired.example", "127.0.0.2")})
        self.assertEqual({failure["sending-mta-ip"] for failure in policy["failure-details"]},
                         {"127.0.0.1"})
        self.assertEqual(policy["summary"]["total-failure-session-count"],
                         sum(failure["failed-session-count"]
                             for failure in policy["failure-details"]))

        # Once, though both workers look for what is due; and nothing of it was counted.
        self.assertIn("0 reports", self.platform.ctl("tls-reports", "send"))
        self.assertEqual((len(self.inbox.messages), len(self.web.posted)), (1, 1))
        self.assertNotIn("inbox.example", self.reports())


if __name__ == "__main__":
    unittest.main()
