"""Mail while Redis is what production runs: with TLS and users, watched by Sentinel, as a cluster;
and while its master dies."""

import collections
import json
import smtplib
import threading
import unittest
import uuid

from tests.support.platform import SplitPlatform, _unverified, test_message
from tests.support.processes import wait_until
from tests.support.redis_topologies import (ClusterRedis, SecureRedis, SecureWatchedRedis,
                                            WatchedRedis)
from tests.support.smtp_sink import SmtpSink


class OnePlatform(SplitPlatform):
    replicas = 1


class Sender(threading.Thread):
    """Submits mail to a mailbox here and to one elsewhere until told to stop."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.platform = platform
        self.stopping = threading.Event()
        self.accepted = []
        self.refused = []

    def run(self):
        number = 0
        while not self.stopping.wait(0.02):
            number += 1
            subject = uuid.uuid4().hex
            try:
                with self.platform.smtp("submission", timeout=60) as client:
                    client.starttls(context=_unverified())
                    client.login("alice@example.test", "alice-secret")
                    client.sendmail("alice@example.test",
                                    ["bob@example.test", f"x@sink{number % 40}.example"],
                                    test_message(subject, message_id=f"<{subject}@test>"))
                self.accepted.append(subject)
            except (OSError, smtplib.SMTPException) as error:
                self.refused.append(error)

    def stop(self):
        self.stopping.set()
        self.join(120)


class Topology:
    """What the tests of each share; they say `make_redis`."""

    @classmethod
    def setUpClass(cls):
        cls.sink = SmtpSink().start()
        cls.addClassCleanup(cls.sink.stop)
        cls.redis = cls.make_redis()
        cls.platform = OnePlatform(redis=cls.redis, config={
            "delivery": {"routes": [{"pattern": "*", "hosts": [f"127.0.0.1:{cls.sink.port}"]}]}})
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()

    def sink_subjects(self):
        return collections.Counter(
            line[9:].strip().decode() for message in list(self.sink.messages)
            for line in message.data.split(b"\r\n") if line.startswith(b"Subject: "))

    def mailbox_subjects(self):
        return collections.Counter(
            line[9:].strip().decode()
            for message in self.platform.messages("bob@example.test", after_outage=True)
            for line in message.split(b"\r\n") if line.startswith(b"Subject: "))

    def queued(self):
        return json.dumps(self.platform.ctl("queue", "list", "--json"))

    def assert_all_arrived(self, subjects):
        def arrived():
            here, there = self.mailbox_subjects(), self.sink_subjects()
            return all(here[s] and there[s] for s in subjects)
        wait_until(arrived, 120, lambda: "missing here: %s, there: %s" % (
            [s for s in subjects if not self.mailbox_subjects()[s]],
            [s for s in subjects if not self.sink_subjects()[s]]), interval=0.5)
        here = self.mailbox_subjects()
        self.assertEqual([s for s in subjects if here[s] != 1], [], "stored twice")

    def mail_flows(self):
        """Sends until a message has arrived on both sides."""
        sender = Sender(self.platform)
        sender.start()
        try:
            wait_until(lambda: len(sender.accepted) >= 3, 90,
                       lambda: f"mail is accepted: {sender.refused[-1:]}")
        finally:
            sender.stop()
        self.assert_all_arrived(sender.accepted)

    def flows_while(self, disturb):
        """Mail is accepted before, while and after `disturb`, and all of it arrives."""
        sender = Sender(self.platform)
        sender.start()
        try:
            wait_until(lambda: len(sender.accepted) >= 5, 90, "mail is accepted")
            disturb()
            count = len(sender.accepted)
            wait_until(lambda: len(sender.accepted) >= count + 5, 90,
                       "mail is accepted afterwards")
        finally:
            sender.stop()
        self.assertEqual(sender.refused, [], "Redis is no reason to refuse mail")
        self.assert_all_arrived(sender.accepted)


class SecureTest(Topology, unittest.TestCase):
    make_redis = SecureRedis

    def test_mail_flows_with_tls_and_a_user_of_few_rights(self):
        self.mail_flows()
        clients = self.redis.command("CLIENT", "LIST")
        self.assertGreaterEqual(clients.count("user=posthorn"), 4,
                                "queue, gateway and mailbox service")
        denied = self.redis.command("ACL", "LOG")
        self.assertEqual(denied.strip(), "", "what Posthorn asked and may not")

    def test_hints_travel(self):
        with self.platform.imap("bob@example.test") as client:
            client.select("INBOX")
            client.send(b"i IDLE\r\n")
            self.assertTrue(client.readline().startswith(b"+"))
            with self.platform.smtp("mx") as smtp:
                smtp.sendmail("x@outside.example", ["bob@example.test"], test_message("hint"))
            # Without hints it would be a minute.
            client.sock.settimeout(20)
            self.assertIn(b"EXISTS", client.readline())
            client.send(b"DONE\r\n")
            while not client.readline().startswith(b"i "):
                pass


class SentinelTest(Topology, unittest.TestCase):
    make_redis = WatchedRedis

    def test_mail_flows_while_the_master_dies(self):
        before = self.redis.master()

        def kill():
            before.kill()
            wait_until(lambda: self.redis.master() not in (None, before), 60, "another master")
        self.flows_while(kill)
        # The old one comes back and is told its place, which may take sentinels half a minute and more
        # on a busy machine (they distrust their clocks then); nobody takes it for the master.
        before.start()
        wait_until(lambda: before.command("ROLE", check=False).startswith("slave"), 240,
                   lambda: "a replica\n" + "\n".join(s.process.tail() for s in self.redis.sentinels))
        self.mail_flows()


class SecureSentinelTest(SentinelTest):
    """Also with TLS and users everywhere."""

    make_redis = SecureWatchedRedis

    def test_mail_flows_while_the_master_dies(self):
        super().test_mail_flows_while_the_master_dies()
        for server in self.redis.servers:
            denied = server.command("ACL", "LOG")
            self.assertEqual(denied.strip(), "", "what Posthorn asked of a server and may not")
        for sentinel in self.redis.sentinels:
            denied = sentinel.command("ACL", "LOG", password=self.redis.SENTINEL_PASSWORD)
            self.assertEqual(denied.strip(), "", "what Posthorn asked of a sentinel and may not")
        clients = self.redis.command("CLIENT", "LIST")
        self.assertGreaterEqual(clients.count("user=posthorn"), 4,
                                "queue, gateway and mailbox service")


class ClusterTest(Topology, unittest.TestCase):
    make_redis = ClusterRedis

    def test_1_mail_flows_while_a_slot_moves(self):
        keys = [f"{{q{shard}}}:tenants" for shard in range(0, 16, 3)]

        def reshard():
            for key in keys:
                self.redis.move_slot(key)
        self.flows_while(reshard)

    def test_2_mail_flows_while_a_master_dies(self):
        victim = self.redis.owner_of("{q1}:tenants")

        def kill():
            victim.kill()
            wait_until(lambda: self.redis.owner_of("{q1}:tenants"), 60, "its replica takes over")
        self.flows_while(kill)
        self.mail_flows()

    def test_3_after_the_loss_of_all(self):
        self.redis.command("FLUSHALL")
        self.mail_flows()

    def test_4_the_loss_of_all_while_a_worker_holds_a_lease(self):
        held, release = threading.Event(), threading.Event()

        def hold(_):
            held.set()
            release.wait(120)
        subject = uuid.uuid4().hex
        self.sink.replies["."] = hold
        try:
            self.platform.submit("alice@example.test", ["x@held.example"], test_message(subject))
            self.assertTrue(held.wait(60), "the message is under way")
            self.redis.command("FLUSHALL")
            # Of each shard, once the reconciler has been through it.
            wait_until(lambda: self.redis.command("KEYS", "*:epoch").count(":epoch") == 16, 60,
                       "the schedule is rebuilt")
            self.assertIn("x@held.example", self.queued())
        finally:
            release.set()
            del self.sink.replies["."]
        wait_until(lambda: "x@held.example" not in self.queued(), 60,
                   "the delivery is reported")
        self.assertEqual(self.sink_subjects()[subject], 1, "sent twice")


if __name__ == "__main__":
    unittest.main()
