"""Clients that people use, on a running platform: mbsync and offlineimap keep a Maildir, mutt reads
and answers in a terminal, curl and imapflow do what scripts do."""

import email
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import unittest

from tests.support.platform import (ServePlatform, test_message, wait_for_messages)
from tests.support.processes import (find_program, remove_directory, temporary_directory,
                                     wait_until)
from tests.support.tmux import Terminal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Maildir:
    """The messages of Maildirs as {subject: (flags, body)}."""

    def __init__(self, path):
        self.path = path

    def files(self, name):
        for part in ("cur", "new"):
            directory = os.path.join(self.path, name, part)
            for file in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
                yield os.path.join(directory, file)

    def messages(self, name):
        found = {}
        for path in self.files(name):
            with open(path, "rb") as file:
                message = email.message_from_binary_file(file)
            flags = path.rpartition(":2,")[2] if ":2," in path else ""
            found[message["Subject"]] = ("".join(sorted(flags)),
                                         message.get_payload(decode=True).decode())
        return found

    def path_of(self, name, subject):
        for path in self.files(name):
            with open(path, "rb") as file:
                if email.message_from_binary_file(file)["Subject"] == subject:
                    return path
        raise KeyError(subject)

    def set_flags(self, name, subject, flags):
        path = self.path_of(name, subject)
        base = os.path.basename(path).partition(":2,")[0]
        os.rename(path, os.path.join(self.path, name, "cur", f"{base}:2,{flags}"))

    def add(self, name, subject, flags):
        with open(os.path.join(self.path, name, "cur", f"1700000000.1_1.host:2,{flags}"),
                  "w") as file:
            file.write(f"From: a@b.example\nSubject: {subject}\n\nWritten here.\n")

    def listing(self):
        return sorted(os.path.join(directory, file)
                      for directory, _, files in os.walk(self.path) for file in files
                      if os.path.basename(directory) in ("cur", "new"))


class ImapClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform()
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()

    def setUp(self):
        self.directory = temporary_directory("imap")
        self.addCleanup(remove_directory, self.directory)

    def account(self, name, subjects=()):
        login = f"{name}@example.test"
        self.platform.add_account(login, f"{name}-secret")
        for subject in subjects:
            self.deliver(login, subject)
        return login

    def deliver(self, login, subject, body="Gr\u00fc\u00dfe\r\n"):
        with self.platform.smtp("mx") as client:
            client.sendmail("x@outside.example", [login], test_message(
                subject, body, sender="x@outside.example", to=login).encode())

    def port(self, role):
        return self.platform.ports().listeners[role]

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path

    def certificate(self):
        """The server's, as PEM."""
        return ssl.get_server_certificate(("127.0.0.1", self.port("imaps")))

    def run_client(self, *arguments):
        result = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=180,
                                cwd=self.directory, env=dict(os.environ, HOME=self.directory))
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def mailbox(self, login, name="INBOX"):
        """{subject: flags without \\Recent}."""
        found = {}
        with self.platform.imap(login) as client:
            status, data = client.select(f'"{name}"', readonly=True)
            if status != "OK" or data == [b"0"]:
                return found
            for part in client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(part, tuple):
                    subject = part[1].split(b":", 1)[1].strip().decode()
                    flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])[1].decode().split()
                    self.assertNotIn(subject, found)
                    found[subject] = set(flags) - {"\\Recent"}
        return found

    def state(self, login):
        """What changes with any change of a mailbox."""
        with self.platform.imap(login) as client:
            return {line.rsplit(b" ", 1)[1]: client.status(line.rsplit(b" ", 1)[1].decode(),
                                                         "(MESSAGES UIDNEXT HIGHESTMODSEQ)")
                    for line in client.list()[1]}

    def synchronise(self, login, sync, local):
        """`sync()` runs the client, `local` is its Maildir: changes go both ways, and then none."""
        with self.platform.imap(login) as client:
            client.create("Work/Plans")
            client.append("Work/Plans", r"(\Seen \Flagged)", None,
                          b"Subject: planned\r\n\r\nSoon.\r\n")
        sync()
        self.assertEqual(local.messages("INBOX"), {
            name: ("", "Gr\u00fc\u00dfe\n") for name in ("first", "second", "third")})
        self.assertEqual(local.messages("Work/Plans"), {"planned": ("FS", "Soon.\n")})

        # Changes on both sides between two runs.
        local.set_flags("INBOX", "first", "FS")
        os.unlink(local.path_of("INBOX", "second"))
        local.add("INBOX", "made here", "S")
        self.deliver(login, "fourth")
        with self.platform.imap(login) as client:
            client.select("Work/Plans")
            client.store("1", "+FLAGS", r"(\Answered)")
            client.select("INBOX")
            client.store(client.search(None, "SUBJECT", "third")[1][0].decode(), "+FLAGS",
                         r"(\Deleted)")
            client.expunge()
        sync()
        self.assertEqual(self.mailbox(login), {"first": {"\\Flagged", "\\Seen"},
                                               "made here": {"\\Seen"}, "fourth": set()})
        self.assertEqual({subject: flags for subject, (flags, _)
                          in local.messages("INBOX").items()},
                         {"first": "FS", "made here": "S", "fourth": ""})
        self.assertEqual(local.messages("Work/Plans")["planned"][0], "FRS")

        # Nothing is left to do.
        before, listing = self.state(login), local.listing()
        sync()
        self.assertEqual(self.state(login), before)
        self.assertEqual(local.listing(), listing)

    def test_mbsync(self):
        login = self.account("mbsync", ["first", "second", "third"])
        mail = os.path.join(self.directory, "mail")
        os.mkdir(mail)
        config = self.write("mbsyncrc", f"""
IMAPAccount posthorn
Host 127.0.0.1
Port {self.port('imaps')}
User {login}
Pass mbsync-secret
SSLType IMAPS
CertificateFile {self.write('certificate.pem', self.certificate())}

IMAPStore far
Account posthorn

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        self.synchronise(login, lambda: self.run_client(find_program("mbsync"), "-c", config,
                                                        "--all", "--verbose"), Maildir(mail))

    def test_offlineimap(self):
        login = self.account("offlineimap", ["first", "second", "third"])
        mail = os.path.join(self.directory, "mail")
        fingerprint = hashlib.sha512(ssl.PEM_cert_to_DER_cert(self.certificate())).hexdigest()
        config = self.write("offlineimaprc", f"""
[general]
accounts = posthorn
metadata = {self.directory}/metadata

[Account posthorn]
localrepository = local
remoterepository = remote

[Repository local]
type = Maildir
localfolders = {mail}
sep = /

[Repository remote]
type = IMAP
remotehost = 127.0.0.1
remoteport = {self.port('imaps')}
remoteuser = {login}
remotepass = offlineimap-secret
ssl = yes
cert_fingerprint = {fingerprint}
""")
        self.synchronise(login, lambda: self.run_client(
            find_program("offlineimap"), "-c", config, "-o", "-u", "basic"), Maildir(mail))

    def test_mutt_reads_answers_moves_and_deletes(self):
        login = self.account("mutt")
        self.platform.submit("bob@example.test", [login], test_message(
            "to be answered", "Gr\u00fc\u00dfe\r\n", sender="bob@example.test", to=login,
            message_id="<asked@example.test>").encode())
        wait_for_messages(self.platform, login, 1)
        for subject in ("to be moved", "to be deleted"):
            self.deliver(login, subject)
        port = self.port("imaps")
        editor = self.write("editor", '#!/bin/sh\n(cat "$1"; echo "Typed by mutt.") > "$1.new" &&'
                                      ' mv "$1.new" "$1"\n')
        os.chmod(editor, 0o700)
        self.deliver(login, "to be answered too", "Hello Mutt.\r\n")
        config = self.write("muttrc", f"""
set imap_user = "{login}"
set imap_pass = "mutt-secret"
set folder = "imaps://127.0.0.1:{port}/"
set spoolfile = "+INBOX"
set record = "+Sent"
set postponed = "+Drafts"
set smtp_url = "smtps://{login.replace('@', '%40')}@127.0.0.1:{self.port('submissions')}/"
set smtp_pass = "mutt-secret"
# It would choose SCRAM-SHA-256-PLUS, but knows no channel binding for TLS 1.3, and then gives up.
set smtp_authenticators = "scram-sha-256"
set certificate_file = "{self.write('certificate.pem', self.certificate())}"
set ssl_verify_host = no
set from = "{login}"
set realname = "Mutt"
set editor = "{editor}"
set fast_reply = yes
set include = yes
set abort_unmodified = no
set confirmappend = no
set delete = yes
set quit = yes
set wait_key = no
set sort = mailbox-order
set charset = "utf-8"
set send_charset = "utf-8"
set hostname = "client.test"
""")
        terminal = Terminal(self.directory, [find_program("mutt"), "-n", "-F", config],
                            env={"HOME": self.directory, "LANG": "C.UTF-8"})
        self.addCleanup(terminal.close)
        terminal.wait("to be answered too")
        terminal.type("=", "Enter")
        terminal.wait("Gr\u00fc\u00dfe")
        terminal.type("r")
        terminal.wait("y:Send")
        terminal.type("y")
        terminal.wait("Mail sent.")
        terminal.type("i")
        terminal.wait("Mutt: =INBOX")
        terminal.type("2", "Enter", "Enter")
        terminal.wait("Gr\u00fc\u00dfe", "to be moved")
        terminal.type("s", "C-u", "=Archive", "Enter")
        # The message after it opens.
        terminal.wait("Subject: to be deleted")
        terminal.type("i")
        terminal.wait("Mutt: =INBOX")
        terminal.type("3", "Enter", "Enter")
        terminal.wait("Subject: to be deleted")
        terminal.type("d", "i", "$")
        wait_until(lambda: set(self.mailbox(login)) == {"to be answered", "to be answered too"},
                   60, lambda: f"two messages left\n{terminal.screen()}")
        terminal.type("q")
        terminal.wait_end()

        self.assertIn("\\Answered", self.mailbox(login)["to be answered"])
        self.assertEqual(set(self.mailbox(login, "Archive")), {"to be moved"})
        self.assertEqual(set(self.mailbox(login, "Sent")), {"Re: to be answered"})
        with self.platform.imap(login) as client:
            client.select("Sent", readonly=True)
            sent = email.message_from_bytes(client.fetch("1", "(BODY.PEEK[])")[1][0][1])
        self.assertIn("> Gr\u00fc\u00dfe\r\n", sent.get_payload(decode=True).decode())
        self.assertIn("Typed by mutt.", sent.get_payload(decode=True).decode())
        arrived, = wait_for_messages(self.platform, "bob@example.test", 1)
        self.assertEqual(email.message_from_bytes(arrived)["In-Reply-To"], "<asked@example.test>")
        self.assertEqual(email.message_from_bytes(arrived)["Message-ID"], sent["Message-ID"])

    def test_curl(self):
        login = self.account("curl", ["one", "two", "three"])

        def curl(path, *arguments):
            return self.run_client(
                "curl", "-sS", "-k", "--max-time", "60", "--user", f"{login}:curl-secret",
                f"imaps://127.0.0.1:{self.port('imaps')}/{path}", *arguments)
        self.assertIn(r'* LIST (\HasNoChildren \Sent) "/" Sent', curl("").splitlines())
        curl("", "-X", "CREATE Notes")
        curl("Notes", "-T", self.write("note", "Subject: a note\r\n\r\nGr\u00fc\u00dfe\r\n"))
        self.assertEqual(set(self.mailbox(login, "Notes")), {"a note"})
        self.assertEqual(curl("Notes;MAILINDEX=1;SECTION=TEXT"), "Gr\u00fc\u00dfe\n")
        self.assertIn("Subject: two\n", curl("INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)"))
        self.assertEqual(curl("INBOX?SUBJECT%20three"), "* SEARCH 3\n")
        self.assertIn("EXISTS", curl("INBOX", "-X", "EXAMINE Notes"))
        curl("INBOX", "-X", "UID MOVE 1 Notes")
        curl("INBOX", "-X", r"STORE 1 +FLAGS.SILENT (\Deleted)")
        self.assertIn("* 1 EXPUNGE", curl("INBOX", "-X", "EXPUNGE"))
        self.assertEqual(set(self.mailbox(login)), {"three"})
        self.assertEqual(set(self.mailbox(login, "Notes")), {"a note", "one"})

    def test_imapflow(self):
        login = self.account("imapflow")
        mixed = (b"From: Anna <a@outside.example>\r\nTo: b@example.test\r\nSubject: "
                 b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
                 b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
                 b"--b\r\nContent-Type: text/plain\r\n\r\nthe text\r\n"
                 b"--b\r\nContent-Type: text/csv; name=a.csv\r\n"
                 b"Content-Disposition: attachment; filename=a.csv\r\n"
                 b"Content-Transfer-Encoding: base64\r\n\r\n"
                 b"YXR0YWNobWVudCBvZiB0aGUgZmlyc3Q=\r\n--b--\r\n")
        with self.platform.imap(login) as client:
            client.append("INBOX", None, None, mixed)
            client.append("INBOX", None, None, b"Subject: second\r\n\r\nx\r\n")
        # npm reads the lock file beside the script: the same versions everywhere.
        for name in ("package.json", "package-lock.json", "session.mjs"):
            shutil.copy(os.path.join(ROOT, "tests/e2e/imapflow", name), self.directory)
        self.run_client("npm", "ci", "--silent", "--no-audit", "--no-fund")
        said = self.converse(login)

        self.assertEqual(said["mailboxes"]["Sent"], "\\Sent")
        self.assertEqual(said["inbox"], 2)
        self.assertLessEqual({"CONDSTORE", "QRESYNC"}, set(said["enabled"]))
        first, second = said["messages"]
        self.assertEqual((first["subject"], first["from"], first["type"], first["parts"]),
                         ("Gr\u00fc\u00dfe", "a@outside.example", "multipart/mixed",
                          ["text/plain", "text/csv"]))
        self.assertEqual(first["source"].encode("latin1"), mixed)
        self.assertEqual((second["seq"], second["uid"], second["subject"]), (2, 2, "second"))
        self.assertEqual((said["attachment"], said["filename"]),
                         ("attachment of the first", "a.csv"))
        self.assertEqual(said["arrived"], {"count": 3, "prevCount": 2})
        self.assertEqual(said["flagged"], {"seq": 1, "flags": ["$Label", "\\Flagged"]})
        self.assertEqual(said["gone"], {"uid": 2, "vanished": True})
        self.assertEqual([(m["uid"], m["flags"]) for m in said["changed"]],
                         [(1, ["$Label", "\\Flagged"]), (3, [])])
        self.assertEqual((said["found"], said["text"]), ([3], [1]))
        self.assertEqual(said["draft"], {"destination": "Drafts", "uid": 1})
        self.assertEqual(said["moved"], {"destination": "Projekte/\u00dcbersicht",
                                         "uids": [[1, 1]]})
        self.assertEqual(said["copied"], [[3, 1]])
        self.assertEqual((said["left"], said["quota"]), (0, True))

        self.assertEqual(self.mailbox(login), {})
        self.assertEqual(self.mailbox(login, "Drafts"), {"by imapflow": {"\\Draft", "$Later"}})
        self.assertEqual(self.mailbox(login, "Projekte/&ANw-bersicht"),
                         {"=?utf-8?q?Gr=C3=BC=C3=9Fe?=": {"\\Flagged", "\\Answered", "$Label"}})
        self.assertEqual(self.mailbox(login, "Archive"), {"from outside": set()})
        with self.platform.imap(login) as client:
            client.select("Drafts", readonly=True)
            data = client.fetch("1", "(INTERNALDATE BODY.PEEK[TEXT])")[1]
        self.assertIn(b'INTERNALDATE "29-Feb-2020 12:00:00 +0000"', data[0][0] + data[1])
        self.assertEqual(data[0][1], "Gr\u00fc\u00dfe\r\n".encode())

    def converse(self, login):
        """All that the script says, together; what it wants is done as soon as it says so."""
        with self.platform.imap(login) as client:
            client.select("INBOX")
            wishes = {
                "deliver": lambda: self.deliver(login, "from outside"),
                "flag": lambda: client.store("1", "+FLAGS", r"(\Flagged $Label)"),
                "expunge": lambda: (client.store("2", "+FLAGS", r"(\Deleted)"), client.expunge()),
            }
            said = {}
            with open(os.path.join(self.directory, "errors"), "w") as errors:
                process = subprocess.Popen(
                    ["node", "session.mjs", str(self.port("imaps")), login, "imapflow-secret"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                    cwd=self.directory)
            timer = threading.Timer(120, process.kill)
            timer.start()
            try:
                for line in process.stdout:
                    value = json.loads(line)
                    wish = value.pop("want", None)
                    said.update(value)
                    if wish:
                        wishes[wish]()
                status = process.wait()
            finally:
                timer.cancel()
                process.kill()
                process.stdout.close()
            with open(os.path.join(self.directory, "errors")) as file:
                self.assertEqual(status, 0, f"{said}\n{file.read()}")
            return said


if __name__ == "__main__":
    unittest.main()
