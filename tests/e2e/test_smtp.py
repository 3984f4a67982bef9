"""SMTP typed by hand, and the relay rules, on a running platform."""

import re
import smtplib
import socket
import subprocess
import unittest

from tests.support.platform import ServePlatform, test_message, wait_for_messages


class Telnet:
    """A dialogue typed by hand: lines out, reply lines in."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode().rstrip("\r\n")
            if not line:
                raise EOFError("connection closed")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def type(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def say(self, line):
        self.type(line)
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class SmtpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform(trusted_networks=["127.0.0.9/32=demo"]).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def telnet(self, role="mx"):
        dialogue = Telnet(self.platform.ports().listeners[role])
        self.addCleanup(dialogue.close)
        self.assertTrue(dialogue.reply().startswith("220 "))
        return dialogue

    def test_a_dialogue_typed_by_hand_delivers(self):
        before = len(self.platform.messages("alice@example.test"))
        t = self.telnet()
        self.assertTrue(t.say("helo test").startswith("250"))
        self.assertTrue(t.say("mail from: a@b.example").startswith("250"))
        self.assertTrue(t.say("rcpt to: alice@example.test").startswith("250"))
        self.assertTrue(t.say("data").startswith("354"))
        t.type("Subject: typed by hand")
        answer = t.say(".")
        self.assertRegex(answer, r"^250 2\.0\.0 [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}$")
        self.assertTrue(t.say("quit").startswith("221"))
        messages = wait_for_messages(self.platform, "alice@example.test", before + 1)
        self.assertTrue(messages[-1].endswith(b"Subject: typed by hand\r\n"))

    def test_commands_without_a_transaction(self):
        t = self.telnet()
        self.assertTrue(t.say("EHLO client.test").startswith("250"))
        for command, code in (("NOOP", "250"), ("RSET", "250"), ("VRFY alice", "252"),
                              ("HELP", "214"), ("EXPN staff", "252"), ("VERB", "502"),
                              ("FOO", "500"), ("DATA", "503"),
                              ("RCPT TO:<alice@example.test>", "503")):
            self.assertEqual(t.say(command)[:3], code, command)

    def test_the_extensions_are_offered_where_they_are_in_force(self):
        t = self.telnet()
        answer = t.say("EHLO client.test")
        for word in ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS",
                     "SMTPUTF8", "CHUNKING", "BINARYMIME", "LIMITS RCPTMAX=1000"):
            self.assertRegex(answer, rf"(?m)^250[- ]{word}$")
        self.assertNotIn("AUTH", answer)
        answer = self.telnet("submission").say("EHLO client.test")
        self.assertIn("STARTTLS", answer)

    def test_never_an_open_relay(self):
        remote = "victim@remote.example"
        cases = [
            ("a remote recipient", "x@elsewhere.example", f"<{remote}>"),
            ("a forged local sender", "alice@example.test", f"<{remote}>"),
            ("a null sender", "", f"<{remote}>"),
            ("percent hack", "x@elsewhere.example", "<victim%remote.example@example.test>"),
            ("quoted address", "x@elsewhere.example", '<"victim@remote.example"@example.test>'),
            ("bang path", "x@elsewhere.example", "<remote.example!victim@example.test>"),
            ("source route", "x@elsewhere.example", f"<@example.test:{remote}>"),
        ]
        for name, sender, recipient in cases:
            with self.subTest(name):
                t = self.telnet()
                t.say("EHLO client.test")
                self.assertTrue(t.say(f"MAIL FROM:<{sender}>").startswith("250"))
                answer = t.say(f"RCPT TO:{recipient}")
                self.assertRegex(answer, r"^550 5\.(7\.1|1\.1) ")
                self.assertRegex(t.say("DATA"), r"^(503|554)")
        self.assertEqual(self.platform.ctl("queue", "list", "--json"), [])

    def test_not_a_relay_after_a_failed_login(self):
        t = self.telnet("submission")
        t.say("EHLO client.test")
        self.assertTrue(t.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==")
                        .startswith("535 5.7.8"))
        answer = t.say("MAIL FROM:<alice@example.test>")
        if answer.startswith("250"):
            answer = t.say("RCPT TO:<victim@remote.example>")
        self.assertRegex(answer, r"^5[35]0 5\.7\.")
        self.assertEqual(self.platform.ctl("queue", "list", "--json"), [])

    def test_an_account_may_not_send_as_somebody_else(self):
        with self.platform.smtp("submissions") as client:
            client.login("alice@example.test", "alice-secret")
            with self.assertRaises((smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused)):
                client.sendmail("bob@example.test", ["alice@example.test"],
                                test_message("forged"))

    def test_smuggling_is_refused_and_stores_nothing(self):
        for name, ending in (("bare LF", b"\n.\n"), ("LF dot CRLF", b"\n.\r\n"),
                             ("CR dot CR", b"\r.\r"), ("CRLF dot LF", b"\r\n.\n")):
            with self.subTest(name):
                before = len(self.platform.messages("bob@example.test"))
                t = self.telnet()
                t.say("EHLO client.test")
                t.say("MAIL FROM:<x@elsewhere.example>")
                t.say("RCPT TO:<bob@example.test>")
                t.say("DATA")
                t.socket.sendall(b"Subject: one\r\n\r\nfirst" + ending +
                                 b"MAIL FROM:<evil@elsewhere.example>\r\n"
                                 b"RCPT TO:<bob@example.test>\r\nDATA\r\nSubject: two\r\n\r\n.\r\n")
                self.assertTrue(t.reply().startswith("550 5.6.11"))
                self.assertTrue(t.say("NOOP").startswith("250"))
                self.assertEqual(len(self.platform.messages("bob@example.test")), before)

    def test_clear_text_does_not_survive_starttls(self):
        t = self.telnet()
        t.say("EHLO client.test")
        # In one piece with STARTTLS it is refused; a moment later nobody reads it.
        t.socket.sendall(b"STARTTLS\r\nNOOP\r\n")
        self.assertTrue(t.reply().startswith("554 5.5.0"))
        t = self.telnet()
        t.say("EHLO client.test")
        self.assertTrue(t.say("STARTTLS").startswith("220"))
        t.socket.sendall(b"NOOP\r\n")
        import ssl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        secure = context.wrap_socket(t.socket, suppress_ragged_eofs=True)
        secure.settimeout(1)
        with self.assertRaises((socket.timeout, TimeoutError, ssl.SSLError)):
            self.assertEqual(secure.recv(100), b"", "an answer to the injected NOOP")
            raise TimeoutError
        secure.close()

    def test_auth_needs_tls(self):
        platform = self.platform
        with platform.smtp("mx") as client:
            client.ehlo()
            self.assertEqual(client.docmd("AUTH", "PLAIN AGEAYg==")[0] // 100, 5)

    def test_a_message_over_the_size_limit_is_refused(self):
        with self.platform.smtp() as client:
            client.ehlo()
            code, text = client.docmd("MAIL", "FROM:<a@b.example> SIZE=52428801")
            self.assertEqual((code, text[:5]), (552, b"5.3.4"))

    def test_a_trusted_network_may_relay_for_its_tenant(self):
        client = socket.socket()
        client.bind(("127.0.0.9", 0))
        client.connect(("127.0.0.1", self.platform.ports().listeners["mx"]))
        file = client.makefile("rwb")

        def say(line=None):
            if line:
                file.write(line + b"\r\n")
                file.flush()
            answer = file.readline()
            return answer.decode()
        say()
        self.assertTrue(say(b"HELO app").startswith("250"))
        self.assertTrue(say(b"MAIL FROM:<app@example.test>").startswith("250"))
        self.assertTrue(say(b"RCPT TO:<someone@unreachable.example>").startswith("250"))
        self.assertTrue(say(b"QUIT").startswith("221"))
        file.close()
        client.close()

    def test_lmtp_answers_for_each_recipient(self):
        t = self.telnet("lmtp")
        self.assertTrue(t.say("LHLO client.test").startswith("250"))
        t.say("MAIL FROM:<x@elsewhere.example>")
        self.assertTrue(t.say("RCPT TO:<alice@example.test>").startswith("250"))
        self.assertTrue(t.say("RCPT TO:<nobody@example.test>").startswith("550 5.1.1"))
        self.assertTrue(t.say("RCPT TO:<bob@example.test>").startswith("250"))
        t.say("DATA")
        t.type("Subject: lmtp\r\n\r\nx")
        answers = [t.say("."), t.reply()]
        for answer in answers:
            self.assertTrue(answer.startswith("250 2."), answer)

    def test_swaks_sends_over_starttls_with_a_login(self):
        before = len(self.platform.messages("bob@example.test"))
        result = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port",
             str(self.platform.ports().listeners["submission"]), "-tls", "--auth", "PLAIN",
             "--auth-user", "alice@example.test", "--auth-password", "alice-secret",
             "--from", "alice@example.test", "--to", "bob@example.test",
             "--header", "Subject: from swaks"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout)
        messages = wait_for_messages(self.platform, "bob@example.test", before + 1)
        self.assertIn(b"Subject: from swaks", messages[-1])
        self.assertRegex(messages[-1].decode(), r"(?s)^Return-Path: <alice@example\.test>\r\n"
                         r".*Received: .*with ESMTPSA")


if __name__ == "__main__":
    unittest.main()
