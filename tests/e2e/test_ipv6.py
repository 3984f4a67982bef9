"""Mail to servers with IPv6 addresses: which kind is tried first, the other one as the way out, and
sources of each kind. ::1 is the only such address of a loopback, so the names that sources greet by tell
them apart."""

import unittest

from tests.support.dns_server import DnsServer
from tests.support.platform import SplitPlatform, test_message
from tests.support.processes import free_port, wait_until
from tests.support.smtp_sink import SmtpSink

ALICE = "alice@example.test"
ADDRESSES = {"both": ("A 127.0.0.1", "AAAA ::1"), "six": ("AAAA ::1",), "four": ("A 127.0.0.1",)}
# Source addresses and the names they greet by.
BOTH_FROM_SIX = ("::1", "both.out.example")
BOTH_FROM_FOUR = ("127.0.0.2", "both.out.example")
ONLY_SIX = ("::1", "six.out.example")
ONLY_FOUR = ("127.0.0.3", "four.out.example")


class OneOfEach(SplitPlatform):
    replicas = 1


class Ipv6Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.six = SmtpSink("::1", port=port).start()
        cls.addClassCleanup(lambda: cls.six.stop())
        cls.four = SmtpSink("127.0.0.1", port=port).start()
        cls.addClassCleanup(cls.four.stop)
        records = []
        for name, addresses in ADDRESSES.items():
            records.append(f"{name}.example. IN MX 10 mx.{name}.example.")
            records += [f"mx.{name}.example. IN {address}" for address in addresses]
        cls.dns = DnsServer(records).start()
        cls.addClassCleanup(cls.dns.stop)
        cls.platform = OneOfEach(dns=cls.dns, config={
            "queue": {"retry_schedule_seconds": [1]},
            "delivery": {
                "smtp_port": port, "ip_preference": "ipv6",
                # Each message opens a connection, so it shows what is tried.
                "traffic": [{"mx": "mx.both.example", "messages_per_connection": 1},
                            {"mx": "*", "source_pool": "apart"}],
                "source_pools": [
                    {"name": "both", "sources": [{"ipv6": "::1", "ipv4": "127.0.0.2",
                                                  "hostname": "both.out.example"}]},
                    {"name": "apart", "sources": [
                        {"ipv6": "::1", "hostname": "six.out.example"},
                        {"ipv4": "127.0.0.3", "hostname": "four.out.example"}]}]}})
        cls.addClassCleanup(cls.platform.stop)
        cls.platform.start()

    def sends(self, to, sink):
        """Sends a message that must arrive at `sink`."""
        before = len(sink.messages)
        self.platform.submit(ALICE, [to], test_message("by IPv6 or not"))
        wait_until(lambda: len(sink.messages) > before, 90,
                   lambda: f"{to} arrives: {self.platform.ctl('queue', 'list', '--json')}")
        self.assertEqual(sink.messages[-1].recipients, [f"RCPT TO:<{to}>"])

    def test_ipv6_first_and_ipv4_while_nothing_listens_there(self):
        six = type(self).six
        self.sends("x@both.example", six)
        self.assertEqual(six.peers[-1], BOTH_FROM_SIX)
        before = len(self.four.messages)
        six.stop()
        try:
            self.sends("y@both.example", self.four)
            self.assertEqual(self.four.peers[-1], BOTH_FROM_FOUR)
        finally:
            type(self).six = SmtpSink("::1", port=six.port).start()
        self.sends("z@both.example", self.six)
        self.assertEqual(self.six.peers[-1], BOTH_FROM_SIX)
        self.assertEqual(len(self.four.messages), before + 1)

    def test_a_server_is_reached_from_a_source_of_its_kind(self):
        # By chance either would come up within a few messages.
        for number in range(6):
            self.sends(f"x{number}@six.example", self.six)
            self.sends(f"x{number}@four.example", self.four)
        self.assertEqual({peer for peer in self.six.peers if peer != BOTH_FROM_SIX}, {ONLY_SIX})
        self.assertEqual({peer for peer in self.four.peers if peer != BOTH_FROM_FOUR}, {ONLY_FOUR})


if __name__ == "__main__":
    unittest.main()
