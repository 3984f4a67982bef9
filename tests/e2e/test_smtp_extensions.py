"""CHUNKING, SMTPUTF8, the PROXY protocol and XCLIENT on a running platform, and what stops on
SIGTERM."""

import os
import signal
import socket
import struct
import unittest
from email.message import EmailMessage
from email.policy import SMTPUTF8

from tests.support.processes import wait_until
from tests.support.platform import ServePlatform, test_message, wait_for_messages

BALANCER = "127.0.0.7"
MAIL_PROXY = "127.0.0.8"


class Client:
    """An SMTP client that writes octets as they are."""

    def __init__(self, port, source="127.0.0.1", first=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30,
                                               source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        if first:
            self.socket.sendall(first)

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode()
            if not line:
                raise EOFError("connection closed")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, octets):
        self.socket.sendall(octets)

    def say(self, line):
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def proxy_v2(source, port, command=0x21, tlv=b""):
    """A version 2 header for a client with an IPv4 address."""
    addresses = (socket.inet_aton(source) + socket.inet_aton("127.0.0.1") +
                 struct.pack("!HH", port, 25) + tlv)
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x11]) +
            struct.pack("!H", len(addresses)) + addresses)


class SmtpExtensionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform(listener_options={
            "mx": {"proxy_networks": [BALANCER], "xclient_networks": [MAIL_PROXY],
                   "hostname": "in.example.test"},
            "imap": {"proxy_networks": [BALANCER]}}).start()
        cls.platform.ctl("domain", "add", "--tenant", "demo", "bücher.test")
        cls.platform.add_account("dömi@bücher.test", "doemi-secret")

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def client(self, **options):
        client = Client(self.platform.ports().listeners["mx"], **options)
        self.addCleanup(client.close)
        return client

    def stored(self, subject, account="alice@example.test"):
        """The only message with this subject."""
        def found():
            return [m for m in self.platform.messages(account)
                    if f"Subject: {subject}".encode() in m]
        self.assertEqual(len(found()), 1, subject)
        return found()[0]

    def test_chunks_are_stored_octet_by_octet(self):
        c = self.client()
        self.assertTrue(c.reply().startswith("220 in.example.test "))
        answer = c.say("EHLO client.test")
        self.assertIn("CHUNKING", answer)
        self.assertIn("BINARYMIME", answer)
        body = b".\r\n..dots\r\n" + bytes(range(256)) + b"\n\r bare \r\n" * 20000
        message = b"Subject: chunked\r\n\r\n" + body
        first, second = message[:70000], message[70000:]
        c.send(b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<alice@example.test>\r\n"
               b"BDAT %d\r\n" % len(first) + first +
               b"BDAT %d\r\n" % len(second) + second + b"BDAT 0 LAST\r\nQUIT\r\n")
        answers = [c.reply() for _ in range(6)]
        self.assertEqual([a[:3] for a in answers], ["250", "250", "250", "250", "250", "221"],
                         answers)
        self.assertRegex(answers[4], r"^250 2\.0\.0 [0-9a-f-]{36}$")
        self.assertTrue(self.stored("chunked").endswith(message))

    def test_data_and_chunks_do_not_mix(self):
        c = self.client()
        c.reply()
        c.say("EHLO client.test")
        c.say("MAIL FROM:<a@b.example>")
        c.say("RCPT TO:<alice@example.test>")
        self.assertTrue(c.say("BDAT 3\r\na").startswith("250"))
        self.assertTrue(c.say("DATA").startswith("503 5.5.1"))
        self.assertTrue(c.say("RSET").startswith("250"))
        # The octets of a refused chunk are no commands.
        self.assertTrue(c.say("BDAT 6 LAST\r\nQUIT").startswith("503 5.5.1"))
        self.assertTrue(c.say("NOOP").startswith("250"))

    def test_internationalised_mail_arrives_under_every_spelling(self):
        before = len(self.platform.messages("dömi@bücher.test"))
        for number, recipient in enumerate(("dömi@bücher.test", "DÖMI@xn--bcher-kva.test",
                                            "do\u0308mi@BÜCHER.test")):
            message = EmailMessage(policy=SMTPUTF8)
            message["From"] = "señor@ejemplo.example"
            message["To"] = recipient
            message["Subject"] = f"grüße {number}"
            message.set_content("Hallo\n")
            with self.platform.smtp() as client:
                client.send_message(message, "señor@ejemplo.example", [recipient])
        messages = wait_for_messages(self.platform, "dömi@bücher.test", before + 3)
        for number, stored in enumerate(messages[before:]):
            self.assertIn(f"Subject: grüße {number}".encode(), stored)
            self.assertIn("Return-Path: <señor@ejemplo.example>".encode(), stored)
            self.assertRegex(stored.decode(), r"with UTF8SMTP id ")

    def test_internationalised_mail_needs_smtputf8(self):
        c = self.client()
        c.reply()
        c.say("EHLO client.test")
        self.assertTrue(c.say("MAIL FROM:<señor@ejemplo.example>").startswith("553 5.6.7"))
        self.assertTrue(c.say("MAIL FROM:<a@b.example>").startswith("250"))
        self.assertTrue(c.say("RCPT TO:<dömi@bücher.test>").startswith("553 5.6.7"))
        # The domain's other spelling is ASCII.
        self.platform.add_account("info@bücher.test", "info-secret")
        self.assertTrue(c.say("RCPT TO:<info@xn--bcher-kva.test>").startswith("250"))

    def send(self, c, subject):
        for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<alice@example.test>"):
            self.assertTrue(c.say(line).startswith("250"), line)
        self.assertTrue(c.say("DATA").startswith("354"))
        c.send(f"Subject: {subject}\r\n\r\nx\r\n".encode())
        self.assertTrue(c.say(".").startswith("250"))

    def test_a_balancer_says_who_the_client_is(self):
        headers = {"v1": b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 25\r\n",
                   "v2": proxy_v2("203.0.113.9", 4711),
                   "v2-tlv": proxy_v2("203.0.113.9", 4711, tlv=b"\x04\x00\x03abc")}
        for name, header in headers.items():
            with self.subTest(name):
                c = self.client(source=BALANCER, first=header)
                self.assertTrue(c.reply().startswith("220"))
                c.say("EHLO client.test")
                self.send(c, f"proxied {name}")
                self.assertIn(b"from client.test ([203.0.113.9])",
                              self.stored(f"proxied {name}"))

    def test_a_balancers_health_check_is_a_session(self):
        c = self.client(source=BALANCER, first=proxy_v2("0.0.0.0", 0, command=0x20))
        self.assertTrue(c.reply().startswith("220"))
        self.assertTrue(c.say("QUIT").startswith("221"))

    def test_a_balancer_must_say_it(self):
        c = self.client(source=BALANCER, first=b"EHLO client.test\r\n")
        with self.assertRaises((EOFError, ConnectionError)):
            c.reply()

    def test_from_others_the_proxy_header_changes_nothing(self):
        # At once or later: it is no command.
        c = self.client()
        c.reply()
        c.send(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 25\r\n")
        self.assertTrue(c.reply().startswith("500"))
        c.say("EHLO client.test")
        self.send(c, "not proxied")
        self.assertIn(b"from client.test ([127.0.0.1])", self.stored("not proxied"))

    def test_imap_knows_the_balancer_too(self):
        port = self.platform.ports().listeners["imap"]
        with socket.create_connection(("127.0.0.1", port), timeout=30,
                                      source_address=(BALANCER, 0)) as connection:
            connection.sendall(proxy_v2("203.0.113.9", 4711))
            self.assertTrue(connection.makefile("rb").readline().startswith(b"* OK"))

    def test_xclient_is_for_configured_proxies(self):
        c = self.client(source=MAIL_PROXY)
        c.reply()
        self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
                      c.say("EHLO proxy.test"))
        answer = c.say("XCLIENT NAME=spike.example ADDR=203.0.113.10 PORT=4711 PROTO=ESMTP "
                       "HELO=spike")
        self.assertTrue(answer.startswith("220 in.example.test "), answer)
        self.send(c, "by a mail proxy")
        self.assertIn(b"from spike (spike.example [203.0.113.10])",
                      self.stored("by a mail proxy"))
        c = self.client()
        c.reply()
        self.assertNotIn("XCLIENT", c.say("EHLO client.test"))
        self.assertTrue(c.say("XCLIENT ADDR=203.0.113.10").startswith("550 5.7.1"))
        self.send(c, "by nobody")
        self.assertIn(b"from client.test ([127.0.0.1])", self.stored("by nobody"))

    def test_early_talkers_are_sent_away(self):
        c = self.client()
        c.reply()
        c.send(b"EHLO client.test\r\nMAIL FROM:<a@b.example>\r\n")
        self.assertTrue(c.reply().startswith("554 5.5.0"))
        with self.assertRaises((EOFError, ConnectionError)):
            c.reply()

    def test_real_clients_still_send(self):
        with self.platform.smtp() as client:
            client.sendmail("a@b.example", ["alice@example.test"], test_message("plain"))
        self.stored("plain")


class DrainTest(unittest.TestCase):
    def test_transactions_finish_and_the_rest_is_told(self):
        platform = ServePlatform().start()
        try:
            port = platform.ports().listeners["mx"]
            idle, busy = Client(port), Client(port)
            for c in (idle, busy):
                c.reply()
                c.say("EHLO client.test")
            busy.say("MAIL FROM:<a@b.example>")
            busy.say("RCPT TO:<alice@example.test>")
            os.kill(platform.process.pid, signal.SIGTERM)
            self.assertTrue(idle.reply().startswith("421 4.3.2"))
            self.assertTrue(busy.say("DATA").startswith("354"))
            busy.send(b"Subject: at the last moment\r\n\r\nx\r\n")
            self.assertTrue(busy.say(".").startswith("250"))
            self.assertTrue(busy.reply().startswith("421 4.3.2"))
            with self.assertRaises(OSError):
                Client(port).reply()
            idle.close()
            busy.close()
            wait_until(lambda: not platform.process.running(), 60, "the platform has stopped")
            platform.launch()
            self.assertTrue(any(b"at the last moment" in m
                                for m in platform.messages("alice@example.test")))
        finally:
            platform.stop()


if __name__ == "__main__":
    unittest.main()
