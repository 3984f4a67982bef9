"""What operators do with what waits, by posthornctl; and the limits on it as a sender sees them."""

import email
import email.policy
import smtplib
import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform, test_message
from tests.support.postfix import Postfix
from tests.support.processes import wait_until
from tests.support.send_client import RpcError, Send

ALICE = "alice@example.test"
LIMIT = 12


class QueueOperatorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other = Postfix("other.example", ["carol"], address="127.0.0.1").start()
        cls.dns = DnsServer([
            "other.example. IN MX 10 mx.other.example.", "mx.other.example. IN A 127.0.0.1",
            "away.example. IN MX 10 mx.away.example.", "mx.away.example. IN A 127.0.0.77",
        ]).start()
        cls.platform = SplitPlatform(dns=cls.dns, config={
            "delivery": {"smtp_port": cls.other.port},
            "queue": {"tenant_max_messages": LIMIT, "retry_schedule_seconds": [60, 900],
                      "retry_rules": [{"destination": "away.example",
                                       "retry_schedule_seconds": [600]}]}}).start()

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.dns.stop()
        cls.other.stop()

    def tearDown(self):
        self.platform.ctl("queue", "cancel", "--all")
        # The next test's first message there is tried at once.
        self.platform.ctl("queue", "resume", "away.example", check=False)

    def ctl(self, *arguments):
        return self.platform.ctl("queue", *arguments)

    def listed(self):
        return self.ctl("list", "--json")

    def waiting(self, to, subject):
        """Sends to a server that is away; the message, when it has been tried."""
        # What another test left is counted out a little later than it is gone.
        wait_until(lambda: self.try_to_send(to, subject), 30, "room in the queue")
        return wait_until(lambda: [m for m in self.listed()
                                   if m["recipients"][0]["address"] == to
                                   and m["recipients"][0].get("attempts")],
                          60, "a deferred message")[0]["message_id"]

    def test_reroute_takes_mail_around_a_server_that_is_away_and_the_log_tells(self):
        identifier = self.waiting("carol@away.example", "rerouted")
        self.ctl("reroute", identifier, "--to", f"127.0.0.1:{self.other.port}")
        # Postfix relays for this network.
        shown = wait_until(lambda: [e for e in self.ctl("show", identifier, "--json")["events"]
                                    if e["kind"] == "delivered"], 60, "the other server's answer")
        self.assertIn("127.0.0.1", shown[0]["remote_host"])
        kinds = [e["kind"] for e in self.ctl("show", identifier, "--json")["events"]]
        self.assertEqual((kinds[0], kinds[1], kinds[-1]), ("accepted", "deferred", "delivered"))
        wait_until(lambda: identifier not in [m["message_id"] for m in self.listed()], 30, "gone")
        text = self.ctl("show", identifier)
        self.assertIn("no more", text)
        self.assertIn("carol@away.example", text)

    def test_held_mail_waits_for_its_release(self):
        identifier = self.waiting("x@away.example", "held")
        self.assertIn("1 deliver", self.ctl("hold", identifier))
        self.assertEqual(self.ctl("show", identifier, "--json")["recipients"][0]["state"], "held")
        summary = self.ctl("summary", "--json")["destinations"]
        self.assertEqual([(d["destination"], d["jobs"], d["held"]) for d in summary],
                         [("away.example", 1, 1)])
        self.assertIn("away.example", self.ctl("summary"))
        self.ctl("retry", identifier)
        self.assertEqual(self.ctl("show", identifier, "--json")["recipients"][0]["state"], "held")
        attempts = self.ctl("show", identifier, "--json")["recipients"][0]["attempts"]
        self.ctl("release", identifier)
        wait_until(lambda: self.ctl("show", identifier, "--json")["recipients"][0]["attempts"]
                   > attempts, 60, "another attempt")

    def test_returned_mail_says_why(self):
        self.waiting("y@away.example", "returned-by-hand")
        self.ctl("bounce", "--destination", "away.example", "--reason", "the list was stolen")

        def notification():
            for raw in self.platform.messages(ALICE):
                if b"returned-by-hand" in raw and b"delivery-status" in raw:
                    return email.message_from_bytes(raw, policy=email.policy.default)
            return None
        report = wait_until(notification, 60, "the notification")
        self.assertIn("the list was stolen", report.as_string())
        self.assertEqual(self.listed(), [])

    def test_schedule_says_what_is_in_force(self):
        text = self.ctl("schedule")
        for part in ("1 min", "15 min", "4 h", "5 d", "to away.example", "10 min"):
            self.assertIn(part, text)

    def test_past_the_limit_mail_is_refused_for_the_time_being(self):
        accepted = 0
        with self.assertRaises(smtplib.SMTPDataError) as caught:
            for accepted in range(10 * LIMIT):
                self.platform.submit(ALICE, [f"n{accepted}@away.example"], test_message("many"))
        self.assertEqual(caught.exception.smtp_code, 452)
        self.assertIn(b"4.3.1", caught.exception.smtp_error)
        # Each of the two replicas counts what it takes at once, and the other's a little later.
        self.assertGreaterEqual(accepted, LIMIT)
        self.assertLessEqual(accepted, 2 * LIMIT)
        key = self.platform.ctl("key", "add", "--tenant", "demo", "--description", "app",
                                "--json")["secret"]
        # Each replica knows after its next count.
        wait_until(lambda: self.api_answer(key) == "RESOURCE_EXHAUSTED", 30, "the API refuses too")
        # Mailboxes here are not the queue's.
        self.platform.submit(ALICE, ["bob@example.test"], test_message("local goes on"))
        self.ctl("cancel", "--all")
        wait_until(lambda: self.try_to_send("n8@away.example"), 30, "room again")

    def api_answer(self, key):
        try:
            Send(self.platform.ports().api, key)("app@example.test", ["n9@away.example"],
                                                 test_message("by api").encode())
            return "OK"
        except RpcError as error:
            return error.code().name

    def try_to_send(self, to, subject="again"):
        try:
            self.platform.submit(ALICE, [to], test_message(subject))
            return True
        except smtplib.SMTPDataError as error:
            self.assertEqual(error.smtp_code, 452)
            return False


if __name__ == "__main__":
    unittest.main()
