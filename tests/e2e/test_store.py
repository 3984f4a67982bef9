"""The mailbox store as an administrator sees it: deleted messages, moving mail in and out, quota."""

import imaplib
import os
import pty
import re
import signal
import subprocess
import unittest

from tests.support.dovecot import Dovecot
from tests.support.platform import POSTHORN, POSTHORNCTL, ServePlatform
from tests.support.processes import remove_directory, temporary_directory, wait_until


def message(subject, body="text\r\n"):
    return f"From: Ann <ann@a.example>\r\nSubject: {subject}\r\n\r\n{body}".encode()


# What a format has to carry: (mailbox, flags, internal date, octets).
CORPUS = [
    ("INBOX", r"(\Seen \Answered $Work)", '"14-Nov-2023 22:13:20 +0000"', message("plain")),
    ("INBOX", "()", '"01-Jan-2001 00:00:01 +0000"', message("From", "From me\r\n>From you\r\n")),
    ("INBOX", r"(\Flagged blue green)", '"02-Feb-2002 02:02:02 +0000"',
     message("no end of line", "text")),
    ("INBOX", r"(\Deleted)", '"03-Mar-2003 03:03:03 +0000"', message("eight", "\xfc\xe4\r\n\r\n\r\n")),
    ("Archive", r"(\Seen)", '"04-Apr-2004 04:04:04 +0000"',
     message("large", "0123456789abcdef" * 4 + "\r\n") * 9000),
    ("a/b.c", r"(\Draft)", '"05-May-2005 05:05:05 +0000"', message("deep")),
    ("Entw&APw-rfe", "($Forwarded)", '"06-Jun-2006 06:06:06 +0000"', message("umlaut")),
]


def snapshot(client, ordered=True):
    """{mailbox: [(flags, internal date, octets)]} of all mailboxes, in UID order."""
    result = {}
    _, lines = client.list()
    for line in lines:
        name = re.search(rb'\) "(.)" (.+)$', line).group(2).decode()
        status, data = client.select(name, readonly=True)
        if status != "OK":
            continue
        entries = []
        if int(data[0]):
            _, data = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
            for part in data:
                if not isinstance(part, tuple):
                    continue
                head = part[0].decode()
                flags = sorted(re.search(r"FLAGS \(([^)]*)\)", head).group(1).split())
                entries.append(([f for f in flags if f != "\\Recent"],
                                imaplib.Internaldate2tuple(part[0]), part[1]))
        result[name.strip('"')] = entries if ordered else sorted(entries)
    return result


def fill(client, corpus):
    for mailbox, flags, date, octets in corpus:
        client.create(f'"{mailbox}"')
        status, text = client.append(f'"{mailbox}"', flags, date, octets)
        if status != "OK":
            raise RuntimeError(text)


class StoreTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform(config={"mailbox": {"keep_deleted_seconds": 3600}}).start()
        cls.directory = temporary_directory("transfer")
        cls.accounts = 0

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        remove_directory(cls.directory)

    def account(self):
        StoreTest.accounts += 1
        address = f"user{self.accounts}@example.test"
        self.platform.add_account(address, "secret-word")
        return address

    def imap(self, address):
        client = self.platform.imap(address)
        self.addCleanup(client.logout)
        return client

    def ctl(self, *args, **options):
        return self.platform.ctl(*args, **options)

    def deleted(self, address, *args):
        return {m["subject"]: m for m in
                self.ctl("message", "deleted", address, "--json", *args)}

    def test_every_way_to_delete_can_be_undone(self):
        address = self.account()
        client = self.imap(address)
        client.create("old")
        for name in ("expunge", "uid expunge", "pop", "moved", "stays"):
            client.append("INBOX", r"(\Flagged $Work)", '"14-Nov-2023 22:13:20 +0000"',
                          message(name))
        client.append("old", "", None, message("with its mailbox"))
        before = snapshot(client)
        client.select("INBOX")
        client.uid("MOVE", "4", "Archive")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.uid("STORE", "2", "+FLAGS", r"(\Deleted)")
        client.uid("EXPUNGE", "2")
        client.close()
        pop = self.platform.pop3(address)
        pop.dele(1)
        pop.quit()
        client.delete("old")
        found = self.deleted(address)
        self.assertEqual(set(found), {"expunge", "uid expunge", "pop", "with its mailbox"})
        self.assertEqual(found["pop"]["from"], "ann@a.example")
        self.assertEqual(set(self.deleted(address, "--mailbox", "old")), {"with its mailbox"})
        self.assertEqual(self.deleted(address, "--until", "1h"), {})
        self.assertIn("with its mailbox", self.ctl("message", "deleted", address, "--since", "1h"))

        result = self.ctl("message", "undelete", address, check=False)
        self.assertIn("say which", result.stderr)
        self.assertIn("restored 1", self.ctl("message", "undelete", address,
                                             found["expunge"]["deleted_id"].__str__()))
        self.assertIn("restored 1", self.ctl("message", "undelete", address, "--mailbox", "old"))
        self.assertIn("restored 2", self.ctl("message", "undelete", address, "--all", "--to",
                                             "saved/here"))
        self.assertEqual(self.deleted(address), {})
        after = snapshot(client)
        self.assertEqual(after["old"], before["old"])
        self.assertEqual(after["INBOX"], [before["INBOX"][4], before["INBOX"][0]])
        self.assertEqual(sorted(after["saved/here"]), sorted(before["INBOX"][1:3]))
        client.select("INBOX", readonly=True)
        self.assertEqual(client.uid("SEARCH", "ALL")[1], [b"5 6"])

    def test_an_exported_mailbox_comes_back_equal(self):
        address = self.account()
        client = self.imap(address)
        fill(client, CORPUS)
        client.append("INBOX", "(%s)" % " ".join(f"many{i}" for i in range(30)), None,
                      message("many keywords"))
        client.subscribe("Entw&APw-rfe")
        before = snapshot(client)
        for form in ("maildir", "mbox"):
            path = os.path.join(self.directory, form)
            first = self.ctl("mailbox", "export", address, path, "--format", form)
            self.assertIn("exported 8 messages", first)
            # Once more: there is nothing new, and then one message.
            self.assertIn("exported 0 messages",
                          self.ctl("mailbox", "export", address, path, "--format", form))
            copy = self.account()
            self.assertIn("imported 8 messages", self.ctl("mailbox", "import", path, copy))
            self.assertEqual(snapshot(self.imap(copy)), before, form)
            again = self.ctl("mailbox", "import", path, copy)
            self.assertIn("imported 0 messages", again)
            self.assertIn("8 were imported before", again)
            self.assertEqual(snapshot(self.imap(copy)), before, form)
            if form == "maildir":
                subscribed = {line.split()[-1] for line in self.imap(copy).lsub()[1]}
                self.assertIn(b"Entw&APw-rfe", subscribed)
                self.assertNotIn(b"a/b.c", subscribed)
            else:
                single = self.account()
                self.ctl("mailbox", "import", os.path.join(path, "INBOX.mbox"), single, "--into",
                         "Old")
                self.assertEqual(snapshot(self.imap(single))["Old"], before["INBOX"])
        client.append("Archive", "", None, message("new"))
        for form in ("maildir", "mbox"):
            self.assertIn("exported 1 messages",
                          self.ctl("mailbox", "export", address,
                                   os.path.join(self.directory, form), "--format", form))
        self.assertIn("no mailbox nowhere",
                      self.ctl("mailbox", "export", address, self.directory, "--mailbox",
                               "nowhere", check=False).stderr)

    def test_others_maildirs_and_mboxes(self):
        path = os.path.join(self.directory, "foreign")
        for part in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new"):
            os.makedirs(os.path.join(path, part))
        for name, text in (("cur/1.a:2,RS", b"Subject: one\n\nx\n"), ("new/2.b", b"Subject: two\n\ny"),
                           (".Sent/cur/3.c:2,Sab", b"Subject: three\r\n\r\nz\r\n")):
            with open(os.path.join(path, name), "wb") as file:
                file.write(text)
            os.utime(os.path.join(path, name), (1700000000, 1700000000))
        with open(os.path.join(path, ".Sent/dovecot-keywords"), "w") as file:
            file.write("0 $Label\n1 not(an)atom\n")
        address = self.account()
        self.assertIn("imported 3 messages into 2", self.ctl("mailbox", "import", path, address))
        found = snapshot(self.imap(address))
        date = imaplib.Internaldate2tuple(b'INTERNALDATE "14-Nov-2023 22:13:20 +0000"')
        self.assertEqual(found["INBOX"], [(["\\Answered", "\\Seen"], date, b"Subject: one\r\n\r\nx\r\n"),
                                          ([], date, b"Subject: two\r\n\r\ny")])
        self.assertEqual(found["Sent"], [(["$Label", "\\Seen"], date, b"Subject: three\r\n\r\nz\r\n")])
        mbox = os.path.join(self.directory, "foreign.mbox")
        with open(mbox, "wb") as file:
            file.write(b"From a@b Tue Nov 14 22:13:20 2023\nSubject: one\nStatus: RO\n\n>From x\n\n"
                       b"From c@d Tue Nov 14 22:13:20 2023\nSubject: two\n\ny\n")
        self.assertIn("imported 2 messages into 1",
                      self.ctl("mailbox", "import", mbox, address, "--into", "mbox"))
        self.assertEqual(snapshot(self.imap(address))["mbox"],
                         [(["\\Seen"], date, b"Subject: one\r\nStatus: RO\r\n\r\nFrom x\r\n"),
                          ([], date, b"Subject: two\r\n\r\ny\r\n")])
        not_one = self.ctl("mailbox", "import", POSTHORNCTL, address, check=False)
        self.assertIn("not an mbox file", not_one.stderr)

    def test_an_interrupted_import_goes_on_and_shows_where_it_is(self):
        path = os.path.join(self.directory, "many")
        os.makedirs(os.path.join(path, "cur"))
        count = 1500
        for number in range(count):
            with open(os.path.join(path, f"cur/{number}.x:2,"), "wb") as file:
                file.write(message(f"number {number}", "x" * 2000 + "\r\n"))
        address = self.account()
        command = [POSTHORNCTL, "--target", f"127.0.0.1:{self.platform.ports().api}", "--plaintext",
                   "--token-file", self.platform.token_file, "mailbox", "import", path, address]
        master, slave = pty.openpty()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=slave)
        os.close(slave)
        shown = b""
        try:
            while not re.search(rb"\[#+\.+\] [1-9]\d*/1500 messages", shown):
                shown += os.read(master, 65536)
            process.send_signal(signal.SIGINT)
            # Whatever it had still to say; a terminal that is gone reads as an error.
            while os.read(master, 65536):
                pass
        except OSError:
            pass
        self.assertIn(b"INBOX", shown)
        self.assertNotEqual(process.wait(60), 0)
        os.close(master)
        self.assertRegex(self.ctl("mailbox", "import", path, address), r"imported \d+ messages")
        client = self.imap(address)
        self.assertEqual(client.select("INBOX", readonly=True)[1], [str(count).encode()])
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = {part[1].strip() for part in data if isinstance(part, tuple)}
        self.assertEqual(len(subjects), count)

    def test_another_imap_server(self):
        dovecot = Dovecot("dovecot-secret", tls=True)
        self.addCleanup(dovecot.stop)
        dovecot.start()
        remote = imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60)
        self.addCleanup(remote.logout)
        remote.login("carol", dovecot.password)
        names = [entry for entry in CORPUS if "." not in entry[0] and "/" not in entry[0]]
        fill(remote, [entry for entry in names])
        remote.create("one.two")
        remote.append("one.two", r"(\Seen)", None, message("in two"))
        remote.subscribe("one.two")
        address = self.account()
        url = f"imap://carol@localhost:{dovecot.imap_port}"
        password = dovecot.password + "\n"
        untrusted = self.ctl("mailbox", "import", url, address, stdin=password, check=False)
        self.assertIn("certificate", untrusted.stderr)
        trust = ("--remote-ca-file", dovecot.certificate)
        wrong = self.ctl("mailbox", "import", url, address, *trust, stdin="wrong\n", check=False)
        self.assertIn("AUTHENTICATIONFAILED", wrong.stderr)
        self.assertIn("imported 7 messages", self.ctl("mailbox", "import", url, address, *trust,
                                                      stdin=password))
        # Dovecot shows periods as levels, and adds no mailboxes that we have.
        def check():
            expected = {name.replace(".", "/"): entries
                        for name, entries in snapshot(remote).items() if entries}
            found = {name: entries for name, entries in snapshot(self.imap(address)).items()
                     if entries}
            self.assertEqual(found, expected)
        check()
        self.assertIn(b'(\\Subscribed) "/" one/two', b"\n".join(
            self.imap(address)._simple_command("LIST", "(SUBSCRIBED)", '""', "one/*")[1]
            + self.imap(address).lsub('""', "one/*")[1]).replace(b"() ", b"(\\Subscribed) "))
        # Only what is new, by IMAPS this time.
        remote.append("INBOX", r"(\Flagged)", None, message("later"))
        secure = f"imaps://carol@localhost:{dovecot.imaps_port}"
        again = self.ctl("mailbox", "import", secure, address, *trust, stdin=password)
        self.assertIn("imported 1 messages", again)
        self.assertIn("7 were imported before", again)
        check()
        # Made anew, a mailbox has other UIDs: nothing is imported twice.
        remote.delete("Archive")
        remote.create("Archive")
        remote.append("Archive", "", None, message("numbered anew"))
        renumbered = self.ctl("mailbox", "import", secure, address, *trust, stdin=password,
                              check=False)
        self.assertIn("renumbered Archive", renumbered.stderr)
        self.assertIn("imported 8 messages",
                      self.ctl("mailbox", "import", secure, address, *trust, "--label", "second",
                               "--into", "second", stdin=password))

    def test_quota_of_accounts_and_tenants(self):
        ctl = self.ctl
        ctl("tenant", "add", "limited")
        ctl("domain", "add", "--tenant", "limited", "limited.test")
        for name in ("one", "two"):
            self.platform.add_account(f"{name}@limited.test", "secret-word")
        ctl("account", "set", "one@limited.test", "--quota", "20000")
        client = self.imap("one@limited.test")
        client.append("INBOX", "", None, message("fills", "x" * 17000 + "\r\n"))

        def subjects():
            return [m for m in self.platform.messages("one@limited.test") if b"% full" in m]
        wait_until(lambda: len(subjects()) == 1, 120, lambda: "a warning comes")
        self.assertIn(b"Subject: Your mailbox is 80% full", subjects()[0])
        # Once: the next message that is stored changes nothing.
        client.append("INBOX", "", None, message("little"))
        status, text = client.append("INBOX", "", None, message("too much", "x" * 9000))
        self.assertEqual(status, "NO")
        self.assertIn(b"[OVERQUOTA]", text[0])
        self.assertEqual(len(subjects()), 1)

        client = self.imap("two@limited.test")
        ctl("account", "set", "two@limited.test", "--quota-messages", "2")
        self.assertIn("0 of 2", ctl("account", "show", "two@limited.test"))
        for _ in range(2):
            self.assertEqual(client.append("INBOX", "", None, message("x"))[0], "OK")
        self.assertEqual(client.append("INBOX", "", None, message("x"))[0], "NO")
        ctl("account", "set", "two@limited.test", "--quota-messages", "0")
        self.assertEqual(client.append("INBOX", "", None, message("x"))[0], "OK")
        shown = ctl("tenant", "set", "limited", "--quota-messages", "5", "--json")
        self.assertEqual(shown["messages"], 6)
        self.assertEqual(client.append("INBOX", "", None, message("x"))[0], "NO")
        with self.platform.smtp("mx") as smtp:
            smtp.ehlo()
            smtp.mail("ann@a.example")
            self.assertEqual(smtp.rcpt("two@limited.test")[0], 452)
        client.select("INBOX")
        client.store("1:*", "+FLAGS", r"(\Deleted)")
        client.expunge()
        self.assertEqual(client.append("INBOX", "", None, message("x"))[0], "OK")
        # What was deleted counts for nothing, and comes back only where there is room.
        ctl("tenant", "set", "limited", "--quota-messages", "4")
        result = ctl("message", "undelete", "two@limited.test", "--all", check=False)
        self.assertNotEqual(result.returncode, 0)
        ctl("tenant", "set", "limited", "--quota-messages", "0")
        self.assertIn("restored 3", ctl("message", "undelete", "two@limited.test", "--all"))

    def test_the_store_is_consistent(self):
        """Runs beside whatever the other tests left; each question is answered from one snapshot."""
        result = subprocess.run([POSTHORN, "check", "--config", self.platform.config_file,
                                 "--data-dir", self.platform.data], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=120)
        self.assertEqual((result.returncode, result.stdout),
                         (0, "The mailbox store is consistent.\n"), result.stderr)


if __name__ == "__main__":
    unittest.main()
