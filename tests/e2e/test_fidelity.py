"""Bytes are preserved: what was transmitted is what IMAP, POP3 and the remote server give, after
the trace headers that Posthorn prepends."""

import re
import socket
import unittest

from tests.support import corpus
from tests.support.dns_server import DnsServer
from tests.support.platform import ServePlatform
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink


def transmitted(message):
    """What DATA can carry: it always ends in CRLF."""
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def by_smtp(platform, role, sender, recipient, message, login=None):
    """DATA byte by byte as given: smtplib would touch line ends."""
    client = platform.smtp(role)
    try:
        client.ehlo()
        if login:
            client.login(login, platform.passwords[login])
        client.mail(sender, ["BODY=8BITMIME"])
        code, text = client.rcpt(recipient)
        if code != 250:
            raise RuntimeError(f"{code} {text}")
        client.putcmd("DATA")
        client.getreply()
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        client.send(stuffed + b".\r\n")
        code, text = client.getreply()
        if code != 250:
            raise RuntimeError(f"{code} {text}")
    finally:
        client.close()


ADDED = (b"date:", b"from:", b"message-id:", b"sender:")
REMOVED = (b"bcc:", b"resent-bcc:") + ADDED


def only_the_header_was_edited(sent, got):
    """True if `got` is `sent` with nothing but whole fields taken out or put in, as submission
    may: in the header, by name."""
    sent, got = sent.split(b"\r\n"), got.split(b"\r\n")
    i = j = 0
    while i < len(sent) and sent[i]:
        if j < len(got) and sent[i] == got[j]:
            i, j = i + 1, j + 1
        elif j < len(got) and got[j].lower().startswith(ADDED):
            j += 1
        elif sent[i].lower().replace(b" ", b"").startswith(REMOVED):
            i += 1
            while i < len(sent) and sent[i].startswith((b" ", b"\t")):
                i += 1
        else:
            return False
    while j < len(got) and got[j].lower().startswith(ADDED):
        j += 1
    return sent[i:] == got[j:]


class FidelityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = SmtpSink().start()
        cls.dns = DnsServer(["sink.example. IN MX 10 mx.sink.example.",
                             "mx.sink.example. IN A 127.0.0.1"]).start()
        cls.platform = ServePlatform(
            dns=cls.dns, config={"delivery": {"smtp_port": cls.sink.port}},
            trusted_networks=["127.0.0.0/8=demo"])
        for listener in cls.platform.config["gateway"]["smtp_listeners"]:
            listener["from_policy"] = "rewrite"
        cls.platform.start()
        cls.transmittable = [(name, raw) for name, raw in corpus.messages()
                             if corpus.fits_smtp(raw)]

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.sink.stop()

    def test_the_corpus_is_large_enough_to_mean_something(self):
        self.assertGreaterEqual(len(self.transmittable), 12)

    def test_smtp_to_imap_and_pop3(self):
        address, password = "fidelity@example.test", "fidelity-secret"
        self.platform.add_account(address, password)
        for name, raw in self.transmittable:
            by_smtp(self.platform, "mx", "x@elsewhere.example", address, transmitted(raw))
        stored = self.platform.messages(address)
        self.assertEqual(len(stored), len(self.transmittable))
        client = self.platform.pop3(address)
        for number, ((name, raw), message) in enumerate(zip(self.transmittable, stored), 1):
            with self.subTest(name):
                self.assertTrue(message.endswith(transmitted(raw)))
                prefix = message[:len(message) - len(transmitted(raw))]
                self.assertRegex(prefix.decode(), r"(?s)^Return-Path: .*Received: ")
                self.assertEqual(prefix.count(b"\r\n\r\n"), 0)
        _, listing, _ = client.list()
        sizes = [int(line.split()[1]) for line in listing]
        self.assertEqual(sizes, [len(m) for m in stored])
        client.quit()
        self.check_retr(address, stored)

    def check_retr(self, address, stored):
        """RETR read from the socket: poplib would choke on very long lines."""
        with socket.create_connection(("127.0.0.1", self.platform.ports().listeners["pop3"]),
                                      timeout=60) as connection:
            file = connection.makefile("rwb")
            file.readline()
            for command in (f"USER {address}", f"PASS {self.platform.passwords[address]}"):
                file.write(command.encode() + b"\r\n")
                file.flush()
                self.assertTrue(file.readline().startswith(b"+OK"))
            for number, message in enumerate(stored, 1):
                file.write(f"RETR {number}\r\n".encode())
                file.flush()
                self.assertTrue(file.readline().startswith(b"+OK"))
                got = b""
                while True:
                    line = file.readline()
                    if line == b".\r\n":
                        break
                    got += line[1:] if line.startswith(b".") else line
                self.assertEqual(got, message)
            file.close()

    def test_append_keeps_every_octet_also_without_a_final_line_end(self):
        client = self.platform.imap("alice@example.test")
        client.create("Odd")
        messages = [(n, m) for n, m in corpus.messages() if m and b"\0" not in m]
        for name, raw in messages:
            status, data = append_raw(client, "Odd", raw)
            self.assertEqual(status, "OK", (name, data))
        client.select("Odd")
        for number, (name, raw) in enumerate(messages, 1):
            with self.subTest(name):
                _, data = client.fetch(str(number), "(BODY.PEEK[] RFC822.SIZE)")
                self.assertEqual(data[0][1], raw)
                self.assertIn(f"RFC822.SIZE {len(raw)}".encode(),
                              data[0][0] + b" ".join(d for d in data[1:] if d))
        client.logout()

    def at_the_sink(self, name, *arguments, **options):
        before = len(self.sink.messages)
        by_smtp(self.platform, *arguments, **options)
        wait_until(lambda: len(self.sink.messages) > before, 30, f"{name} at the sink")
        return self.sink.messages[-1].data

    def test_a_trusted_network_to_the_remote_server(self):
        for name, raw in self.transmittable:
            with self.subTest(name):
                got = self.at_the_sink(name, "mx", "x@elsewhere.example", "someone@sink.example",
                                       transmitted(raw))
                self.assertTrue(got.endswith(transmitted(raw)))
                self.assertRegex(got[:len(got) - len(transmitted(raw))].decode(), "^Received: ")

    def test_submission_edits_the_header_and_nothing_else(self):
        for name, raw in self.transmittable:
            with self.subTest(name):
                got = self.at_the_sink(name, "submission", "alice@example.test",
                                       "someone@sink.example", transmitted(raw),
                                       login="alice@example.test")
                received = re.match(rb"Received: .*\r\n(?:[ \t].*\r\n)*", got)
                self.assertTrue(only_the_header_was_edited(transmitted(raw), got[received.end():]))


def append_raw(client, mailbox, raw):
    """APPEND without imaplib's change of line ends."""
    client.literal = raw
    return client._simple_command("APPEND", mailbox)


if __name__ == "__main__":
    unittest.main()
