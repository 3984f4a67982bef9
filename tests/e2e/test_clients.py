"""Real mail clients against a running platform: curl, imaplib, poplib, and IMAP typed by hand."""

import imaplib
import re
import subprocess
import threading
import time
import unittest
import zlib

from tests.e2e.test_smtp import Telnet
from tests.support.platform import (ServePlatform, SplitPlatform, _unverified, test_message,
                                    wait_for_messages)

import socket


class Inflated:
    """What a compressed stream holds, and how many octets of it have come."""

    def __init__(self, file):
        self.packed = file
        self.inflater = zlib.decompressobj(wbits=-15)
        self.plain = b""
        self.received = 0

    def _more(self):
        octets = self.packed.read1(65536)
        self.received += len(octets)
        self.plain += self.inflater.decompress(octets)
        return bool(octets)

    def readline(self):
        while b"\n" not in self.plain:
            if not self._more():
                return b""
        line, self.plain = self.plain.split(b"\n", 1)
        return line + b"\n"

    def read(self, size):
        while len(self.plain) < size and self._more():
            pass
        octets, self.plain = self.plain[:size], self.plain[size:]
        return octets

    def close(self):
        self.packed.close()


class ImapDialogue:
    """IMAP typed by hand: run(command) returns all lines up to the tagged one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line()
        self.count = 0

    def line(self):
        line = self.file.readline()
        if not line:
            raise EOFError("connection closed")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def send(self, octets):
        self.socket.sendall(octets)

    def compress(self):
        """Raw DEFLATE in both directions from now on (RFC 4978)."""
        self.file = Inflated(self.file)
        packer = zlib.compressobj(wbits=-15)
        self.send = lambda octets: self.socket.sendall(packer.compress(octets) +
                                                       packer.flush(zlib.Z_SYNC_FLUSH))

    def start(self, command):
        self.count += 1
        tag = f"t{self.count}"
        self.send(f"{tag} {command}\r\n".encode())
        return tag

    def finish(self, tag):
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(tag + " "):
                return lines

    def run(self, command):
        return self.finish(self.start(command))

    def close(self):
        self.file.close()
        self.socket.close()


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform().start()
        for number in range(3):
            cls.platform.submit("alice@example.test", ["bob@example.test"],
                                test_message(f"message {number}", message_id=f"<{number}@m.test>"))

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def curl(self, *args, stdin=None):
        return subprocess.run(["curl", "-sS", "--max-time", "30", "-k", *args], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_curl_sends_and_reads_over_tls(self):
        ports = self.platform.ports().listeners
        sent = self.curl(f"smtps://127.0.0.1:{ports['submissions']}/client.test",
                         "--mail-from", "alice@example.test", "--mail-rcpt", "alice@example.test",
                         "--user", "alice@example.test:alice-secret", "--upload-file", "-",
                         stdin=test_message("by curl").encode())
        self.assertEqual(sent.returncode, 0, sent.stderr)
        read = self.curl(f"imaps://127.0.0.1:{ports['imaps']}/INBOX;UID=1", "--user",
                         "alice@example.test:alice-secret")
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertIn(b"Subject: by curl", read.stdout)
        read = self.curl(f"pop3s://127.0.0.1:{ports['pop3s']}/1", "--user",
                         "alice@example.test:alice-secret")
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertIn(b"Subject: by curl", read.stdout)
        found = self.curl(f"imap://127.0.0.1:{ports['imap']}/INBOX?SUBJECT%20curl", "--ssl-reqd",
                          "--user", "alice@example.test:alice-secret")
        self.assertRegex(found.stdout, rb"\* SEARCH 1")

    def test_imaplib_walks_through_mailboxes_and_messages(self):
        c = self.platform.imap("bob@example.test")
        self.assertEqual(c.create("Projects/Posthorn")[0], "OK")
        names = [line.decode().rsplit(" ", 1)[1].strip('"') for line in c.list()[1]]
        self.assertIn("Projects/Posthorn", names)
        self.assertIn("Sent", names)
        self.assertEqual(c.select("INBOX"), ("OK", [b"3"]))
        self.assertEqual(c.search(None, "SUBJECT", '"message 1"'), ("OK", [b"2"]))
        self.assertEqual(c.copy("1:2", "Projects/Posthorn")[0], "OK")
        self.assertEqual(c.store("1", "+FLAGS", r"(\Flagged $Custom)")[0], "OK")
        _, data = c.fetch("1", "(FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE)")
        text = b" ".join(d if isinstance(d, bytes) else b"".join(d) for d in data)
        for needle in (rb"\Flagged", b"$Custom", b'"message 0"', b'"TEXT" "PLAIN"'):
            self.assertIn(needle, text.replace(b'"text" "plain"', b'"TEXT" "PLAIN"'))
        _, data = c.status("Projects/Posthorn", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
        self.assertRegex(data[0], rb"MESSAGES 2 UIDNEXT 3")
        self.assertEqual(c.rename("Projects", "Work")[0], "OK")
        self.assertEqual(c.select("Work/Posthorn"), ("OK", [b"2"]))
        c.store("1", "+FLAGS", r"\Deleted")
        self.assertEqual(c.expunge(), ("OK", [b"1"]))
        self.assertEqual(c.close()[0], "OK")
        self.assertEqual(c.delete("Work/Posthorn")[0], "OK")
        self.assertEqual(c.select("Work/Posthorn")[0], "NO")
        c.logout()

    def test_uidplus_and_move_name_the_uids(self):
        c = self.platform.imap("bob@example.test")
        c.create("Moved")
        status, data = c.append("Moved", r"(\Seen)", None, b"Subject: appended\r\n\r\nx\r\n")
        self.assertRegex(data[0], rb"APPENDUID \d+ 1\]")
        c.select("Moved")
        c.create("Elsewhere")
        status, data = c._simple_command("UID", "MOVE", "1", "Elsewhere")
        self.assertEqual(status, "OK")
        self.assertEqual(c.select("Moved"), ("OK", [b"0"]))
        self.assertEqual(c.select("Elsewhere"), ("OK", [b"1"]))
        c.logout()

    def test_imap_needs_tls_for_a_login_where_the_listener_says_so(self):
        with imaplib.IMAP4("127.0.0.1", self.platform.ports().listeners["imap"]) as c:
            c.starttls(ssl_context=_unverified())
            self.assertEqual(c.login("bob@example.test", "bob-secret")[0], "OK")
            with self.assertRaises(imaplib.IMAP4.error):
                c.login("bob@example.test", "bob-secret")

    def test_a_wrong_password_reads_as_a_wrong_name(self):
        answers = []
        for login, password in (("bob@example.test", "wrong"), ("nobody@example.test", "wrong")):
            d = ImapDialogue(self.platform.ports().listeners["imap"])
            answers.append(d.run(f"LOGIN {login} {password}")[-1])
            d.close()
        self.assertEqual(answers[0], answers[1])
        self.assertIn("[AUTHENTICATIONFAILED]", answers[0])

    def test_pop3_typed_by_hand(self):
        d = Telnet(self.platform.ports().listeners["pop3"])

        def line():
            return d.file.readline().decode().rstrip("\r\n")

        def multi():
            lines = []
            while True:
                lines.append(line())
                if lines[-1] == ".":
                    return lines[:-1]
        self.assertTrue(line().startswith("+OK"))
        d.type("user alice@example.test")
        self.assertTrue(line().startswith("+OK"))
        d.type("pass alice-secret")
        self.assertTrue(line().startswith("+OK"))
        with self.platform.smtp() as client:
            client.sendmail("x@elsewhere.example", ["alice@example.test"],
                            b"Subject: dots\r\n\r\n.one\r\n..two\r\n")
        d.type("quit")
        self.assertTrue(line().startswith("+OK"))
        d.close()
        d = Telnet(self.platform.ports().listeners["pop3"])
        line()
        for command in ("user alice@example.test", "pass alice-secret"):
            d.type(command)
            self.assertTrue(line().startswith("+OK"))
        d.type("stat")
        count = int(line().split()[1])
        d.type("list")
        line()
        self.assertEqual(len(multi()), count)
        d.type("uidl")
        line()
        self.assertEqual(len(set(multi())), count)
        d.type(f"list {count}")
        size = int(line().split()[2])
        d.type(f"retr {count}")
        line()
        lines = multi()
        self.assertEqual(lines[-2:], ["..one", "...two"])
        self.assertEqual(sum(len(text) + 2 - text.startswith(".") for text in lines), size)
        d.type(f"top {count} 1")
        line()
        self.assertEqual(multi()[-1], "..one")
        d.type(f"dele {count}")
        self.assertTrue(line().startswith("+OK"))
        d.type("rset")
        line()
        d.type(f"dele {count}")
        line()
        d.type("quit")
        self.assertTrue(line().startswith("+OK"))
        d.close()
        self.assertEqual(len(self.platform.messages("alice@example.test")), count - 1)

    def test_pop3_is_locked_for_a_second_session(self):
        first = self.platform.pop3("bob@example.test")
        with self.assertRaisesRegex(Exception, r"\[IN-USE\]"):
            self.platform.pop3("bob@example.test")
        first.quit()
        self.platform.pop3("bob@example.test").quit()


class ReplicasTest(unittest.TestCase):
    """What one gateway replica commits, sessions on the other see."""

    @classmethod
    def setUpClass(cls):
        cls.platform = SplitPlatform().start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def test_idle_on_one_replica_hears_of_mail_through_another(self):
        d = ImapDialogue(self.platform.ports(0).listeners["imap"])
        self.addCleanup(d.close)
        d.run("LOGIN alice@example.test alice-secret")
        d.run("SELECT INBOX")
        tag = d.start("IDLE")
        self.assertTrue(d.line().startswith("+ "))
        started = time.monotonic()
        with self.platform.smtp("mx", 1) as client:
            client.sendmail("x@elsewhere.example", ["alice@example.test"], test_message("idle"))
        self.assertRegex(d.line(), r"^\* 1 EXISTS$")
        print(f"told after {time.monotonic() - started:.3f} s")
        line = d.line()
        self.assertRegex(line, r"^\* 1 RECENT$")
        d.socket.sendall(b"DONE\r\n")
        self.assertIn(f"{tag} OK", d.finish(tag)[-1])

    def test_flags_set_in_one_session_show_in_another(self):
        with self.platform.smtp("mx", 0) as client:
            client.sendmail("x@elsewhere.example", ["bob@example.test"], test_message("flags"))
        first = ImapDialogue(self.platform.ports(0).listeners["imap"])
        second = ImapDialogue(self.platform.ports(1).listeners["imap"])
        for d in (first, second):
            self.addCleanup(d.close)
            d.run("LOGIN bob@example.test bob-secret")
            d.run("SELECT INBOX")
        first.run(r"STORE 1 +FLAGS (\Flagged)")
        self.assertTrue(any(r"\Flagged" in line for line in second.run("NOOP")))
        first.run(r"STORE 1 +FLAGS (\Deleted)")
        self.assertIn("* 1 EXPUNGE", first.run("EXPUNGE"))
        self.assertIn("* 1 EXPUNGE", second.run("NOOP"))


if __name__ == "__main__":
    unittest.main()
