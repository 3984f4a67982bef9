"""How mail leaves: smart hosts with a login, TLS by destination, DANE, MTA-STS and LMTP, with real
servers: Postfix, Dovecot, nsd with a signed zone, and a web server."""

import os
import unittest

from tests.support.certificates import Authority
from tests.support.dns_server import DnsServer
from tests.support.dovecot_lmtp import DovecotLmtp
from tests.support.https_server import PolicyServer
from tests.support.platform import SplitPlatform
from tests.support.postfix import Postfix
from tests.support.processes import temporary_directory, remove_directory, wait_until

BOB = "bob@example.test"
RELAY_USER = "relay@smart.example"
RELAY_PASSWORD = "relay-secret"

POLICY = "version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n"


def with_tls(files, **more):
    certificate, key = files
    return {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certificate,
            "smtpd_tls_key_file": key, "smtpd_tls_loglevel": "1",
            "smtpd_tls_received_header": "yes", **more}


def everything(user):
    """Takes mail for every domain of these tests, for one user."""
    return {"virtual_mailbox_domains": ", ".join(f"{name}.example" for name in (
        "secure", "plain", "named", "misnamed", "required", "dane", "rolled", "bogus", "broken",
        "anchored", "misanchored",
        "sts", "sts-other", "sts-clear", "sts-testing", "open")),
        "virtual_mailbox_maps": f"static:{user}/"}


def message(subject, sender=BOB):
    return f"From: {sender}\r\nTo: x@example.test\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()


class TransportSecurityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        os.chmod(cls.authority.directory, 0o755)
        cls.files = temporary_directory("transport")
        cls.dovecot = DovecotLmtp({RELAY_USER: RELAY_PASSWORD, "lily@lmtp.example": "x"}).start()
        relaying = {
            "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": cls.dovecot.auth, "smtpd_tls_auth_only": "yes",
            "mynetworks": "192.0.2.0/24",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject"}
        # The servers of domains that publish something; the certificate is for their names.
        certificate = cls.authority.issue("mx.secure.example", "mx.anchored.example")
        cls.secure = Postfix("secure.example", ["carol"], address="127.0.0.1",
                             settings=with_tls(certificate, **everything("carol"))).start()
        port = cls.secure.port
        cls.plain = Postfix("plain.example", ["dave"], address="127.0.0.2", port=port,
                            settings=everything("dave")).start()
        # STARTTLS and a login; and TLS from the start.
        cls.relay = Postfix("smart.example", ["erin"], address="127.0.0.3", port=port,
                            settings=with_tls(cls.authority.issue("127.0.0.3"), **relaying)).start()
        cls.smtps = Postfix("static.example", ["fay"], address="127.0.0.4", port=port,
                            settings=with_tls(cls.authority.issue("127.0.0.4"),
                                              smtpd_tls_wrappermode="yes",
                                              # Only this one is left.
                                              smtpd_sasl_mechanism_filter="plain",
                                              **relaying)).start()
        cls.servers = [cls.secure, cls.plain, cls.relay, cls.smtps]
        cls.web = PolicyServer(cls.authority, {
            "sts.example": POLICY.format(mode="enforce", mx="mx.secure.example"),
            "sts-other.example": POLICY.format(mode="enforce", mx="*.elsewhere.example"),
            "sts-clear.example": POLICY.format(mode="enforce", mx="mx.plain.example"),
            "sts-testing.example": POLICY.format(mode="testing", mx="mx.elsewhere.example")})
        good = cls.authority.tlsa(certificate[0])
        wrong = good[::-1]
        cls.records = [
            "mx.secure.example. IN A 127.0.0.1", "mx.plain.example. IN A 127.0.0.2",
            "named.example. IN MX 10 mx.secure.example.",
            "misnamed.example. IN MX 10 mx.secure.example.",
            "required.example. IN MX 10 mx.plain.example."]
        # A name of its own for each, because TLSA records are the host's.
        for name, data in (("dane", good), ("rolled", wrong), ("bogus", good)):
            cls.records += [f"{name}.example. IN MX 10 mx.{name}.example.",
                            f"mx.{name}.example. IN A 127.0.0.1",
                            f"_{port}._tcp.mx.{name}.example. IN TLSA 3 0 1 {data}"]
        # By the authority, which asks for the name.
        for name in ("anchored", "misanchored"):
            cls.records += [f"{name}.example. IN MX 10 mx.{name}.example.",
                            f"mx.{name}.example. IN A 127.0.0.1",
                            f"_{port}._tcp.mx.{name}.example. IN TLSA 2 0 1 "
                            + cls.authority.tlsa(cls.authority.file)]
        # Promised, but the server has no TLS.
        cls.records += ["broken.example. IN MX 10 mx.broken.example.",
                        "mx.broken.example. IN A 127.0.0.2",
                        f"_{port}._tcp.mx.broken.example. IN TLSA 3 0 1 {good}"]
        cls.rolled = f"_{port}._tcp.mx.rolled.example. IN TLSA 3 0 1 {good}"
        for domain, host in (("sts", "secure"), ("sts-other", "secure"), ("sts-clear", "plain"),
                             ("sts-testing", "plain")):
            cls.records += [f"{domain}.example. IN MX 10 mx.{host}.example.",
                            f'_mta-sts.{domain}.example. IN TXT "v=STSv1; id=1;"',
                            f"mta-sts.{domain}.example. IN A 127.0.0.1"]
        cls.dns = DnsServer(cls.records, signed=True,
                            spoiled=[f"_{port}._tcp.mx.bogus.example."]).start()
        password_file = os.path.join(cls.files, "password")
        with open(password_file, "w") as file:
            file.write(RELAY_PASSWORD + "\n")
        cls.platform = SplitPlatform(dns=cls.dns, config={"delivery": {
            "smtp_port": port,
            "dnssec_trust_anchor_file": cls.dns.trust_anchor,
            "tls_ca_file": cls.authority.file,
            "mta_sts_port": cls.web.port,
            "routes": [
                {"pattern": "static.example", "hosts": [f"smtps://127.0.0.4:{port}"],
                 "username": RELAY_USER, "password_file": password_file},
                {"pattern": "lmtp.example", "hosts": [f"lmtp://{cls.dovecot.lmtp}"]},
            ],
            "tls_rules": [
                {"pattern": "named.example", "level": "verified", "names": [".secure.example"]},
                {"pattern": "misnamed.example", "level": "verified",
                 "names": ["mx.elsewhere.example"]},
                {"pattern": "required.example", "level": "required"},
            ]}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.web.stop()
        for server in cls.servers:
            server.stop()
        cls.dovecot.stop()
        cls.authority.remove()
        remove_directory(cls.files)

    def send(self, subject, recipient, sender=BOB):
        self.platform.submit(sender, [recipient], message(subject, sender))

    def waiting(self, recipient):
        """The last reply of a recipient that waits for another attempt, or None."""
        for listed in self.platform.ctl("queue", "list", "--json"):
            for entry in listed["recipients"]:
                if entry["address"] == recipient and entry["state"] == "deferred":
                    return entry["last_reply"]
        return None

    def cancel(self, recipient):
        for listed in self.platform.ctl("queue", "list", "--json"):
            if any(entry["address"] == recipient for entry in listed["recipients"]):
                self.platform.ctl("queue", "cancel", listed["message_id"])

    def logs(self):
        return "\n".join(server.log()[-3000:] for server in self.servers) + "\n" + "\n".join(
            process.tail() for key, process in self.platform.processes.items()
            if key[0] == "delivery") + self.dovecot.log()[-2000:]

    def assert_waits(self, recipient, reason, keep=False):
        reply = wait_until(lambda: self.waiting(recipient), 60,
                           lambda: f"{recipient} waits\n" + self.logs())
        self.assertRegex(reply, reason)
        if not keep:
            self.cancel(recipient)

    def arrival(self, server, user, subject):
        return wait_until(lambda: [m for m in server.messages(user) if subject.encode() in m], 90,
                          lambda: f"arrival of {subject}\n" + self.logs())[0]

    def test_a_route_logs_in_under_tls_from_the_start(self):
        self.send("by-smtps", "fay@static.example")
        self.assertIn(b"using TLSv1.3", self.arrival(self.smtps, "fay", "by-smtps"))
        self.assertRegex(self.smtps.log(), f"sasl_method=PLAIN, sasl_username={RELAY_USER}")

    def test_the_smart_host_of_a_domain_wants_a_login(self):
        self.platform.ctl("domain", "add", "--tenant", "demo", "smart.test")
        self.platform.add_account("ann@smart.test", "ann-secret")

        def set_login(password):
            return self.platform.ctl("domain", "set", "smart.test", "--smart-host",
                                     f"127.0.0.3:{self.relay.port}", "--smart-host-user",
                                     RELAY_USER, stdin=password + "\n")

        self.assertNotIn("wrong-secret", set_login("wrong-secret"))
        self.send("by-login", "erin@smart.example", sender="ann@smart.test")
        # A wrong password returns nothing: the mail waits for the right one.
        self.assert_waits("erin@smart.example", "login failed.*535", keep=True)
        shown = self.platform.ctl("domain", "show", "smart.test", "--json")
        self.assertNotIn("wrong-secret", str(shown))
        self.assertIn(RELAY_USER, str(shown))
        set_login(RELAY_PASSWORD)
        # Workers look again within half a minute.
        self.assertIn(b"using TLSv1.3", self.arrival(self.relay, "erin", "by-login"))
        self.assertRegex(self.relay.log(),
                         f"sasl_method=SCRAM-SHA-256, sasl_username={RELAY_USER}")
        logs = "".join(process.text() for process in self.platform.processes.values())
        self.assertIn("login at a smart host failed", logs)
        for secret in ("wrong-secret", RELAY_PASSWORD):
            self.assertNotIn(secret, logs)

    def test_rules_say_what_tls_a_destination_needs(self):
        self.send("by-name", "x@named.example")
        self.assertIn(b"using TLSv1.3", self.arrival(self.secure, "carol", "by-name"))
        self.send("in-clear", "x@required.example")
        self.assert_waits("x@required.example", "does not offer STARTTLS")
        self.send("by-wrong-name", "x@misnamed.example")
        self.assert_waits("x@misnamed.example", "(?i)hostname mismatch")
        self.assertFalse(any(b"in-clear" in m for m in self.plain.messages("dave")))

    def test_dane_decides_by_the_records(self):
        self.send("by-dane", "x@dane.example")
        self.assertIn(b"using TLSv1.3", self.arrival(self.secure, "carol", "by-dane"))
        self.send("dane-broken", "x@broken.example")
        self.assert_waits("x@broken.example", "does not offer STARTTLS")
        self.send("dane-bogus", "x@bogus.example")
        self.assert_waits("x@bogus.example", "TLSA records can't be had: DNSSEC validation failed")
        self.send("dane-rolled", "x@rolled.example")
        self.assert_waits("x@rolled.example", "TLS negotiation failed", keep=True)
        self.assertFalse(any(b"dane-rolled" in m for m in self.secure.messages("carol")))
        # The new key's record beside the old one, as a rollover has it.
        self.dns.replace(self.records + [self.rolled])
        self.arrival(self.secure, "carol", "dane-rolled")

    def test_dane_with_usage_2_checks_the_name(self):
        self.send("by-anchor", "x@anchored.example")
        self.assertIn(b"using TLSv1.3", self.arrival(self.secure, "carol", "by-anchor"))
        self.send("by-other-anchor", "x@misanchored.example")
        self.assert_waits("x@misanchored.example", "(?i)hostname mismatch")

    def test_mta_sts_is_followed_as_it_says(self):
        self.send("by-sts", "x@sts.example")
        self.assertIn(b"using TLSv1.3", self.arrival(self.secure, "carol", "by-sts"))
        # All workers and all later mail have it from then on.
        fetched = self.web.fetched.count("mta-sts.sts.example")
        for i in range(4):
            self.send(f"by-sts-again-{i}", "x@sts.example")
        for i in range(4):
            self.arrival(self.secure, "carol", f"by-sts-again-{i}")
        self.assertEqual(self.web.fetched.count("mta-sts.sts.example"), fetched)
        self.send("sts-other", "x@sts-other.example")
        self.assert_waits("x@sts-other.example", "MTA-STS policy .* does not name it")
        self.send("sts-clear", "x@sts-clear.example")
        self.assert_waits("x@sts-clear.example", "does not offer STARTTLS")
        self.send("sts-testing", "x@sts-testing.example")
        self.arrival(self.plain, "dave", "sts-testing")
        self.assertFalse(any(b"sts-clear" in m for m in self.plain.messages("dave")))

    def test_lmtp_is_a_destination(self):
        self.platform.submit(BOB, ["lily@lmtp.example", "nobody@lmtp.example"],
                             message("by-lmtp"))
        found = wait_until(lambda: self.dovecot.messages("lily@lmtp.example"), 60,
                           lambda: "arrival by LMTP\n" + self.logs())
        self.assertIn(b"by-lmtp", found[0])
        report = wait_until(
            lambda: [m for m in self.platform.messages(BOB) if b"nobody@lmtp.example" in m], 60,
            lambda: "a notification\n" + self.logs())[0]
        self.assertIn(b"5.1.1", report)


if __name__ == "__main__":
    unittest.main()
