"""The house rules a compiler doesn't know, checked over the whole tree."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import coroutines  # noqa: E402
import layers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


class LayersTest(unittest.TestCase):
    def test_includes_point_down_only(self):
        findings = [f for path, text in layers.sources(ROOT) for f in layers.check_file(path, text)]
        self.assertEqual([], findings, "\n" + "\n".join(findings))

    def test_the_check_finds_what_it_is_for(self):
        for path, include in (
                ("lib/base/x.cc", "lib/net/stream.h"),
                ("lib/mime/x.cc", "lib/net/stream.h"),
                ("lib/net/x.cc", "services/gateway/wiring.h"),
                ("services/queue/x.cc", "services/mailbox/y.h"),
                ("services/gateway/smtp/session.cc", "boost/asio.hpp"),
                ("services/gateway/smtp/session.cc", "pqxx/pqxx"),
                ("services/gateway/smtp/session.cc", "posthorn/queue/v1/queue.pb.h"),
                ("lib/imap/x.cc", "grpcpp/grpcpp.h"),
                ("services/mailbox/x.cc", "tests/support/y.h")):
            with self.subTest(path=path, include=include):
                self.assertNotEqual([], layers.check_file(path, f'#include "{include}"\n'))
        for path, include in (
                ("lib/net/x.cc", "boost/asio.hpp"),
                ("services/gateway/smtp/session.cc", "lib/smtp/command.h"),
                ("services/gateway/clients/queue_client.cc", "posthorn/queue/v1/queue.pb.h"),
                ("services/mailbox/delivery_service.cc", "grpcpp/grpcpp.h"),
                ("apps/posthorn/serve.cc", "services/mailbox/wiring.h")):
            with self.subTest(path=path, include=include):
                self.assertEqual([], layers.check_file(path, f'#include "{include}"\n'))


class CoroutinesTest(unittest.TestCase):
    def test_no_temporaries_in_co_await_expressions(self):
        findings = [f for path, text in layers.sources(ROOT)
                    for f in coroutines.check_file(path, text)]
        self.assertEqual([], findings, "\n" + "\n".join(findings))

    def test_the_check_finds_what_it_is_for(self):
        for code in ("co_await Take(Request{1, 2});",
                     "x = co_await Take(ns::Request{});",
                     "co_await Take({1, 2});",
                     "co_await Take(a, {1});",
                     "if (absl::Status s = co_await Take(Request{}); !s.ok()) {}",
                     "co_await Run([&x] { return x; });",
                     "co_await Run([this](int a) { return a; });",
                     "auto f = [&x]() -> Task<void> { co_await Y(x); };",
                     "Spawn(e, [this]() -> Task<void> { co_return; }());"):
            with self.subTest(code):
                self.assertNotEqual([], coroutines.check_file("x.cc", code))
        for code in ("co_await Take(Request(1, 2));",
                     "co_await Take(std::move(request));",
                     "co_await Run([](int a) { return a; });",
                     "co_await Write({});",
                     "// co_await Take(Request{1})",
                     "if (co_await Take()) { x(); }",
                     "for (;;) { co_await Take(a[1]); }",
                     "auto f = [&x] { return x; }; co_await Take(f);"):
            with self.subTest(code):
                self.assertEqual([], coroutines.check_file("x.cc", code))


if __name__ == "__main__":
    unittest.main()
