// Writes a notification of each kind to standard output, separated by a NUL; for read_dsn_test.py.

#include <iostream>

#include "lib/dsn/dsn.h"

int main() {
  using posthorn::dsn::Kind;
  for (const Kind kind : {Kind::kFailure, Kind::kDelay, Kind::kDelivered, Kind::kRelayed,
                          Kind::kExpanded}) {
    posthorn::dsn::Notification n;
    n.kind = kind;
    n.reporting_host = "mail.example.org";
    n.to = "sender@example.org";
    n.message_id = "0190-1234";
    n.now = absl::FromUnixSeconds(1795420800);
    n.arrival = n.now - absl::Hours(4);
    n.retry_until = n.now + absl::Hours(100);
    posthorn::dsn::Recipient first;
    first.final_address = "who@example.net";
    first.original_address = "WHO@example.net";
    first.status = kind == Kind::kFailure ? "5.1.1" : kind == Kind::kDelay ? "4.2.0" : "2.0.0";
    first.original_recipient = "rfc822;WHO@example.net";
    first.diagnostic = "550 5.1.1 <who@example.net>: no such user";
    first.diagnostic_is_smtp = true;
    first.remote_host = "mx.example.net";
    posthorn::dsn::Recipient second;
    second.final_address = "j\xc3\xbcrgen@example.net";
    second.diagnostic = "connection refused";
    n.recipients = {first, second};
    n.envelope_id = "QQ314159";
    n.full = kind == Kind::kFailure;
    n.original =
        "From: sender@example.org\r\nSubject: gr\xc3\xbc\xc3\x9f\x65\r\n folded\r\n\r\nbody\r\n";
    std::cout << posthorn::dsn::Compose(n).message << '\0';
  }
}
