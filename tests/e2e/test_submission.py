"""Submission by real clients: swaks, curl, msmtp, nodemailer, Postfix and Python's smtplib, each
with STARTTLS and over TLS from the start; and what a submission server does to a message."""

import os
import re
import shutil
import smtplib
import subprocess
import time
import unittest

from tests.support.platform import ServePlatform, _unverified, wait_for_messages
from tests.support.postfix import Postfix
from tests.support.processes import remove_directory, temporary_directory, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SENDER = "alice@example.test"
PASSWORD = "alice-secret"
RECIPIENTS = ["alice@example.test", "bob@example.test"]
TEXT = "Gr\u00fc\u00dfe aus K\u00f6ln \u2713\r\n.\r\n..dots\r\n"


def message(subject, octets=0, extra=""):
    """Complete, 8-bit, with a Bcc, and at least `octets` long."""
    header = (f"From: Alice <{SENDER}>\r\nTo: Bob <bob@example.test>\r\nBcc: {SENDER}\r\n{extra}"
              f"Subject: {subject}\r\nDate: {time.strftime('%a, %d %b %Y %H:%M:%S +0000')}\r\n"
              f"Message-ID: <{subject}@client.test>\r\nMIME-Version: 1.0\r\n"
              "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
    line = "Zeile um Zeile, \u00e4hnlich genug, doch nie ganz gleich: %08d\r\n"
    body = TEXT + "".join(line % n for n in range(octets // len(line)))
    return (header + body).encode()


class Submission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("clients")
        cls.platform = ServePlatform(config=cls.configuration()).start()
        cls.ports = cls.platform.ports().listeners

    @classmethod
    def configuration(cls):
        return None

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        remove_directory(cls.directory)

    def find(self, login, subject, timeout=60):
        """The one message with this subject."""
        def look():
            client = self.platform.imap(login)
            try:
                client.select("INBOX", readonly=True)
                _, data = client.uid("SEARCH", "SUBJECT", f'"{subject}"')
                uids = data[0].split()
                if not uids:
                    return None
                self.assertEqual(len(uids), 1, subject)
                return client.uid("FETCH", uids[0].decode(), "(BODY.PEEK[])")[1][0][1]
            finally:
                client.logout()
        return wait_until(look, timeout, f"{subject} for {login}", interval=0.2)

    def write(self, name, data):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def run_client(self, *command, stdin=None, environment=None):
        result = subprocess.run(command, input=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=120, cwd=self.directory,
                                env={**os.environ, **(environment or {})})
        self.assertEqual(result.returncode, 0, result.stdout.decode("utf-8", "replace")[-2000:])


class RealClientsTest(Submission):
    def send_and_compare(self, client, send):
        """`send(implicit, data)` hands `data` to the client, in both ways of TLS."""
        for implicit in (False, True):
            for size in (0, 1_200_000):
                subject = f"{client}-{'implicit' if implicit else 'starttls'}-{size}"
                with self.subTest(subject):
                    data = message(subject, size)
                    send(implicit, data)
                    for login in RECIPIENTS:
                        self.compare(self.find(login, subject), data)

    def compare(self, received, sent):
        header, body = received.split(b"\r\n\r\n", 1)
        sent_header, sent_body = sent.split(b"\r\n\r\n", 1)
        self.assertTrue(body == sent_body, "the body changed")
        self.assertNotRegex(header, rb"(?im)^bcc:")
        for field in sent_header.split(b"\r\n"):
            if not field.startswith(b"Bcc:"):
                self.assertIn(field, header.split(b"\r\n"))
        # Added by nobody, as the client has written them.
        for name in (b"Date", b"From", b"Message-ID", b"Sender"):
            self.assertEqual(len(re.findall(rb"(?im)^" + name + b":", header)), name != b"Sender")
        self.assertRegex(header, rb"by mail\.example\.test \(Posthorn\) with ESMTPSA id "
                                 rb"[0-9a-f-]{36}\r\n\ttls TLS_\S+ \(TLSv1\.[23]\);\r\n")

    def port(self, implicit):
        return self.ports["submissions" if implicit else "submission"]

    def test_swaks(self):
        def send(implicit, data):
            # As it goes over the wire: swaks would add an empty line of its own.
            data = re.sub(rb"(?m)^\.", b"..", data) + b"."
            self.run_client("swaks", "--server", "127.0.0.1", "--port", str(self.port(implicit)),
                            "--tls-on-connect" if implicit else "--tls", "--auth", "PLAIN",
                            "--auth-user", SENDER, "--auth-password", PASSWORD, "--from", SENDER,
                            "--to", ",".join(RECIPIENTS), "--helo", "client.test", "--silent", "2",
                            "--no-data-fixup", "--data", "@" + self.write("swaks.eml", data))
        self.send_and_compare("swaks", send)

    def test_curl(self):
        def send(implicit, data):
            scheme = "smtps" if implicit else "smtp"
            recipients = [part for address in RECIPIENTS for part in ("--mail-rcpt", address)]
            self.run_client("curl", "-sS", "-k", "--ssl-reqd", "--max-time", "60",
                            f"{scheme}://127.0.0.1:{self.port(implicit)}/client.test",
                            "--user", f"{SENDER}:{PASSWORD}", "--mail-from", SENDER, *recipients,
                            "--upload-file", self.write("curl.eml", data))
        self.send_and_compare("curl", send)

    def test_msmtp(self):
        def send(implicit, data):
            config = self.write("msmtprc", f"""account default
host 127.0.0.1
port {self.port(implicit)}
domain client.test
tls on
tls_starttls {'off' if implicit else 'on'}
tls_certcheck off
auth plain
user {SENDER}
password {PASSWORD}
from {SENDER}
""".encode())
            os.chmod(config, 0o600)
            self.run_client("msmtp", "-C", config, *RECIPIENTS,
                            stdin=data.replace(b"\r\n", b"\n"))
        self.send_and_compare("msmtp", send)

    def test_nodemailer(self):
        # npm reads the lock file beside the tests: the same versions everywhere.
        for name in ("package.json", "package-lock.json", "send.mjs"):
            shutil.copy(os.path.join(ROOT, "tests/e2e/nodemailer", name), self.directory)
        self.run_client("npm", "ci", "--silent", "--no-audit", "--no-fund")

        def send(implicit, data):
            self.run_client("node", "send.mjs", str(self.port(implicit)),
                            "implicit" if implicit else "starttls", SENDER, PASSWORD, *RECIPIENTS,
                            stdin=data)
        self.send_and_compare("nodemailer", send)

    def test_smtplib(self):
        def send(implicit, data):
            with self.platform.smtp("submissions" if implicit else "submission") as client:
                if not implicit:
                    client.starttls(context=_unverified())
                client.login(SENDER, PASSWORD)
                client.sendmail(SENDER, RECIPIENTS, data, ["BODY=8BITMIME"])
        self.send_and_compare("smtplib", send)

    def test_postfix(self):
        relays = {}

        def send(implicit, data):
            if implicit not in relays:
                passwords = self.write("sasl_passwd", f"[127.0.0.1]:{self.port(implicit)} "
                                                      f"{SENDER}:{PASSWORD}\n".encode())
                relays[implicit] = Postfix("elsewhere.example", ["nobody"], settings={
                    "relayhost": f"[127.0.0.1]:{self.port(implicit)}",
                    "smtp_tls_security_level": "encrypt",
                    "smtp_tls_wrappermode": "yes" if implicit else "no",
                    "smtp_sasl_auth_enable": "yes",
                    "smtp_sasl_password_maps": f"texthash:{passwords}",
                    "smtp_sasl_security_options": "noanonymous",
                    "maximal_queue_lifetime": "0",
                }).start()
                self.addCleanup(relays[implicit].stop)
            with smtplib.SMTP("127.0.0.1", relays[implicit].port, timeout=60) as client:
                client.sendmail(SENDER, RECIPIENTS, data, ["BODY=8BITMIME"])
        self.send_and_compare("postfix", send)


class SubmissionPolicyTest(Submission):
    def submit(self, data, sender=SENDER, recipients=("bob@example.test",)):
        self.platform.submit(SENDER, list(recipients), data, sender=sender)

    def test_a_bare_message_is_completed(self):
        self.submit(b"Subject: bare\r\n\r\nno more than that\r\n")
        received = self.find("bob@example.test", "bare")
        header = received.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        self.assertRegex(header, rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n")
        self.assertRegex(header, rb"\r\nFrom: alice@example\.test\r\n")
        self.assertRegex(header, rb"\r\nMessage-ID: <[0-9a-f-]{36}@mail\.example\.test>\r\n")
        self.assertTrue(received.endswith(b"\r\n\r\nno more than that\r\n"))

    def test_mail_from_other_servers_is_left_alone(self):
        data = b"Subject: untouched\r\nBcc: x@y.example\r\n\r\nas it came\r\n"
        with self.platform.smtp("mx") as client:
            client.sendmail("x@elsewhere.example", ["bob@example.test"], data)
        self.assertTrue(self.find("bob@example.test", "untouched").endswith(b"\r\n" + data))

    def test_from_must_be_the_accounts_own(self):
        self.platform.ctl("alias", "add", "sales@example.test", SENDER)
        self.submit(b"From: Sales <sales@example.test>\r\nSubject: as an alias\r\n\r\n")
        self.find("bob@example.test", "as an alias")
        for author in (b"bob@example.test", b"ceo@other.example",
                       b"alice@example.test, bob@example.test",
                       b"alice@example.test <bob@example.test>"):
            with self.assertRaises(smtplib.SMTPDataError) as refused:
                self.submit(b"From: " + author + b"\r\nSubject: forged\r\n\r\n")
            self.assertEqual(refused.exception.smtp_code, 550)
            self.assertTrue(refused.exception.smtp_error.startswith(b"5.7.1 From "))

    def test_a_resend_after_a_lost_reply_is_stored_once(self):
        # As received there is a Message-ID and no Date: what is completed differs each time.
        data = b"Subject: once\r\nMessage-ID: <once@client.test>\r\nBcc: x@y\r\n\r\nx\r\n"
        for _ in range(2):
            self.submit(data)
        self.submit(data + b"more\r\n")
        wait_until(lambda: len([m for m in self.platform.messages("bob@example.test")
                                if b"Subject: once" in m]) >= 2, 60, "both messages")
        time.sleep(1)
        self.assertEqual(len([m for m in self.platform.messages("bob@example.test")
                              if b"Subject: once" in m]), 2)


class RewriteTest(Submission):
    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("clients")
        cls.platform = ServePlatform()
        for listener in cls.platform.config["gateway"]["smtp_listeners"]:
            listener["from_policy"] = "rewrite"
            listener["bare_newlines"] = "normalize"
        cls.platform.start()
        cls.ports = cls.platform.ports().listeners

    def test_sender_names_the_account(self):
        self.platform.submit(SENDER, ["bob@example.test"],
                             b"From: CEO <ceo@other.example>\r\nSubject: on behalf\r\n\r\n")
        received = self.find("bob@example.test", "on behalf")
        self.assertIn(b"\r\nFrom: CEO <ceo@other.example>\r\n", received)
        self.assertIn(b"\r\nSender: alice@example.test\r\n", received)

    def test_bare_newlines_are_never_passed_on(self):
        with self.platform.smtp("mx") as client:
            client.ehlo()
            client.mail("x@elsewhere.example")
            client.rcpt("bob@example.test")
            self.assertEqual(client.docmd("DATA")[0], 354)
            client.send(b"Subject: bare\r\n\r\none\ntwo\rthree\n.\r\nfour\r\n.\r\n")
            self.assertEqual(client.getreply()[0], 250)
        self.assertTrue(self.find("bob@example.test", "bare").endswith(
            b"\r\n\r\none\r\ntwo\r\nthree\r\n.\r\nfour\r\n"))


class LoopTest(Submission):
    MESSAGE = b"Delivered-To: Alice@example.test\r\nSubject: round and round\r\n\r\n"

    def deliver(self, recipients):
        with self.platform.smtp("mx") as client:
            client.sendmail("bob@example.test", recipients, self.MESSAGE)

    def test_a_message_that_comes_back_is_refused(self):
        with self.assertRaises(smtplib.SMTPDataError) as refused:
            self.deliver(["alice@example.test"])
        self.assertEqual(refused.exception.smtp_code, 554)
        self.assertTrue(refused.exception.smtp_error.startswith(b"5.4.6 "))

    def test_and_returned_where_others_take_it(self):
        self.platform.add_account("carol@example.test", "carol-secret")
        self.deliver(["alice@example.test", "carol@example.test"])
        self.find("carol@example.test", "round and round")
        bounce = wait_for_messages(self.platform, "bob@example.test", 1)[0]
        self.assertIn(b"alice@example.test", bounce)
        self.assertIn(b"5.4.6", bounce)
        self.assertEqual(self.platform.messages("alice@example.test"), [])


if __name__ == "__main__":
    unittest.main()
