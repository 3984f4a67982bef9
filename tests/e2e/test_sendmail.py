"""posthorn-sendmail as cron, mailers and scripts call it: by users of this machine, through the socket
of a running platform, and into the maildrop while it is away."""

import email
import email.policy
import os
import pwd
import re
import shutil
import smtplib
import stat
import subprocess
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import ServePlatform, test_message
from tests.support.processes import remove_directory, temporary_directory, wait_until
from tests.support.send_client import Send
from tests.support.smtp_sink import SmtpSink

SENDMAIL = os.path.join(os.path.abspath(os.environ.get("POSTHORN_BUILD_DIR", "build/dev")),
                        "apps/posthorn-sendmail/posthorn-sendmail")
NOBODY = pwd.getpwnam("nobody")
USAGE, DATA_ERROR, NO_USER, CANNOT_CREATE, TRY_AGAIN, NO_PERMISSION, CONFIGURATION = \
    64, 65, 67, 73, 75, 77, 78


def text_of(message):
    """The text of a parsed message, with the line ends that programs on this machine have."""
    return message.get_content().replace("\r\n", "\n")


class SendmailTest(unittest.TestCase):
    """Runs as root, who is trusted, and speaks for `nobody` besides, who is not."""

    @classmethod
    def setUpClass(cls):
        if os.getuid() != 0:
            raise RuntimeError("needs root, to be several users")
        # "near" takes mail, but not for `gone`; nobody listens for "far".
        cls.near = SmtpSink(replies={
            "RCPT": lambda to: "550 5.1.1 no such user" if "gone@" in to else None}).start()
        cls.dns = DnsServer(["far.example. IN MX 10 mx.far.example.",
                             "mx.far.example. IN A 127.0.0.77",
                             "near.example. IN MX 10 mx.near.example.",
                             "mx.near.example. IN A 127.0.0.1"]).start()
        cls.platform = ServePlatform(dns=cls.dns, config={
            "queue": {"retry_schedule_seconds": [600]},
            "delivery": {"smtp_port": cls.near.port},
            "gateway": {"local_submission": {"domain": "example.test"}}}).start()
        for name in ("root", "nobody"):
            cls.platform.add_account(f"{name}@example.test", f"{name}-secret")
        cls.maildrop = os.path.join(cls.platform.data, "maildrop")
        # Where every user can run it, under the names it goes by.
        cls.directory = temporary_directory("sendmail")
        cls.sendmail = os.path.join(cls.directory, "sendmail")
        shutil.copy(SENDMAIL, cls.sendmail)
        os.chmod(cls.sendmail, 0o755)
        for name in ("mailq", "newaliases"):
            os.symlink("sendmail", os.path.join(cls.directory, name))

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.near.stop()
        remove_directory(cls.directory)

    def run_as(self, user, *command, stdin="", environment=None, status=0):
        """As `user` (None: root); the completed process, whose status is checked."""
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        settings = {"POSTHORN_SENDMAIL_SOCKET": os.path.join(self.platform.data, "sendmail.sock"),
                    "POSTHORN_SENDMAIL_MAILDROP": self.maildrop, "TZ": "UTC"}
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        # An umask that would hide the file from the platform.
        result = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=120, cwd="/", umask=0o077, **identity,
                                env={**os.environ, "HOME": "/nonexistent", **settings,
                                     **(environment or {})})
        self.assertEqual(result.returncode, status, (command, result.stdout, result.stderr))
        return result

    def send(self, *arguments, stdin, user=None, status=0):
        return self.run_as(user, self.sendmail, *arguments, stdin=stdin, status=status)

    def all_with(self, login, text):
        """The messages of a mailbox with `text` in them, parsed."""
        return [email.message_from_bytes(m, policy=email.policy.default)
                for m in self.platform.messages(login, after_outage=True) if text.encode() in m]

    def one_with(self, login, text):
        found = wait_until(lambda: self.all_with(login, text), 60, f"{text} for {login}")
        self.assertEqual(len(found), 1, text)
        return found[0]

    def spooled(self):
        return [name for name in os.listdir(self.maildrop) if not name.startswith(".")]

    def mailq(self, user=None, *arguments):
        return self.run_as(user, os.path.join(self.directory, "mailq"), *arguments).stdout.decode()

    def stop_platform(self):
        self.platform.process.stop(timeout=60)

    # What programs do

    def test_cron(self):
        self.send("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root", stdin=(
            "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> backup\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
            "Content-Transfer-Encoding: 8bit\nX-Cron-Env: <HOME=/root>\n\n"
            "Gr\u00fc\u00dfe\n10%\r100%\n.\nmore\n"))
        message = self.one_with("root@example.test", "backup")
        self.assertEqual(message["From"].addresses[0].addr_spec, "root@example.test")
        self.assertEqual(message["To"].addresses[0].addr_spec, "root@example.test")
        self.assertEqual(message["Return-Path"], "<root@example.test>")
        self.assertEqual(message["X-Cron-Env"], "<HOME=/root>")
        self.assertEqual(text_of(message), "Gr\u00fc\u00dfe\n10%\n100%\n.\nmore\n")
        self.assertIn("from localhost (uid 0)", message["Received"])
        self.assertIn("with ESMTPA", message["Received"])
        for field in ("Date", "Message-ID", "From", "Subject"):
            self.assertEqual(len(message.get_all(field)), 1, field)

    def test_text_alone_from_a_user_without_rights(self):
        self.send("root", user=NOBODY, stdin="the disk is full\n.\nnot this\n")
        message = self.one_with("root@example.test", "the disk is full")
        self.assertEqual(message["From"].addresses[0].addr_spec, "nobody@example.test")
        self.assertEqual(message["Return-Path"], "<nobody@example.test>")
        self.assertEqual(text_of(message), "the disk is full\n")
        self.assertIn(f"(uid {NOBODY.pw_uid})", message["Received"])

    def test_bsd_mailx(self):
        rc = os.path.join(self.directory, "mailrc")
        with open(rc, "w") as file:
            file.write(f"set sendmail={self.sendmail}\n")
        self.run_as(NOBODY, "/usr/bin/bsd-mailx", "-s", "by bsd-mailx", "-c", "bob",
                    "alice@example.test", stdin="Hello from mailx\n", environment={"MAILRC": rc})
        for login in ("alice@example.test", "bob@example.test"):
            message = self.one_with(login, "by bsd-mailx")
            self.assertEqual(message["From"].addresses[0].addr_spec, "nobody@example.test")
            self.assertEqual(message["Cc"].addresses[0].addr_spec, "bob@example.test")
            self.assertEqual(text_of(message), "Hello from mailx\n")

    def test_s_nail(self):
        attachment = os.path.join(self.directory, "attachment.bin")
        with open(attachment, "wb") as file:
            file.write(bytes(range(256)) * 4000)
        self.run_as(NOBODY, "/usr/bin/s-nail", "-n", "-S", f"mta={self.sendmail}", "-S", "v15-compat",
                    "-s", "by s-nail", "-a", attachment, "-b", "bob@example.test",
                    "alice@example.test", stdin="Gr\u00fc\u00dfe\n",
                    environment={"MAILRC": "/dev/null", "LC_ALL": "C.UTF-8"})
        for login in ("alice@example.test", "bob@example.test"):
            message = self.one_with(login, "by s-nail")
            self.assertNotIn("Bcc", message)
            part = [p for p in message.walk() if p.get_filename() == "attachment.bin"][0]
            self.assertEqual(part.get_content(), bytes(range(256)) * 4000)

    def test_recipients_from_the_header(self):
        self.send("-t", "-oi", stdin=(
            "From: Alice <alice@example.test>\nTo: alice@example.test\nBcc: Bob <bob>,\n root\n"
            "Subject: hidden copies\n\nx\n"))
        for login in ("alice@example.test", "bob@example.test", "root@example.test"):
            message = self.one_with(login, "hidden copies")
            self.assertNotIn("Bcc", message)
            self.assertNotIn("Sender", message)  # root may write as anybody
        self.send("-t", stdin="To: alice@example.test\nResent-To: bob@example.test\n"
                              "Subject: resent only\n\nx\n")
        self.one_with("bob@example.test", "resent only")
        self.assertEqual(self.all_with("alice@example.test", "resent only"), [])

    def test_senders(self):
        self.send("-f", "alice@example.test", "-F", "Alice, A.", "bob", stdin="Subject: as alice\n\nx\n")
        message = self.one_with("bob@example.test", "as alice")
        self.assertEqual(message["Return-Path"], "<alice@example.test>")
        self.assertEqual(str(message["From"]), '"Alice, A." <alice@example.test>')
        # Untrusted: neither by the envelope, nor unseen in the header.
        refused = self.send("-f", "alice@example.test", "bob", user=NOBODY,
                            stdin="Subject: forged envelope\n\nx\n", status=NO_PERMISSION)
        self.assertIn(b"nobody@example.test", refused.stderr)
        self.send("bob", user=NOBODY,
                  stdin="From: Alice <alice@example.test>\nSubject: forged header\n\nx\n")
        message = self.one_with("bob@example.test", "forged header")
        self.assertEqual(message["Sender"].addresses[0].addr_spec, "nobody@example.test")
        self.assertEqual(message["Return-Path"], "<nobody@example.test>")
        # Not even root for another tenant's.
        self.send("-f", "x@other.example", "bob", stdin="x\n", status=NO_PERMISSION)
        self.send("-f", "<>", "bob", user=NOBODY, stdin="Subject: null sender\n\nx\n")
        self.assertEqual(self.one_with("bob@example.test", "null sender")["Return-Path"], "<>")
        self.assertEqual(self.all_with("bob@example.test", "forged envelope"), [])

    def test_exit_codes(self):
        refused = self.send("no-such-user", stdin="x\n", status=NO_USER)
        self.assertIn(b"5.1.1", refused.stderr)
        # The others get it.
        self.send("no-such-user", "bob", stdin="Subject: half refused\n\nx\n", status=NO_USER)
        self.one_with("bob@example.test", "half refused")
        self.send(stdin="x\n", status=USAGE)
        self.send("-Z", "bob", stdin="x\n", status=USAGE)
        self.send("-bd", stdin="", status=USAGE)
        self.send("-t", stdin="Subject: to nobody\n\nx\n", status=DATA_ERROR)
        self.send("a@b@c", stdin="x\n", status=DATA_ERROR)
        self.send("-q", stdin="")
        self.run_as(NOBODY, os.path.join(self.directory, "newaliases"))
        self.run_as(None, self.sendmail, "bob", stdin="x\n", status=CANNOT_CREATE, environment={
            "POSTHORN_SENDMAIL_SOCKET": "/none/socket", "POSTHORN_SENDMAIL_MAILDROP": "/none/maildrop"})
        self.run_as(None, self.sendmail, "bob", stdin="x\n", status=CONFIGURATION,
                    environment={"POSTHORN_SENDMAIL_SOCKET": "/" + "x" * 200})

    def test_dialogue(self):
        class Dialogue(smtplib.SMTP):
            """smtplib on the pipes of `sendmail -bs`."""

            def __init__(self, process):
                super().__init__(local_hostname="script.test")
                self.process = process
                self.file = process.stdout
                self.sock = self
                code, text = self.getreply()
                assert code == 220, text

            def sendall(self, data):
                self.process.stdin.write(data)
                self.process.stdin.flush()

            def close(self):
                pass

        process = subprocess.Popen(
            [self.sendmail, "-bs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[],
            env={**os.environ, "POSTHORN_SENDMAIL_SOCKET":
                 os.path.join(self.platform.data, "sendmail.sock")})
        try:
            client = Dialogue(process)
            client.ehlo()
            self.assertFalse(client.has_extn("auth"))
            self.assertTrue(client.has_extn("dsn"))
            client.sendmail("nobody@example.test", ["bob"], b"Subject: by dialogue\r\n\r\nx\r\n")
            self.assertEqual(client.mail("root")[0], 550)
            client.quit()
            self.assertEqual(process.wait(30), 0)
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.assertEqual(self.one_with("bob@example.test", "by dialogue")["Return-Path"],
                         "<nobody@example.test>")

    def test_success_is_told_where_it_is_asked_for(self):
        self.send("-N", "success", "-R", "hdrs", "-V", "cron=42", "bob", user=NOBODY,
                  stdin="Subject: tell me\n\nx\n")
        self.one_with("bob@example.test", "tell me")
        report = self.one_with("nobody@example.test", "Original-Envelope-Id: cron=42")
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertIn("Action: delivered", report.as_string())

    def test_many_recipients_and_octets(self):
        body = "".join(f"line {n}, and what stands in it\n" for n in range(60_000))
        header = "To: " + ",\n ".join(["bob"] + [f"none-{n}@example.test" for n in range(20)])
        self.send("-t", "-i", stdin=f"{header}\nSubject: large\n\n{body}", status=NO_USER)
        self.assertEqual(text_of(self.one_with("bob@example.test", "Subject: large")), body)

    # A reverse-path for each recipient

    def senders(self, text, count):
        """(reverse-path, recipients) of the messages with `text` that the other server took."""
        def found():
            messages = [m for m in list(self.near.messages) if text.encode() in m.data]
            return sorted((m.sender, m.recipients) for m in messages) \
                if len(messages) >= count else None
        return wait_until(found, 60, f"{count} messages {text}")

    def expect_verp(self, text, sender="alice"):
        self.assertEqual([re.search("<(.*)>", s).group(1) for s, _ in self.senders(text, 2)],
                         [f"{sender}+carol=near.example@example.test",
                          f"{sender}+dave=near.example@example.test"])
        for _, recipients in self.senders(text, 2):
            self.assertEqual(len(recipients), 1)
        message = self.one_with("bob@example.test", text)
        self.assertEqual(message["Return-Path"], f"<{sender}+bob=example.test@example.test>")
        # The bounce comes home by its tag, and says who it is about.
        wait_until(lambda: self.all_with(f"{sender}@example.test", f"{sender}+gone=near.example@"),
                   60, f"a bounce of {text}")

    def test_verp_by_option(self):
        self.send("-XV", "-f", "alice@example.test", "carol@near.example", "dave@near.example",
                  "gone@near.example", "bob", stdin="Subject: verp by option\n\nx\n")
        self.expect_verp("verp by option")

    def test_verp_by_submission(self):
        with self.platform.smtp("submission") as client:
            client.login("bob@example.test", "bob-secret")
            client.ehlo()
            self.assertTrue(client.has_extn("xverp"))
            client.sendmail("bob@example.test",
                            ["carol@near.example", "dave@near.example", "gone@near.example",
                             "bob@example.test"],
                            test_message("verp by submission", sender="bob@example.test"),
                            mail_options=["XVERP=+="])
        self.expect_verp("verp by submission", sender="bob")
        with self.platform.smtp("mx") as client:
            client.ehlo()
            self.assertFalse(client.has_extn("xverp"))

    def test_verp_by_the_api(self):
        key = self.platform.ctl("key", "add", "--tenant", "demo", "--description", "verp",
                                "--json")["secret"]
        send = Send(self.platform.ports().api, key)
        send("root@example.test", ["carol@near.example", "dave@near.example", "gone@near.example",
                                   "bob@example.test"],
             test_message("verp by the api", sender="root@example.test").encode(),
             verp_delimiters="+=")
        self.expect_verp("verp by the api", sender="root")

    # What waits

    def test_mailq(self):
        self.send("x@far.example", user=NOBODY, stdin="Subject: waits\n\nx\n")
        self.send("y@far.example", stdin="Subject: waits too\n\nx\n")
        own = wait_until(lambda: (t := self.mailq(NOBODY)) if "(" in self.mailq(NOBODY) else None, 60,
                         "a reason why it waits")
        self.assertIn("nobody@example.test\n", own)
        self.assertIn("x@far.example\n", own)
        self.assertNotIn("y@far.example", own)
        self.assertRegex(own, r"-- \d+ Kbytes in 1 Request\.\n")
        identifier = re.search(r"^([0-9a-f-]{36})", own, re.MULTILINE).group(1)
        self.assertIn("x@far.example", self.platform.ctl("queue", "show", identifier))
        everything = self.run_as(None, self.sendmail, "-bp").stdout.decode()
        self.assertIn("x@far.example\n", everything)
        self.assertIn("y@far.example\n", everything)
        self.platform.ctl("queue", "cancel", "--all")
        wait_until(lambda: self.mailq(NOBODY) == "Mail queue is empty\n", 60, "an empty queue")

    def test_while_the_platform_is_away(self):
        self.stop_platform()
        away = self.run_as(NOBODY, self.sendmail, "-bs", status=TRY_AGAIN)
        self.assertTrue(away.stdout.startswith(b"421 "), away.stdout)
        self.send("-i", "bob", user=NOBODY, stdin="Subject: spooled by nobody\n\n.\nx\n")
        self.send("-t", stdin="From: bob\nTo: alice\nBcc: bob\nSubject: spooled by root\n\nx\n")
        self.send("-f", "alice@example.test", "bob", user=NOBODY,
                  stdin="Subject: spooled and forged\n\nx\n")
        self.send("no-such-user", user=NOBODY, stdin="Subject: spooled for none\n\nx\n")
        # Only its owner and the platform may read what waits.
        platform = os.stat(self.maildrop)
        self.assertEqual(stat.S_IMODE(platform.st_mode), 0o3777)
        names = self.spooled()
        self.assertEqual(len(names), 4)
        for name in names:
            info = os.stat(os.path.join(self.maildrop, name))
            self.assertEqual(stat.S_IMODE(info.st_mode), 0o640)
            self.assertEqual(info.st_gid, platform.st_gid)
            self.assertIn(info.st_uid, (0, NOBODY.pw_uid))
        own = self.mailq(NOBODY)
        self.assertEqual(len(re.findall(r"^[0-9a-f-]{36}#", own, re.MULTILINE)), 3, own)
        self.assertNotIn("alice\n", own)
        self.assertEqual(len(re.findall(r"^[0-9a-f-]{36}#", self.mailq(), re.MULTILINE)), 4)
        # What others might put there.
        os.symlink("/etc/passwd", os.path.join(self.maildrop, "link"))
        copies = os.path.join(self.directory, "copies")
        shutil.copytree(self.maildrop, copies, symlinks=True)

        self.platform.launch()
        wait_until(lambda: not self.spooled() or self.spooled() == ["link"], 60,
                   lambda: f"{self.spooled()} to be gone\n{self.platform.process.tail()}")
        message = self.one_with("bob@example.test", "spooled by nobody")
        self.assertEqual(message["Return-Path"], "<nobody@example.test>")
        self.assertEqual(text_of(message), ".\nx\n")
        self.assertIn(f"(uid {NOBODY.pw_uid})", message["Received"])
        for login in ("alice@example.test", "bob@example.test"):
            message = self.one_with(login, "spooled by root")
            self.assertEqual(message["From"].addresses[0].addr_spec, "bob@example.test")
            self.assertNotIn("Bcc", message)
        # Who has left is told by mail.
        for subject, status in (("forged", "5.7.1"), ("for none", "5.1.1")):
            report = self.one_with("nobody@example.test", f"spooled {'and ' * (status == '5.7.1')}{subject}")
            self.assertEqual(report["Return-Path"], "<>")
            self.assertIn(f"Status: {status}", report.as_string())
        self.assertEqual(self.all_with("alice@example.test", "and forged"), [])

        # As if it had died between taking a message and removing its file: all of them again.
        before = {login: len(self.platform.messages(login)) for login in self.platform.passwords}
        for name in names:
            copy = os.path.join(copies, name)
            with open(copy, "rb") as file:
                owner = 0 if b"by root" in file.read() else NOBODY.pw_uid
            new = os.path.join(self.maildrop, "." + name)
            shutil.copyfile(copy, new)
            os.chown(new, owner, platform.st_gid)
            os.chmod(new, 0o640)
            times = os.stat(copy)
            os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
            os.rename(new, os.path.join(self.maildrop, name))
        wait_until(lambda: not set(self.spooled()) & set(names), 60, "the maildrop to be empty")
        # Behind them in the same queues, so that they have had their turn.
        self.send("root", "nobody", "alice", "bob", stdin="Subject: last of all\n\nx\n")
        for login in ("root", "nobody", "alice", "bob"):
            self.one_with(f"{login}@example.test", "last of all")
        after = {login: len(self.platform.messages(login)) for login in self.platform.passwords}
        self.assertEqual(after, {login: count + 1 for login, count in before.items()})


if __name__ == "__main__":
    unittest.main()
