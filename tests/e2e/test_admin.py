"""posthornctl against a running platform."""

import json
import subprocess
import tempfile
import unittest

from tests.support.platform import POSTHORNCTL, ServePlatform


class AdminTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = ServePlatform().start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def ctl(self, *args, **kwargs):
        return self.platform.ctl(*args, **kwargs)

    def test_tenant_domain_account_alias_and_key_have_a_whole_life(self):
        self.ctl("tenant", "add", "life")
        self.assertIn("life", [t["name"] for t in self.ctl("tenant", "list", "--json")])
        self.assertEqual(self.ctl("tenant", "show", "life", "--json")["name"], "life")
        self.ctl("domain", "add", "--tenant", "life", "Life.Example")
        self.assertEqual(self.ctl("domain", "show", "life.example", "--json")["tenant"], "life")
        self.ctl("account", "add", "Ann@life.example", stdin="first-password\n")
        self.assertEqual(self.ctl("account", "show", "ann@life.example", "--json")["address"],
                         "ann@life.example")
        self.ctl("alias", "add", "office@life.example", "ann@life.example", "out@remote.example")
        self.assertEqual(self.ctl("alias", "show", "office@life.example", "--json")["targets"],
                         ["ann@life.example", "out@remote.example"])
        key = self.ctl("key", "add", "--tenant", "life", "--description", "shop", "--json")
        self.assertGreater(len(key["secret"]), 20)
        self.assertNotIn(key["secret"], self.ctl("key", "list", "--tenant", "life"))

        self.platform.passwords["ann@life.example"] = "first-password"
        self.platform.imap("ann@life.example").logout()
        self.ctl("account", "password", "ann@life.example", stdin="second-password\n")
        with self.assertRaises(Exception):
            self.platform.imap("ann@life.example")
        self.platform.passwords["ann@life.example"] = "second-password"
        self.platform.imap("ann@life.example").logout()

        # What still has contents is not removed.
        for args in (("tenant", "remove", "life"), ("domain", "remove", "life.example")):
            self.assertNotEqual(self.ctl(*args, check=False).returncode, 0)
        self.ctl("key", "remove", str(key["key"]["key_id"] if "key" in key else key["key_id"]))
        self.ctl("alias", "remove", "office@life.example")
        self.ctl("account", "remove", "ann@life.example")
        self.ctl("domain", "remove", "life.example")
        self.ctl("tenant", "remove", "life")
        self.assertNotIn("life", [t["name"] for t in self.ctl("tenant", "list", "--json")])

    def test_errors_are_one_clear_line(self):
        for args, words in ((("tenant", "show", "nobody"), ("nobody",)),
                            (("account", "add", "no-at-sign"), ("no-at-sign",)),
                            (("domain", "add", "--tenant", "nobody", "x.example"), ("nobody",)),
                            (("tenant", "add", "Bad Name"), ("Bad Name",)),
                            (("tenant", "add", "demo"), ("demo",))):
            with self.subTest(args):
                result = self.ctl(*args, check=False, stdin="some-password\n")
                self.assertNotEqual(result.returncode, 0)
                lines = result.stderr.strip().splitlines()
                self.assertEqual(len(lines), 1, result.stderr)
                for word in words:
                    self.assertIn(word, lines[0])

    def test_nothing_answers_without_the_token(self):
        with tempfile.NamedTemporaryFile("w") as wrong:
            wrong.write("not-the-token\n")
            wrong.flush()
            result = subprocess.run(
                [POSTHORNCTL, "--target", f"127.0.0.1:{self.platform.ports().api}", "--plaintext",
                 "--token-file", wrong.name, "tenant", "list"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")

    def test_thousands_of_accounts_are_imported_and_log_in(self):
        self.ctl("domain", "add", "--tenant", "demo", "bulk.example")
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            for number in range(2000):
                file.write(f"user{number}@bulk.example,password-{number}\n")
            file.write("alice@example.test,already-there\n")
            file.write("nobody@not-ours.example,password\n")
            file.flush()
            result = self.ctl("account", "import", file.name, check=False,
                              timeout=500)  # 2,000 password hashes
        self.assertNotEqual(result.returncode, 0, "two rows could not be imported")
        self.assertIn("alice@example.test", result.stdout + result.stderr)
        self.assertIn("nobody@not-ours.example", result.stdout + result.stderr)
        self.platform.passwords["user1999@bulk.example"] = "password-1999"
        self.platform.imap("user1999@bulk.example").logout()
        self.platform.imap("alice@example.test").logout()


if __name__ == "__main__":
    unittest.main()
