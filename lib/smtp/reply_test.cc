#include "lib/smtp/reply.h"

#include <string>

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

std::string Wire(const Reply& reply) {
  std::string out;
  AppendReply(reply, out);
  return out;
}

TEST(ReplyTest, FormatsLines) {
  EXPECT_EQ(Wire(Reply(250, "2.1.5", "Recipient ok")), "250 2.1.5 Recipient ok\r\n");
  EXPECT_EQ(Wire(Reply(354, "", "Go ahead")), "354 Go ahead\r\n");
  EXPECT_EQ(Wire(Reply(334, "", "")), "334 \r\n");
  EXPECT_EQ(Wire(Reply(250, "", "a.example\nSIZE 10\nHELP")),
            "250-a.example\r\n250-SIZE 10\r\n250 HELP\r\n");
  EXPECT_EQ(Wire(Reply(214, "2.0.0", "a\nb")), "214-2.0.0 a\r\n214 2.0.0 b\r\n");
}

TEST(ReplyTest, TextCannotBreakTheDialogue) {
  EXPECT_EQ(Wire(Reply(550, "5.1.1", "a\r\xc3\x01z")), "550 5.1.1 a???z\r\n");
  const std::string line = Wire(Reply(550, "5.1.1", std::string(2000, 'x')));
  EXPECT_EQ(line.size(), 512u);
  EXPECT_EQ(line.substr(510), "\r\n");
}

TEST(ReplyTest, KnowsWhatEndsTheConnection) {
  EXPECT_TRUE(Reply(221, "2.0.0", "Bye").Closes());
  EXPECT_TRUE(Reply(421, "4.3.2", "Shutting down").Closes());
  const Reply refused(554, "5.5.0", "No");
  EXPECT_FALSE(refused.Closes());
  EXPECT_TRUE(ThenClose(refused).Closes());
  EXPECT_EQ(Wire(ThenClose(refused)), Wire(refused));
}

TEST(ReplyTest, EveryFailureHasAnSmtpReply) {
  const FailureTable table = AllFailures();
  for (std::size_t i = 0; i < table.size; ++i) {
    const FailureRow& row = table.rows[i];
    const Reply reply = ReplyFor(MakeFailure(row.failure));
    EXPECT_EQ(reply.code, row.smtp_code) << row.name;
    EXPECT_GE(reply.code, 400) << row.name;
    // RFC 2034: the class of the enhanced code is that of the reply.
    EXPECT_EQ(reply.enhanced[0], std::to_string(reply.code)[0]) << row.name;
    EXPECT_EQ(row.permanent, reply.code >= 500) << row.name;
  }
}

TEST(ReplyTest, InternalDetailStaysInside) {
  const Reply reply = ReplyFor(absl::InternalError("relation \"email\" does not exist"));
  EXPECT_EQ(reply.code, 451);
  EXPECT_EQ(reply.text.find("relation"), std::string::npos);
}

TEST(ReplyTest, WritesUtf8OnlyWhereTheClientReadsIt) {
  Reply reply(250, "2.1.5", "<d\xc3\xb6mi@example.test>");
  std::string out;
  AppendReply(reply, out);
  EXPECT_EQ(out, "250 2.1.5 <d??mi@example.test>\r\n");
  reply.utf8 = true;
  reply.text += "\r\x7f";
  out.clear();
  AppendReply(reply, out);
  EXPECT_EQ(out, "250 2.1.5 <d\xc3\xb6mi@example.test>??\r\n");
}

}  // namespace
}  // namespace posthorn::smtp
