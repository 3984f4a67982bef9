"""TLS as others see it: certificates chosen by the name a client asks for and read again without a
restart, and testssl.sh's opinion of every way to a mailbox."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import unittest

from tests.support.platform import ServePlatform
from tests.support.processes import (find_program, remove_directory, temporary_directory,
                                     wait_until)

# Listener, and what testssl.sh and openssl call its upgrade; none: TLS from the first octet.
WAYS = (("submission", "smtp"), ("submissions", None), ("imap", "imap"), ("imaps", None),
        ("pop3", "pop3"), ("pop3s", None))


def make_certificate(directory, name, *names):
    """A self-signed certificate whose common name is `name`; files that any user may read."""
    os.makedirs(directory, exist_ok=True)
    files = [os.path.join(directory, kind) for kind in ("certificate.pem", "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names),
                    "-out", files[0], "-keyout", files[1]], check=True, stderr=subprocess.DEVNULL)
    for path in files:
        os.chmod(path, 0o644)
    return {"certificate_file": files[0], "key_file": files[1]}


class CertificatesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("sni")
        one = make_certificate(os.path.join(cls.directory, "one"), "one", "mail.one.test")
        two = make_certificate(os.path.join(cls.directory, "two"), "two", "*.two.test")
        three = make_certificate(os.path.join(cls.directory, "three"), "three", "unused.test")
        three["names"] = ["mail.three.test"]
        cls.platform = ServePlatform(demo=False, config={"tls": {"certificates": [one, two, three]}})
        cls.platform.start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        remove_directory(cls.directory)

    def certificate(self, role, upgrade, name):
        """The certificate's common name and serial number that a client asking for `name` sees."""
        port = self.platform.ports().listeners[role]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
        command += ["-starttls", upgrade] if upgrade else []
        command += ["-servername", name] if name else ["-noservername"]
        shown = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, timeout=60).stdout
        text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-serial", "-nameopt",
                               "multiline"], input=shown, stdout=subprocess.PIPE, check=True,
                              timeout=60).stdout.decode()
        return (re.search(r"commonName\s*= (\S+)", text).group(1),
                re.search(r"serial=(\S+)", text).group(1))

    def test_the_name_chooses_the_certificate_on_every_listener(self):
        for role, upgrade in WAYS + (("mx", "smtp"), ("lmtp", "lmtp")):
            for name, expected in (("mail.one.test", "one"), ("MAIL.one.test", "one"),
                                   ("a.two.test", "two"), ("mail.three.test", "three"),
                                   ("unused.test", "mail.example.test"),
                                   ("a.b.two.test", "mail.example.test"),
                                   (None, "mail.example.test")):
                with self.subTest(role=role, name=name):
                    self.assertEqual(self.certificate(role, upgrade, name)[0], expected)

    def test_rotated_files_are_read_without_a_restart(self):
        old = self.certificate("imaps", None, "mail.one.test")
        make_certificate(os.path.join(self.directory, "one"), "rotated", "mail.one.test")
        self.assertEqual(self.certificate("imaps", None, "mail.one.test"), old)
        os.kill(self.platform.process.pid, signal.SIGHUP)
        wait_until(lambda: self.certificate("imaps", None, "mail.one.test")[0] == "rotated", 30,
                   "the rotated certificate")
        for role, upgrade in WAYS:
            self.assertEqual(self.certificate(role, upgrade, "mail.one.test")[0], "rotated")
        # A broken file changes nothing, and says so.
        with open(os.path.join(self.directory, "two", "key.pem"), "w") as file:
            file.write("broken")
        os.kill(self.platform.process.pid, signal.SIGHUP)
        wait_until(lambda: "certificates not read again" in self.platform.process.tail(), 30,
                   "the complaint")
        self.assertEqual(self.certificate("imaps", None, "a.two.test")[0], "two")
        make_certificate(os.path.join(self.directory, "two"), "two", "*.two.test")
        make_certificate(os.path.join(self.directory, "one"), "one", "mail.one.test")
        os.kill(self.platform.process.pid, signal.SIGHUP)
        wait_until(lambda: self.certificate("imaps", None, "mail.one.test")[0] == "one", 30,
                   "the certificate")


class TestsslTest(unittest.TestCase):
    """What costs minutes and says nothing about a server is left out: client simulations, HTTP."""

    CHECKS = ("--protocols", "--std", "--server-preference", "--server-defaults", "--vulnerable",
              "--pfs")
    # Of a certificate that a development authority signed, which nobody trusts or can revoke.
    OF_THE_CERTIFICATE = {"cert_chain_of_trust", "cert_revocation"}

    @classmethod
    def setUpClass(cls):
        cls.directory = temporary_directory("testssl")
        cls.platform = ServePlatform(demo=False).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        remove_directory(cls.directory)

    def findings(self, way):
        role, upgrade = way
        port = self.platform.ports().listeners[role]
        output = os.path.join(self.directory, f"{role}.json")
        command = [find_program("testssl"), "--quiet", "--color", "0", "--warnings", "off",
                   "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", output, *self.CHECKS]
        command += ["--starttls", upgrade] if upgrade else []
        result = subprocess.run([*command, f"mail.example.test:{port}"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
                                cwd=self.directory)
        with open(output) as file:
            return json.load(file), result.stdout.decode("utf-8", "replace")

    def test_no_finding_is_above_low(self):
        ways = [way for way in WAYS if way[0] not in ("imap", "pop3")]
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
            for way, (findings, text) in zip(ways, pool.map(self.findings, ways)):
                with self.subTest(way):
                    checked = {finding["id"] for finding in findings}
                    self.assertTrue({"TLS1_2", "TLS1_3", "heartbleed", "LUCKY13"} <= checked, text)
                    bad = [finding for finding in findings
                           if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and
                           finding["id"].split(" ")[0] not in self.OF_THE_CERTIFICATE]
                    self.assertEqual(bad, [], text)


if __name__ == "__main__":
    unittest.main()
