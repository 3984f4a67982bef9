#include "lib/smtp/header_scan.h"

#include <string>

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

struct Row {
  const char* name;
  std::string message;
  int received;
  std::string message_id;
  std::string delivered_to = "";
};

TEST(HeaderScanTest, FindsWhatAcceptingNeeds) {
  const Row rows[] = {
      {"none", "Subject: x\r\n\r\nReceived: body\r\nMessage-ID: <no@x>\r\n", 0, ""},
      {"one of each", "Received: from a\r\nMessage-ID: <1@x>\r\n\r\n", 1, "<1@x>"},
      {"case and space", "RECEIVED : from a\r\nmessage-id:<1@x>  \r\n\r\n", 1, "<1@x>"},
      {"folded id", "Message-ID:\r\n <1@x>\r\nSubject: x\r\n more\r\n\r\n", 0, "<1@x>"},
      {"first counts", "Message-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n", 0, "<1@x>"},
      {"folded received counts once", "Received: a\r\n\tby b\r\nReceived: c\r\n\r\n", 2, ""},
      {"no blank line", "Message-ID: <1@x>", 0, "<1@x>"},
      {"similar names", "X-Received: a\r\nReceived-SPF: b\r\nMessage-ID-X: c\r\n\r\n", 0, ""},
      {"id too long", "Message-ID: <" + std::string(2000, 'a') + ">\r\nReceived: x\r\n\r\n", 1, ""},
      {"id folded too long",
       "Message-ID: <" + std::string(600, 'a') + "\r\n " + std::string(600, 'b') + ">\r\n\r\n", 0,
       ""},
      {"long line before", "X: " + std::string(5000, 'a') + "\r\nMessage-ID: <1@x>\r\n\r\n", 0,
       "<1@x>"},
      {"delivered to", "Delivered-To: a@b\r\nDELIVERED-TO :  C@D \r\n\r\nDelivered-To: e@f\r\n", 0,
       "", "a@b c@d "},
      {"delivered to, folded", "Delivered-To:\r\n a@b\r\nX: y\r\n z\r\n", 0, "", "a@b "},
      {"empty", "", 0, ""},
      {"blank first", "\r\nMessage-ID: <1@x>\r\n", 0, ""},
  };
  for (const Row& row : rows) {
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{2}, std::size_t{5},
                                    row.message.size() + 1}) {
      HeaderScan scan;
      for (std::size_t i = 0; i < row.message.size(); i += chunk) {
        scan.Feed(std::string_view(row.message).substr(i, chunk));
      }
      scan.Finish();
      EXPECT_EQ(scan.received_headers(), row.received) << row.name << " by " << chunk;
      EXPECT_EQ(scan.message_id(), row.message_id) << row.name << " by " << chunk;
      std::string delivered_to;
      for (const std::string& address : scan.delivered_to()) delivered_to += address + " ";
      EXPECT_EQ(delivered_to, row.delivered_to) << row.name << " by " << chunk;
    }
  }
}

TEST(HeaderScanTest, KeepsNoMoreThanItsLimit) {
  HeaderScan scan;
  for (int i = 0; i < 1000; ++i) scan.Feed("Delivered-To: a@b\r\n");
  scan.Finish();
  EXPECT_EQ(scan.delivered_to().size(), HeaderScan::kMaxDeliveredTo);
}

}  // namespace
}  // namespace posthorn::smtp
