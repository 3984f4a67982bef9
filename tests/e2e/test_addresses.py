"""Where mail for an address goes, on the running binary: tags, catch-all, domain aliases,
postmaster, suspension, quota, lists, and what VRFY, EXPN and VERB tell."""

import smtplib
import ssl
import tempfile
import time
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import ServePlatform, test_message, wait_for_messages
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink


class AddressesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = SmtpSink().start()
        cls.dns = DnsServer(["example.net. IN MX 10 mx.example.net.",
                             "mx.example.net. IN A 127.0.0.1"]).start()
        cls.platform = ServePlatform(
            dns=cls.dns, trusted_networks=["127.0.0.9/32=demo"],
            config={"delivery": {"smtp_port": cls.sink.port}}).start()
        cls.platform.ctl("tenant", "add", "rival")
        cls.platform.ctl("domain", "add", "--tenant", "rival", "rival.test")
        cls.platform.add_account("eve@rival.test", "eve-secret")

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.sink.stop()

    def ctl(self, *args, **kwargs):
        return self.platform.ctl(*args, **kwargs)

    def domain(self, name):
        """A domain of its own with one account, so that tests do not meet."""
        self.ctl("domain", "add", "--tenant", "demo", name)
        self.platform.add_account(f"ann@{name}", "ann-secret")
        return f"ann@{name}"

    def rcpt(self, recipient, sender="x@elsewhere.example", size=None):
        """(code, enhanced status) of RCPT from a stranger."""
        with self.platform.smtp() as client:
            client.ehlo()
            client.mail(sender, [f"SIZE={size}"] if size else [])
            code, text = client.rcpt(recipient)
            return code, text.split()[0].decode()

    def send(self, recipient, subject, sender="x@elsewhere.example"):
        with self.platform.smtp() as client:
            client.sendmail(sender, [recipient], test_message(subject, sender=sender))

    def login(self, address):
        client = self.platform.smtp("submission")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
        client.login(address, self.platform.passwords[address])
        return client

    def subjects(self, login, mailbox="INBOX"):
        return [next(line[9:] for line in m.decode().splitlines() if line.startswith("Subject: "))
                for m in self.platform.messages(login, mailbox)]

    def to_sink(self, address):
        return [m for m in self.sink.messages if any(address in r for r in m.recipients)]

    def test_tags_go_where_the_account_wants_them(self):
        ann = self.domain("tags.test")
        tagged = "ann+Lists@tags.test"
        self.send(tagged, "ignored")
        self.assertEqual(self.subjects(ann), ["ignored"])
        self.ctl("account", "set", ann, "--tags", "existing")
        self.send(tagged, "no such mailbox")
        client = self.platform.imap(ann)
        client.create("lists")
        client.logout()
        self.send(tagged, "existing")
        self.assertEqual(self.subjects(ann, "lists"), ["existing"])
        self.ctl("account", "set", ann, "--tags", "create")
        self.send("ann+shop@tags.test", "created")
        self.assertEqual(self.subjects(ann, "shop"), ["created"])
        self.assertIn(b"Delivered-To: ann+shop@tags.test\r\n",
                      self.platform.messages(ann, "shop")[0])
        # Through the queue: an alias with a remote target is never delivered at once.
        self.ctl("alias", "add", "both@tags.test", "ann+queue@tags.test", "u@example.net")
        self.send("both@tags.test", "queued")
        wait_until(lambda: self.subjects(ann, "queue") == ["queued"], 60, "arrival by the queue")
        self.assertEqual(self.subjects(ann), ["ignored", "no such mailbox"])

    def test_unknown_names_go_where_the_domain_catches_all(self):
        ann = self.domain("catch.test")
        self.assertEqual(self.rcpt("nobody@catch.test"), (550, "5.1.1"))
        self.ctl("domain", "set", "catch.test", "--catch-all", ann)
        self.send("nobody@catch.test", "caught")
        self.assertEqual(self.subjects(ann), ["caught"])
        self.ctl("domain", "set", "catch.test", "--catch-all", "none")
        self.assertEqual(self.rcpt("somebody@catch.test"), (550, "5.1.1"))

    def test_an_alias_of_a_domain_is_the_domain(self):
        ann = self.domain("main.test")
        self.assertEqual(self.rcpt("ann@other-name.test"), (550, "5.7.1"))
        self.ctl("domain", "alias", "add", "other-name.test", "--of", "main.test")
        self.send("Ann@Other-Name.test", "by the other name")
        self.assertEqual(self.subjects(ann), ["by the other name"])
        self.platform.passwords["ann@other-name.test"] = "ann-secret"
        self.platform.imap("ann@other-name.test").logout()
        self.platform.submit("ann@other-name.test", [ann],
                             test_message("as the other name", sender="ann@other-name.test"))
        listed = self.ctl("domain", "alias", "list", "--of", "main.test", "--json")
        self.assertEqual([(a["name"], a["alias_of"]) for a in listed],
                         [("other-name.test", "main.test")])
        self.ctl("domain", "alias", "remove", "other-name.test")
        wait_until(lambda: self.rcpt("ann@other-name.test") == (550, "5.7.1"), 30, "its end")

    def test_both_spellings_of_an_international_domain_are_one(self):
        self.ctl("domain", "add", "--tenant", "demo", "b\u00fccher.test")
        self.platform.add_account("ann@b\u00fccher.test", "ann-secret")
        self.send("ann@xn--bcher-kva.test", "by A-label")
        self.platform.passwords["ann@xn--bcher-kva.test"] = "ann-secret"
        self.assertEqual(self.subjects("ann@xn--bcher-kva.test"), ["by A-label"])

    def test_postmaster_and_abuse_always_reach_somebody(self):
        ann = self.domain("post.test")
        before = len(self.platform.messages("alice@example.test"))
        self.send("postmaster@post.test", "to the first account of the tenant")
        self.assertEqual(len(self.platform.messages("alice@example.test")), before + 1)
        self.ctl("domain", "set", "post.test", "--postmaster", ann)
        wait_until(lambda: self.send("abuse@post.test", "to the one named") or
                   "to the one named" in self.subjects(ann), 30, "the setting in force")
        self.ctl("domain", "set", "post.test", "--suspend")
        wait_until(lambda: self.rcpt(ann) == (550, "5.3.2"), 30, "the suspension")
        self.assertEqual(self.rcpt("postmaster@post.test")[0], 250)

    def test_suspension_is_told_and_shuts_the_login(self):
        ann = self.domain("suspend.test")
        self.platform.imap(ann).logout()
        self.ctl("account", "set", ann, "--suspend")
        self.assertEqual(self.rcpt(ann), (550, "5.2.1"))
        with self.assertRaises(Exception):
            self.platform.imap(ann)
        self.ctl("account", "set", ann, "--resume")
        self.assertEqual(self.rcpt(ann)[0], 250)
        self.ctl("domain", "set", "suspend.test", "--suspend")
        wait_until(lambda: self.rcpt(ann) == (550, "5.3.2"), 30, "the suspension")
        with self.assertRaises(Exception):
            self.platform.imap(ann)
        self.ctl("domain", "set", "suspend.test", "--resume")
        self.assertEqual(self.rcpt(ann)[0], 250)
        self.platform.imap(ann).logout()

    def test_changes_are_seen_within_a_second(self):
        ann = self.domain("fresh.test")
        for word, code in (("--suspend", 550), ("--resume", 250), ("--suspend", 550)):
            self.rcpt(ann)  # remembered by the gateway, where it is a mailbox
            self.ctl("account", "set", ann, word)
            time.sleep(1)
            self.assertEqual(self.rcpt(ann)[0], code)

    def test_a_full_mailbox_is_told_at_rcpt_and_exactly_at_the_end(self):
        ann = self.domain("quota.test")
        self.ctl("account", "set", ann, "--quota", "4000")
        wait_until(lambda: self.rcpt(ann, size=5000) == (452, "4.2.2"), 30, "the quota in force")
        self.assertEqual(self.rcpt(ann, size=100)[0], 250)
        # Nobody said how large it is.
        with self.platform.smtp() as client:
            client.helo()
            client.mail("x@elsewhere.example")
            self.assertEqual(client.rcpt(ann)[0], 250)
            code, text = client.data("Subject: large\r\n\r\n" + "x" * 78 + "\r\n" * 1 +
                                     ("y" * 78 + "\r\n") * 80)
            self.assertEqual((code, text[:5]), (452, b"4.2.2"))
        self.assertEqual(self.subjects(ann), [])
        self.assertEqual(self.ctl("queue", "list", "--sender", "x@elsewhere.example", "--json"), [])

    def add_list(self, address, owner, *options, members=()):
        self.ctl("list", "add", address, "--owner", owner, *options)
        if members:
            self.ctl("list", "members", "add", address, *members)

    def test_a_list_reaches_its_members_under_the_owners_name(self):
        ann = self.domain("list.test")
        self.platform.add_account("ben@list.test", "ben-secret")
        self.add_list("team@list.test", ann, members=[ann, "ben@list.test", "Far.Away@example.net"])
        self.assertEqual(self.rcpt("team@list.test"), (550, "5.7.1"))
        self.assertEqual(self.rcpt("team@list.test", sender=ann), (550, "5.7.1"))
        self.assertEqual(self.rcpt("team@list.test", sender=""), (550, "5.7.1"))
        self.assertEqual(self.rcpt("team@list.test", sender="far.away@example.net")[0], 250)
        self.platform.submit("ben@list.test", ["team@list.test"],
                             test_message("to the team", sender="ben@list.test"))
        for member in (ann, "ben@list.test"):
            messages = wait_for_messages(self.platform, member, 1)
            self.assertTrue(messages[0].startswith(
                b"Return-Path: <ann@list.test>\r\nDelivered-To: " + member.encode() +
                b"\r\nList-Id: <team.list.test>\r\nDelivered-To: team@list.test\r\nReceived: "),
                messages[0][:300])
        wait_until(lambda: self.to_sink("Far.Away@example.net"), 60, "arrival at the remote member")
        self.assertIn(ann, self.to_sink("Far.Away@example.net")[0].sender)
        self.assertEqual(len(self.platform.messages(ann)), 1)

    def test_what_a_list_cannot_deliver_comes_back_to_its_owner(self):
        ann = self.domain("bounce.test")
        self.add_list("team@bounce.test", ann, "--post", "anyone",
                      members=["gone@nonexistent.example"])
        self.send("team@bounce.test", "to somebody who is gone")
        messages = wait_for_messages(self.platform, ann, 1)
        self.assertIn(b"gone@nonexistent.example", messages[0])
        self.assertIn(b"report-type=delivery-status", messages[0])

    def test_a_list_of_thousands_is_stored_once(self):
        ann = self.domain("mass.test")
        self.add_list("all@mass.test", ann, "--post", "owners")
        with tempfile.NamedTemporaryFile("w") as file:
            for number in range(10000):
                file.write(f"member{number}@example.net\n")
            file.write(f"{ann}\n")
            file.flush()
            said = self.ctl("list", "members", "add", "all@mass.test", "--file", file.name)
        self.assertEqual(said, "added 10001 members\n")
        self.assertEqual(self.ctl("list", "show", "all@mass.test", "--json")["members"], 10001)
        self.assertEqual(len(self.ctl("list", "members", "list", "all@mass.test",
                                      "--json")["members"]), 10001)
        self.platform.submit(ann, ["all@mass.test"], test_message("to all", sender=ann))
        wait_for_messages(self.platform, ann, 1, timeout=120)
        reached = set()

        def all_reached():
            for message in list(self.sink.messages):
                reached.update(r for r in message.recipients if "member" in r)
            return len(reached) == 10000
        wait_until(all_reached, 300, lambda: f"10000 members; {len(reached)} so far")
        self.assertEqual(len(self.subjects(ann)), 1)

    def test_who_sees_members_is_the_lists_rule(self):
        ann = self.domain("expn.test")
        self.platform.add_account("ben@expn.test", "ben-secret")
        self.add_list("team@expn.test", ann, members=["u@example.net"])
        self.ctl("alias", "add", "crew@expn.test", ann, "u@example.net")
        stranger = self.platform.smtp()
        self.assertEqual(stranger.docmd("EXPN team@expn.test")[0], 252)
        self.assertEqual(stranger.docmd("VRFY ann@expn.test")[0], 252)
        self.assertEqual(stranger.docmd("VERB")[0], 502)
        stranger.quit()
        owner, other, rival = self.login(ann), self.login("ben@expn.test"), \
            self.login("eve@rival.test")
        self.assertEqual(owner.docmd("EXPN team"), (250, b"2.1.5 <u@example.net>"))
        self.assertEqual(other.docmd("EXPN team")[0], 550)
        self.assertEqual(other.docmd("EXPN crew"),
                         (250, b"2.1.5 <ann@expn.test>\n2.1.5 <u@example.net>"))
        self.ctl("list", "set", "team@expn.test", "--visible", "tenant")
        self.assertEqual(other.docmd("EXPN team")[0], 250)
        for address in ("team@expn.test", "crew@expn.test", "nothing@expn.test"):
            self.assertEqual(rival.docmd(f"EXPN {address}"), rival.docmd("EXPN no@rival.test"))
        self.assertEqual(owner.docmd("VRFY ben"), (250, b"2.1.5 <ben@expn.test>"))
        self.assertEqual(owner.docmd("VRFY nobody")[0], 550)
        self.assertEqual(rival.docmd("VRFY ben@expn.test"), rival.docmd("VRFY x@expn.test"))
        for client in (owner, other, rival):
            client.quit()

    def test_verb_names_each_recipient(self):
        ann = self.domain("verb.test")
        client = self.login(ann)
        self.assertEqual(client.docmd("VERB")[0], 250)
        client.mail(ann)
        self.assertTrue(client.rcpt(ann)[1].endswith(b"#1"))
        code, text = client.data(test_message("verbose", sender=ann))
        self.assertEqual(code, 250)
        self.assertRegex(text.decode(), r"^2\.0\.0 (\S+)\n2\.0\.0 \1#1 <ann@verb\.test>$")
        client.quit()

    def test_mail_of_a_domain_leaves_through_its_smart_host(self):
        ann = self.domain("smart.test")
        relay = SmtpSink().start()
        try:
            self.ctl("domain", "set", "smart.test", "--smart-host", f"127.0.0.1:{relay.port}")
            # No MX record leads there: the name does not exist.
            self.platform.submit(ann, ["u@nonexistent.example"], test_message("out", sender=ann))
            wait_until(lambda: relay.messages, 60, "arrival at the smart host")
            self.assertIn("u@nonexistent.example", relay.messages[0].recipients[0])
            # Another domain of the same tenant goes its own way.
            self.platform.submit("bob@example.test", ["smart@example.net"],
                                 test_message("by MX", sender="bob@example.test"))
            wait_until(lambda: self.to_sink("smart@example.net"), 60, "arrival by MX")
            self.assertEqual(len(relay.messages), 1)
        finally:
            self.ctl("domain", "set", "smart.test", "--smart-host", "none")
            relay.stop()

    def test_loops_are_refused_when_they_are_made(self):
        self.domain("loop.test")
        self.ctl("alias", "add", "a@loop.test", "b@loop.test")
        result = self.ctl("alias", "add", "b@loop.test", "a@loop.test", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("leads back", result.stderr)

    def test_no_list_or_alias_makes_a_relay(self):
        ann = self.domain("closed.test")
        self.add_list("team@closed.test", ann, members=["u@example.net"])
        self.ctl("alias", "add", "out@closed.test", "team@closed.test")
        for recipient in ("team@closed.test", "out@closed.test", "team+x@closed.test",
                          "@closed.test:team@closed.test", "<@closed.test:u@example.net>",
                          "u%example.net@closed.test", "u@example.net",
                          "team%closed.test@example.net", "\"u@example.net\"@closed.test"):
            for sender in ("x@elsewhere.example", ann, "", "u@closed.test"):
                with self.subTest(recipient=recipient, sender=sender):
                    self.assertEqual(self.rcpt(recipient, sender=sender)[0], 550)


if __name__ == "__main__":
    unittest.main()
