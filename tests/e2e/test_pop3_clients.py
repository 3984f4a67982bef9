"""getmail and fetchmail fetch a mailbox, and the wait between logins holds over all gateways."""

import os
import poplib
import subprocess
import unittest

from tests.support.platform import SplitPlatform, test_message, wait_for_messages
from tests.support.processes import (find_program, remove_directory, temporary_directory,
                                     unprivileged_user)

DELAY = 600


class Pop3ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = SplitPlatform(config={
            "gateway": {"limits": {"pop3_login_delay_seconds": DELAY}}})
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()

    def setUp(self):
        self.directory = temporary_directory("pop3")
        self.addCleanup(remove_directory, self.directory)

    def account(self, name, subjects):
        """A new account with mail: each may log in once for now."""
        login = f"{name}@example.test"
        self.platform.add_account(login, f"{name}-secret")
        with self.platform.smtp("mx") as client:
            for subject in subjects:
                client.sendmail("x@outside.example", [login], test_message(
                    subject, body=".dot at the start\r\nGr\u00fc\u00dfe\r\n").encode())
        wait_for_messages(self.platform, login, len(subjects))
        return login

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
        return path

    def run_client(self, *arguments):
        # getmail delivers for anybody but root.
        user = unprivileged_user("nobody")
        if user:
            for name in (".", *os.listdir(self.directory)):
                os.chown(os.path.join(self.directory, name), user.pw_uid, user.pw_gid)
        result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                user=user.pw_uid if user else None,
                                group=user.pw_gid if user else None,
                                text=True, timeout=120, cwd=self.directory,
                                env=dict(os.environ, HOME=self.directory))
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def assert_fetched(self, login, subjects, fetched):
        for subject in subjects:
            self.assertEqual(fetched.count(f"Subject: {subject}\n".encode()), 1, fetched)
        self.assertEqual(fetched.count(b"\n.dot at the start\n"), len(subjects))
        self.assertEqual(fetched.count("\nGr\u00fc\u00dfe\n".encode()), len(subjects))
        self.assertEqual(self.platform.messages(login), [], "deleted after they were fetched")

    def test_getmail(self):
        login = self.account("getmail", ["one", "two"])
        mbox = self.write("mbox", "")
        self.write("getmailrc", f"""
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = {self.platform.ports().listeners['pop3s']}
username = {login}
password = getmail-secret

[destination]
type = Mboxrd
path = {mbox}

[options]
delete = true
""")
        self.run_client(find_program("getmail"), "--getmaildir", self.directory, "--rcfile",
                        "getmailrc")
        with open(mbox, "rb") as file:
            self.assert_fetched(login, ["one", "two"], file.read())

    def test_fetchmail(self):
        login = self.account("fetchmail", ["three", "four"])
        mbox = os.path.join(self.directory, "mbox")
        rc = self.write("fetchmailrc", (
            f"poll 127.0.0.1 protocol POP3 port {self.platform.ports(1).listeners['pop3']} uidl "
            f'user "{login}" password "fetchmail-secret" sslproto "TLS1.2+" no sslcertck '
            f'mda "cat >> {mbox}; echo >> {mbox}"\n'))
        self.run_client(find_program("fetchmail"), "-f", rc, "--pidfile",
                        os.path.join(self.directory, "pid"), "-i",
                        os.path.join(self.directory, "ids"))
        with open(mbox, "rb") as file:
            self.assert_fetched(login, ["three", "four"], file.read())

    def test_the_next_login_waits_on_every_gateway(self):
        login = self.account("hasty", ["five"])
        with self.assertRaises(poplib.error_proto) as refused:
            self.platform.pop3(login, replica=1).quit()
            self.platform.pop3(login, replica=0).quit()
        self.assertTrue(refused.exception.args[0].startswith(b"-ERR [LOGIN-DELAY] "), refused)
        capabilities = self.platform.pop3().capa()
        self.assertEqual(capabilities["LOGIN-DELAY"], [str(DELAY)])
        self.assertEqual(capabilities["EXPIRE"], ["NEVER"])


if __name__ == "__main__":
    unittest.main()
