"""Roundcube before a running platform, used by somebody with a browser: Chromium without a window
logs in, reads, searches, moves and sends, and the mailboxes show that it happened."""

import email
import email.policy
import json
import os
import shutil
import signal
import subprocess
import unittest

from tests.support.platform import ServePlatform, test_message, wait_for_messages
from tests.support.processes import (Process, find_program, free_port, remove_directory,
                                     temporary_directory, unprivileged_user)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PAGE = (b"From: Anna <a@outside.example>\r\nTo: alice@example.test\r\nSubject: A page\r\n"
        b"Date: Mon, 02 Mar 2020 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
        b'--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
        b"--a\r\nContent-Type: text/plain\r\n\r\nFor those without HTML.\r\n"
        b"--a\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<html><body><p>Viele <b>Gr=C3=BC=C3=9Fe</b> hier.</p>"
        b"<script>window.attacked = true</script>"
        b'<img src=3D"nothing:" onerror=3D"window.attacked = true"></body></html>\r\n'
        b"--a--\r\n"
        b'--m\r\nContent-Type: application/octet-stream; name="bytes.bin"\r\n'
        b"Content-Disposition: attachment; filename=bytes.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF/v8=\r\n--m--\r\n")


class WebmailTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform()
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()
        cls.directory = temporary_directory("webmail")
        cls.addClassCleanup(remove_directory, cls.directory)
        port = free_port()
        cls.url = f"http://127.0.0.1:{port}/"
        # As the image runs it: not as root, for whom alone the sources may be readable.
        serve = shutil.copy(os.path.join(ROOT, "docker/webmail/serve"), cls.directory)
        shutil.copy(os.path.join(ROOT, "docker/webmail/config.inc.php"), cls.directory)
        data = os.path.join(cls.directory, "roundcube")
        os.mkdir(data)
        user = unprivileged_user("nobody")
        if user:
            os.chown(data, user.pw_uid, user.pw_gid)
        listeners = cls.platform.ports().listeners
        cls.roundcube = Process(
            "roundcube", [serve, f"127.0.0.1:{port}"], cls.directory, cwd=cls.directory, user=user, env={
                "WEBMAIL_DATA": data,
                "WEBMAIL_IMAP": f"ssl://127.0.0.1:{listeners['imaps']}",
                "WEBMAIL_SMTP": f"ssl://127.0.0.1:{listeners['submissions']}"}).start()
        cls.addClassCleanup(cls.roundcube.stop, sig=signal.SIGINT)
        cls.roundcube.wait_for_port(port)

    def browse(self, login):
        # npm reads the lock file beside the script: the same versions everywhere.
        for name in ("package.json", "package-lock.json", "session.mjs"):
            shutil.copy(os.path.join(ROOT, "tests/e2e/webmail", name), self.directory)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=self.directory,
                       check=True, timeout=240)
        result = subprocess.run(
            ["node", "session.mjs", find_program("chromium-headless-shell"), self.url, login,
             self.platform.passwords[login], self.directory], cwd=self.directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=280)
        self.assertEqual(result.returncode, 0, f"{result.stderr}\n{self.roundcube.tail()}")
        return json.loads(result.stdout)

    def test_somebody_logs_in_reads_searches_moves_and_sends(self):
        login = "alice@example.test"
        for data in (PAGE, test_message("To be moved", to=login).encode(),
                     test_message("Plain words", "With a needle in it.\r\n", to=login).encode()):
            with self.platform.smtp("mx") as client:
                client.sendmail("a@outside.example", [login], data)
        seen = self.browse(login)
        self.assertEqual(seen["folders"], ["Inbox", "Drafts", "Sent", "Junk", "Trash", "Archive"])
        self.assertIn("Viele Gr\u00fc\u00dfe hier.", seen["text"])
        self.assertEqual(seen["bold"], "Gr\u00fc\u00dfe")
        self.assertEqual((seen["scripts"], seen["run"]), (0, False))
        self.assertEqual(seen["attachment"], "bytes.bin")
        self.assertEqual(seen["content"].encode("latin1"), b"\0\1\2\3\4\5\xfe\xff")
        self.assertEqual(seen["found"], ["Plain words"])

        def subjects(mailbox):
            return [email.message_from_bytes(m)["Subject"]
                    for m in self.platform.messages(login, mailbox)]
        self.assertEqual(subjects("INBOX"), ["A page", "Plain words"])
        self.assertEqual(subjects("Archive"), ["To be moved"])
        with self.platform.imap(login) as client:
            client.select("INBOX", readonly=True)
            self.assertEqual(client.search(None, "SEEN"), ("OK", [b"1"]))
        arrived = wait_for_messages(self.platform, "bob@example.test", 1)
        sent = self.platform.messages(login, "Sent")
        self.assertEqual((len(arrived), len(sent)), (1, 1))
        for data in arrived + sent:
            message = email.message_from_bytes(data, policy=email.policy.default)
            self.assertEqual(message["Subject"], "Gr\u00fc\u00dfe by Roundcube")
            self.assertEqual(message["From"], login)
            self.assertIn("Written in a browser: \u00e4\u00f6\u00fc \u20ac.",
                          message.get_body(("plain",)).get_content())
            attached, = message.iter_attachments()
            self.assertEqual(attached.get_filename(), "numbers.csv")
            self.assertEqual(attached.get_payload(decode=True), b"a;b\r\n1;2\r\n")


if __name__ == "__main__":
    unittest.main()
