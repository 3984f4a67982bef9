"""Logging in with real clients: curl, swaks, GNU SASL's gsasl, imaplib, smtplib, poplib; with
passwords, SCRAM, application passwords, tokens, and hashes of other systems; and not logging in."""

import base64
import crypt
import hashlib
import imaplib
import json
import os
import poplib
import smtplib
import subprocess
import time
import unittest

from tests.support.platform import ServePlatform, SplitPlatform, _unverified, test_message
from tests.support.processes import remove_directory, temporary_directory, wait_until

ALICE = "alice@example.test"
ISSUER = "https://id.example.test"


def url64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with RS256, by the openssl command."""

    def __init__(self, directory):
        self.key = os.path.join(directory, "issuer.pem")
        self.jwks = os.path.join(directory, "jwks.json")
        os.chmod(directory, 0o755)
        self.rotate()

    def rotate(self):
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True,
                       stderr=subprocess.DEVNULL)
        out = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        modulus = bytes.fromhex(out.strip().partition("=")[2])
        key = {"kty": "RSA", "kid": "1", "n": url64(modulus), "e": "AQAB", "use": "sig"}
        with open(self.jwks + ".new", "w") as file:
            json.dump({"keys": [key]}, file)
        os.chmod(self.jwks + ".new", 0o644)
        os.rename(self.jwks + ".new", self.jwks)

    def token(self, email, lifetime=300, **claims):
        claims = {"iss": ISSUER, "aud": "mail", "exp": int(time.time()) + lifetime, "email": email,
                  **claims}
        signed = ".".join(url64(json.dumps(part).encode())
                          for part in ({"alg": "RS256", "kid": "1"}, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=signed.encode(), stdout=subprocess.PIPE, check=True).stdout
        return signed + "." + url64(signature)


def xoauth2(user, token):
    return f"user={user}\1auth=Bearer {token}\1\1"


def imap_login(client, mechanism, message):
    """AUTHENTICATE with one message; complaints of the server are acknowledged."""
    answers = [message.encode(), b""]
    return client.authenticate(mechanism, lambda challenge: answers.pop(0) if answers else b"")


class AuthenticationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("issuer")
        cls.issuer = Issuer(cls.directory)
        cls.platform = ServePlatform(plaintext_auth=False, config={"gateway": {"authentication": {
            "failure_delay_milliseconds": 10, "failure_delay_maximum_milliseconds": 20,
            "failures_per_login": 1000, "failures_per_account": 10000,
            "token_issuers": [{"issuer": ISSUER, "audience": "mail",
                               "jwks_file": cls.issuer.jwks}]}}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        remove_directory(cls.directory)

    def port(self, role):
        return self.platform.ports().listeners[role]

    def smtp(self):
        client = self.platform.smtp("submission")
        self.addCleanup(client.close)
        client.starttls(context=_unverified())
        client.ehlo()
        return client

    def imap(self):
        client = self.platform.imap(tls=True)
        self.addCleanup(client.shutdown)
        return client

    def pop3(self):
        client = self.platform.pop3(tls=True)
        self.addCleanup(client.close)
        return client

    def gsasl(self, protocol, mechanism, password, *args, user=ALICE):
        port = self.port("submission" if protocol == "smtp" else "imap")
        return subprocess.run(
            ["gsasl", "--client", f"--{protocol}", "--mechanism", mechanism, "-a", user, "-p",
             password, "--verbose", "--x509-ca-file=", "--hostname", "localhost", *args,
             "127.0.0.1", str(port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60)

    def test_gsasl_logs_in_by_scram(self):
        for protocol in ("smtp", "imap"):
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
                args = ["--no-cb"] if mechanism == "SCRAM-SHA-256" else []
                with self.subTest(protocol=protocol, mechanism=mechanism):
                    good = self.gsasl(protocol, mechanism, "alice-secret", *args)
                    self.assertEqual(good.returncode, 0, good.stdout)
                    self.assertIn("authentication finished (server trusted)", good.stdout)
                    bad = self.gsasl(protocol, mechanism, "wrong", *args)
                    self.assertNotEqual(bad.returncode, 0, bad.stdout)
                    self.assertRegex(bad.stdout, "535 5.7.8|NO \\[AUTHENTICATIONFAILED\\]")
                    nobody = self.gsasl(protocol, mechanism, "x", *args, user="nobody@example.test")
                    self.assertNotEqual(nobody.returncode, 0, nobody.stdout)

    def test_curl_and_swaks(self):
        for login in ("AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"):
            for role in ("submissions", "imaps", "pop3s"):
                scheme = "smtps" if role == "submissions" else role
                args = (["--mail-from", ALICE, "--mail-rcpt", ALICE, "--upload-file", "-"]
                        if role == "submissions" else [])
                for password, works in (("alice-secret", True), ("wrong", False)):
                    result = subprocess.run(
                        ["curl", "-sS", "-k", "--max-time", "30", "--user", f"{ALICE}:{password}",
                         "--login-options", login, f"{scheme}://127.0.0.1:{self.port(role)}/",
                         *args],
                        input=test_message("curl").encode(), stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
                    self.assertEqual(result.returncode == 0, works,
                                     (login, role, password, result.stderr))
        for mechanism in ("PLAIN", "LOGIN"):
            for password, works in (("alice-secret", True), ("wrong", False)):
                result = subprocess.run(
                    ["swaks", "--server", "127.0.0.1", "--port", str(self.port("submission")),
                     "--tls", "--auth", mechanism, "--auth-user", ALICE, "--auth-password",
                     password, "--quit-after", "AUTH"],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(result.returncode == 0, works, result.stdout)

    def test_curl_by_bearer_token(self):
        token = self.issuer.token(ALICE)
        for role in ("submissions", "imaps", "pop3s"):
            scheme = "smtps" if role == "submissions" else role
            args = (["--mail-from", ALICE, "--mail-rcpt", ALICE, "--upload-file", "-"]
                    if role == "submissions" else [])
            for mechanism in ("OAUTHBEARER", "XOAUTH2"):
                for given, works in ((token, True), (self.issuer.token(ALICE, -3600), False)):
                    result = subprocess.run(
                        ["curl", "-sS", "-k", "--max-time", "30", "--user", ALICE,
                         "--oauth2-bearer", given, "--login-options", f"AUTH={mechanism}",
                         f"{scheme}://127.0.0.1:{self.port(role)}/", *args],
                        input=test_message("curl").encode(), stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
                    self.assertEqual(result.returncode == 0, works,
                                     (role, mechanism, works, result.stderr))

    def test_python_clients(self):
        smtp = self.smtp()
        for name in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2"):
            self.assertIn(name, smtp.esmtp_features["auth"].split())
        with self.assertRaises(smtplib.SMTPAuthenticationError) as caught:
            smtp.login(ALICE, "wrong")
        self.assertEqual(caught.exception.smtp_code, 535)
        self.assertEqual(smtp.login(ALICE, "alice-secret")[0], 235)
        smtp = self.smtp()
        smtp.user, smtp.password = ALICE, "alice-secret"
        self.assertEqual(smtp.auth("LOGIN", smtp.auth_login)[0], 235)
        smtp = self.smtp()
        code, _ = smtp.auth("XOAUTH2", lambda _=None: xoauth2(ALICE, self.issuer.token(ALICE)))
        self.assertEqual(code, 235)
        imap = self.imap()
        self.assertEqual(imap_login(imap, "XOAUTH2", xoauth2(ALICE, self.issuer.token(ALICE)))[0],
                         "OK")
        self.assertEqual(imap.select("INBOX")[0], "OK")
        imap = self.imap()
        self.assertEqual(imap_login(imap, "PLAIN", f"\0{ALICE}\0alice-secret")[0], "OK")
        pop3 = self.pop3()
        self.assertIn("SCRAM-SHA-256-PLUS", pop3.capa()["SASL"])
        message = base64.b64encode(f"\0{ALICE}\0alice-secret".encode()).decode()
        self.assertTrue(pop3._shortcmd(f"AUTH PLAIN {message}").startswith(b"+OK"))
        self.assertGreaterEqual(pop3.stat()[0], 0)

    def test_tokens_that_are_refused(self):
        other = temporary_directory("other-issuer")
        self.addCleanup(remove_directory, other)
        stranger = Issuer(other)
        for token in (self.issuer.token(ALICE, -3600), self.issuer.token("bob@example.test"),
                      self.issuer.token(ALICE, aud="other"), stranger.token(ALICE),
                      self.issuer.token(ALICE, iss="https://evil.test"),
                      self.issuer.token(ALICE, email_verified=False), "nonsense",
                      url64(b'{"alg":"none"}') + "." + self.issuer.token(ALICE).split(".")[1] + "."):
            with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
                imap_login(self.imap(), "XOAUTH2", xoauth2(ALICE, token))
        # The keys may change while the server runs.
        old = self.issuer.token(ALICE)
        self.issuer.rotate()

        def new_key_is_known():
            try:
                return imap_login(self.imap(), "XOAUTH2",
                                  xoauth2(ALICE, self.issuer.token(ALICE)))[0] == "OK"
            except imaplib.IMAP4.error:
                return False

        wait_until(new_key_is_known, 30, "the new key is known")
        with self.assertRaises(imaplib.IMAP4.error):
            imap_login(self.imap(), "XOAUTH2", xoauth2(ALICE, old))

    def test_app_passwords(self):
        ctl = self.platform.ctl
        self.platform.add_account("dora@example.test", "dora-secret")
        added = ctl("--json", "app-password", "add", "dora@example.test",
                               "--description", "phone", "--service", "imap", "--service", "smtp")
        secret, number = added["secret"], str(added["app_password"]["app_password_id"])
        self.assertRegex(secret, r"^([a-z2-9]{4}-){5}[a-z2-9]{4}$")
        self.assertEqual(self.imap().login("dora@example.test", secret)[0], "OK")
        self.assertEqual(self.smtp().login("dora@example.test", secret)[0], 235)
        scram = self.gsasl("imap", "SCRAM-SHA-256-PLUS", secret, user="dora@example.test")
        self.assertEqual(scram.returncode, 0, scram.stdout)
        pop3 = self.pop3()
        pop3.user("dora@example.test")
        with self.assertRaises(poplib.error_proto):
            pop3.pass_(secret)
        listed = ctl("app-password", "list", "dora@example.test")
        self.assertIn("phone", listed)
        self.assertIn("imap, smtp", listed)
        self.assertNotIn(secret, listed)
        self.assertIn("phone", ctl("app-password", "show", number))
        ctl("account", "require-app-passwords", "dora@example.test", "on")
        with self.assertRaises(imaplib.IMAP4.error):
            self.imap().login("dora@example.test", "dora-secret")
        self.assertEqual(self.imap().login("dora@example.test", secret)[0], "OK")
        ctl("account", "require-app-passwords", "dora@example.test", "off")
        self.assertEqual(self.imap().login("dora@example.test", "dora-secret")[0], "OK")
        ctl("app-password", "remove", number)
        with self.assertRaises(imaplib.IMAP4.error):
            self.imap().login("dora@example.test", secret)
        self.assertEqual(ctl("app-password", "show", number, check=False).returncode, 1)

    def test_hashes_of_other_systems(self):
        salted = hashlib.sha1(b"secret" + b"salt").digest() + b"salt"
        hashes = {
            "ssha": "{SSHA}" + base64.b64encode(salted).decode(),
            "sha512": "{SHA512-CRYPT}" + crypt.crypt("secret", "$6$saltsalt"),
            "bcrypt": "{BLF-CRYPT}" + crypt.crypt("secret", "$2y$05$abcdefghijklmnopqrstuu"),
            "yescrypt": crypt.crypt("secret", "$y$j9T$saltsaltsaltsalt$"),
        }
        path = os.path.join(self.directory, "accounts.csv")
        with open(path, "w") as file:
            file.write("address,password,password_hash\n")
            for name, value in hashes.items():
                file.write(f'{name}@example.test,,"{value}"\n')
            file.write("typed@example.test,secret,\n")
            file.write('broken@example.test,,"$1$md5$hash"\n')
        result = self.platform.ctl("account", "import", path, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("broken@example.test: a password hash of a kind that is not known",
                      result.stderr)
        for name in [*hashes, "typed"]:
            login = f"{name}@example.test"
            with self.subTest(scheme=name):
                with self.assertRaises(imaplib.IMAP4.error):
                    self.imap().login(login, "wrong")
                self.assertEqual(self.imap().login(login, "secret")[0], "OK")
                # The first login has made the keys.
                scram = self.gsasl("imap", "SCRAM-SHA-256-PLUS", "secret", user=login)
                self.assertEqual(scram.returncode, 0, scram.stdout)
        self.platform.ctl("account", "password", "--hash", "typed@example.test",
                          stdin=hashes["bcrypt"] + "\n")
        self.assertEqual(self.imap().login("typed@example.test", "secret")[0], "OK")

    def test_nothing_without_tls(self):
        with self.assertRaises(smtplib.SMTPNotSupportedError):
            client = self.platform.smtp("submission")
            self.addCleanup(client.close)
            client.login(ALICE, "alice-secret")
        self.assertEqual(client.docmd("AUTH", "SCRAM-SHA-256 biws")[0], 538)
        imap = self.platform.imap()
        self.addCleanup(imap.shutdown)
        self.assertIn("LOGINDISABLED", imap.capabilities)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED"):
            imap_login(imap, "PLAIN", f"\0{ALICE}\0alice-secret")
        pop3 = self.platform.pop3()
        self.addCleanup(pop3.close)
        self.assertNotIn("SASL", pop3.capa())
        with self.assertRaisesRegex(poplib.error_proto, r"\[AUTH\]"):
            pop3._shortcmd("AUTH PLAIN")


class LockoutTest(unittest.TestCase):
    """Two gateways that share what they count."""

    @classmethod
    def setUpClass(cls):
        cls.platform = SplitPlatform(config={"gateway": {"authentication": {
            "failure_delay_milliseconds": 50, "failure_delay_maximum_milliseconds": 200,
            "failures_per_login": 4, "lockout_seconds": 600, "replicas": 2}}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()

    def attempt(self, login, password, replica=0):
        client = self.platform.imap(replica=replica, tls=True)
        try:
            return client.login(login, password)[0]
        except imaplib.IMAP4.error as error:
            return str(error)
        finally:
            client.shutdown()

    def test_guessing_locks_out_everywhere_until_cleared(self):
        refused = self.attempt("bob@example.test", "wrong")
        self.assertIn("AUTHENTICATIONFAILED", refused)
        for number in range(3):
            self.assertEqual(self.attempt("bob@example.test", "wrong", number % 2), refused)
        # The right password does not help now, and reads like a wrong one.
        for replica in (0, 1):
            self.assertEqual(self.attempt("bob@example.test", "bob-secret", replica), refused)
        self.assertEqual(self.attempt(ALICE, "alice-secret"), "OK")
        listed = self.platform.ctl("--json", "lockout", "list")
        self.assertEqual([entry["subject"] for entry in listed],
                         ["login:bob@example.test from 127.0.0.0/24"])
        self.assertGreater(listed[0]["seconds_left"], 500)
        # Redis going away lets nobody in who was kept out.
        self.platform.redis.kill()
        for replica in (0, 1):
            self.assertEqual(self.attempt("bob@example.test", "bob-secret", replica), refused)
        self.assertEqual(self.attempt(ALICE, "alice-secret"), "OK")
        self.platform.redis.start()

        def locked_again():
            self.attempt("bob@example.test", "wrong")
            return "login:bob" in self.platform.ctl("lockout", "list", check=False).stdout

        wait_until(locked_again, 30, "the lock-out is listed again")
        self.platform.ctl("lockout", "clear", "login:bob@example.test from 127.0.0.0/24")
        for replica in (0, 1):
            self.assertEqual(self.attempt("bob@example.test", "bob-secret", replica), "OK")
        result = self.platform.ctl("lockout", "clear", "login:nobody from nowhere", check=False)
        self.assertEqual(result.returncode, 1)


if __name__ == "__main__":
    unittest.main()
