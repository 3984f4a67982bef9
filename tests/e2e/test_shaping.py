"""Limits of destinations over all workers, back-off, dead destinations, and the addresses that mail
leaves from: with two delivery workers, and servers that see who comes."""

import datetime
import re
import subprocess
import threading
import time
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform, _unverified, test_message
from tests.support.postfix import Postfix
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink

ALICE = "alice@example.test"
RATED = 10     # domains at one provider
PER_SECOND = 3
CONNECTIONS = 2
A_CONNECTION = 3
WARM_UP = 2    # messages on the first day


def delivered(sink):
    """Without the empty messages that end a transaction whose sender was refused, but not DATA."""
    return [message for message in sink.messages if message.data]


class Busy:
    """Counts transactions that a server has under way, for its replies."""

    def __init__(self):
        self.now = self.most = 0
        self.lock = threading.Lock()

    def enter(self, _):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def leave(self, _):
        with self.lock:
            self.now -= 1


class ShapingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other = Postfix("other.example", ["carol"], address="127.0.0.1").start()
        port = cls.other.port
        cls.rated = SmtpSink("127.0.0.11", port=port).start()
        cls.moody = SmtpSink("127.0.0.12", port=port).start()
        cls.picky = SmtpSink("127.0.0.13", port=port).start()
        records = ["other.example. IN MX 10 mx.other.example.",
                   "mx.other.example. IN A 127.0.0.1",
                   "picky.example. IN MX 10 mx.picky.example.",
                   "mx.picky.example. IN A 127.0.0.13"]
        # Each customer has a name of its own at the provider.
        for i in range(RATED):
            records += [f"r{i}.example. IN MX 10 r{i}-example.mail.rated.example.",
                        f"r{i}-example.mail.rated.example. IN A 127.0.0.11"]
        for site, address in (("moody", "127.0.0.12"), ("dead", "127.0.0.14")):
            records += [f"mx.{site}.example. IN A {address}"]
            records += [f"{site}{i}.example. IN MX 10 mx.{site}.example." for i in range(3)]
        cls.dns = DnsServer(records).start()
        today = datetime.datetime.now(datetime.timezone.utc).date()
        cls.platform = SplitPlatform(dns=cls.dns, config={
            "queue": {"retry_schedule_seconds": [600]},
            "delivery": {
                "smtp_port": port,
                "traffic": [{"mx": "*.rated.example", "messages_per_second": PER_SECOND,
                             "connections": CONNECTIONS,
                             "messages_per_connection": A_CONNECTION}],
                "replies": [{"text": "come back tomorrow", "action": "pause", "seconds": 3600},
                            {"text": "bad address", "action": "switch", "seconds": 3600}],
                "source_pools": [
                    {"name": "shared",
                     "sources": [{"ipv4": "127.0.0.2", "hostname": "out2.example.test"},
                                 {"ipv4": "127.0.0.3", "hostname": "out3.example.test"}]},
                    {"name": "new", "overflow": "shared",
                     # It may be tomorrow before the test has ended.
                     "sources": [{"ipv4": "127.0.0.4", "hostname": "out4.example.test",
                                  "warm_up_start": str(today), "warm_up_messages":
                                  [WARM_UP, WARM_UP, WARM_UP]}]}],
                "source_rules": [{"message_class": "bulk", "pool": "new"}]}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        for server in (cls.rated, cls.moody, cls.picky, cls.other):
            server.stop()

    def ctl(self, *arguments):
        return self.platform.ctl("queue", *arguments)

    def queued(self, address):
        """The recipient while it waits, else None."""
        for message in self.ctl("list", "--json"):
            for recipient in message["recipients"]:
                if recipient["address"] == address:
                    return recipient
        return None

    def identifier(self, address):
        for message in self.ctl("list", "--json"):
            if any(r["address"] == address for r in message["recipients"]):
                return message["message_id"]
        return None

    def site(self, name):
        found = self.ctl("destinations", name, "--json")
        return found[0] if found else None

    def send(self, to, subject, options=()):
        with self.platform.smtp("submission") as client:
            client.starttls(context=_unverified())
            client.login(ALICE, self.platform.passwords[ALICE])
            client.sendmail(ALICE, to, test_message(subject), mail_options=options)

    def waits_untried(self, address):
        """A worker had it and put it off."""
        def found():
            recipient = self.queued(address)
            return (recipient and recipient["state"] == "queued" and recipient["attempts"] == 0 and
                    recipient["next_attempt_at"] > self.soon() and recipient)
        wait_until(found, 60, f"{address} waits")

    def test_one_limit_for_all_domains_of_a_provider_over_all_workers(self):
        busy = Busy()
        self.rated.replies.update({"MAIL": busy.enter, ".": busy.leave})
        started = time.monotonic()
        self.send([f"x@r{i}.example" for i in range(RATED)], "rated")
        identifier = self.identifier("x@r0.example")
        wait_until(lambda: len(delivered(self.rated)) == RATED, 90, "all is delivered")
        # Each is admitted before it is sent, and the first after this began.
        self.assertGreaterEqual(time.monotonic() - started, (RATED - 1) / PER_SECOND - 0.1)
        self.assertLessEqual(busy.most, CONNECTIONS)
        self.assertGreaterEqual(self.rated.connections, RATED / A_CONNECTION)
        state = self.site("rated.example")
        self.assertEqual(state["state"], "limited")
        self.assertEqual(state["rules"][0]["limits"]["messages_per_second"], PER_SECOND)
        self.assertIn("rated.example", self.ctl("destinations"))
        if identifier:
            def ended():
                events = self.ctl("show", identifier, "--json")["events"]
                done = [e for e in events if e["kind"] != "accepted"]
                return done if len(done) == RATED else None
            events = wait_until(ended, 60, "the log of all")
            # Waiting used up no attempt.
            self.assertEqual({(e["kind"], e["attempt"]) for e in events}, {("delivered", 1)})

    def test_a_reply_pauses_the_site_until_an_operator_says_otherwise(self):
        self.moody.replies["MAIL"] = lambda _: "451 4.7.1 Come back tomorrow"
        self.send(["x@moody0.example"], "moody")
        state = wait_until(lambda: self.site("moody.example"), 60, "the pause")
        self.assertEqual(state["state"], "paused")
        self.assertIn("Come back tomorrow", state["reason"])
        # Another domain there; and mail for others goes on.
        self.send(["x@moody1.example"], "moody too")
        self.waits_untried("x@moody1.example")
        self.send(["carol@other.example"], "not moody")
        wait_until(lambda: any(b"not moody" in m for m in self.other.messages("carol")), 60,
                   "mail for others")
        wait_until(lambda: self.site("moody1.example"), 60, "the site of a waiting domain")
        self.moody.replies.clear()
        self.assertEqual(delivered(self.moody), [])
        self.assertIn("goes on", self.ctl("resume", "moody.example"))
        wait_until(lambda: len(delivered(self.moody)) == 2, 60, "both are delivered")

    def test_a_dead_site_is_probed_while_its_other_mail_waits(self):
        self.send(["x@dead0.example"], "to the dead")
        state = wait_until(lambda: self.site("dead.example"), 60, "the site is dead")
        self.assertEqual(state["state"], "dead")
        self.assertEqual(self.queued("x@dead0.example")["attempts"], 1)
        self.send(["x@dead1.example"], "waits for the probe")
        self.waits_untried("x@dead1.example")
        wait_until(lambda: (self.site("dead.example") or {}).get("waiting_domains") ==
                   ["dead0.example", "dead1.example"], 60, "who waits")
        alive = SmtpSink("127.0.0.14", port=self.other.port).start()
        try:
            self.ctl("resume", "dead.example")
            wait_until(lambda: len(delivered(alive)) == 2, 60, "both are delivered")
        finally:
            alive.stop()

    def test_an_operators_pause_outlives_redis(self):
        self.ctl("pause", "*.other.example", "--reason", "by hand")
        self.ctl("pause", "other.example", "--for", "3600", "--reason", "moving house")
        self.assertEqual(self.site("other.example")["state"], "paused")
        subprocess.run(["redis-cli", "-p", str(self.platform.redis.port), "FLUSHALL"], check=True,
                       stdout=subprocess.DEVNULL)
        sent = []

        self.addCleanup(self.platform.ctl, "queue", "resume", "other.example", check=False)

        def put_off():
            # The other replica reads it within seconds, and a worker may believe for some more that
            # nothing is limited there.
            sent.append(f"while-paused-{len(sent)}-")
            self.send(["carol@other.example"], sent[-1])
            return wait_until(lambda: self.arrived(sent[-1]) or self.is_put_off(), 60,
                              "delivered or put off") == "put off"
        try:
            wait_until(put_off, 60, "the workers know")
            self.assertIn("moving house", self.site("other.example")["reason"])
        finally:
            self.ctl("resume", "*.other.example")
            self.ctl("resume", "other.example")
        wait_until(lambda: self.arrived(sent[-1]), 60, "delivered after the pause")
        with self.assertRaises(RuntimeError):
            self.ctl("resume", "other.example")

    def arrived(self, subject):
        found = any(subject.encode() in m for m in self.other.messages("carol"))
        return "arrived" if found else None

    def is_put_off(self):
        recipient = self.queued("carol@other.example")
        # Leased once, and due again at a later time than it was sent.
        waits = (recipient and recipient["state"] == "queued" and recipient["attempts"] == 0 and
                 recipient["next_attempt_at"] > self.soon())
        return "put off" if waits else None

    @staticmethod
    def soon():
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
        return later.strftime("%Y-%m-%dT%H:%M:%S")

    def test_mail_leaves_from_its_pool_and_overflows_while_an_address_is_new(self):
        for i in range(WARM_UP + 2):
            self.send(["carol@other.example"], f"bulk-{i}", ["MT-PRIORITY=-3"])
        self.send(["carol@other.example"], "normal-mail")

        def sources(word):
            found = []
            for raw in self.other.messages("carol"):
                if re.search(rb"Subject: " + word, raw):
                    received = re.search(rb"from (\S+) \(.*?\[(127\.0\.0\.\d+)\]\)", raw)
                    found.append((received.group(1).decode(), received.group(2).decode()))
            return found
        wait_until(lambda: len(sources(rb"bulk-")) == WARM_UP + 2, 60, "all bulk mail")
        wait_until(lambda: len(sources(rb"normal-mail")) == 1, 60, "the normal mail")
        bulk = sources(rb"bulk-")
        new = ("out4.example.test", "127.0.0.4")
        shared = {("out2.example.test", "127.0.0.2"), ("out3.example.test", "127.0.0.3")}
        # One day's share, or two around midnight.
        self.assertIn(bulk.count(new), (WARM_UP, WARM_UP + 1, WARM_UP + 2)
                      if self.is_near_midnight() else (WARM_UP,))
        self.assertLessEqual(set(bulk) - {new}, shared)
        self.assertIn(sources(rb"normal-mail")[0], shared)

    @staticmethod
    def is_near_midnight():
        now = datetime.datetime.now(datetime.timezone.utc)
        return (now - datetime.timedelta(minutes=5)).date() != (
            now + datetime.timedelta(minutes=5)).date()

    def test_a_source_that_is_refused_is_left_for_another(self):
        refused = []

        def by_source(_):
            peer = self.picky.peers[-1][0]
            if not refused or peer in refused:
                refused[:] = [peer]
                return "451 4.7.1 bad address, not from you"
            return None
        self.picky.replies["MAIL"] = by_source
        self.send(["x@picky.example"], "picky")
        state = wait_until(lambda: self.site("picky.example"), 60, "the source is avoided")
        self.assertEqual(state["avoided_sources"], refused)
        wait_until(lambda: (self.queued("x@picky.example") or {}).get("state") == "deferred", 60,
                   "the attempt is recorded")
        self.ctl("retry", "--destination", "picky.example")
        wait_until(lambda: len(delivered(self.picky)) == 1, 60, "delivered from the other")
        self.assertNotEqual(self.picky.peers[-1][0], refused[0])


if __name__ == "__main__":
    unittest.main()
