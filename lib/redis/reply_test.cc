#include "lib/redis/reply.h"

#include <gtest/gtest.h>

namespace posthorn::redis {
namespace {

constexpr char kWire[] =
    "+OK\r\n:42\r\n$-1\r\n$5\r\na\r\nbc\r\n-ERR no\r\n*3\r\n:1\r\n$0\r\n\r\n*1\r\n+deep\r\n*0\r\n";

std::vector<Reply> ParseInPieces(std::string_view wire, std::size_t piece) {
  ReplyParser parser;
  std::vector<Reply> replies;
  while (!wire.empty()) {
    EXPECT_TRUE(parser.Feed(wire.substr(0, piece)).ok());
    wire.remove_prefix(std::min(piece, wire.size()));
    for (;;) {
      absl::StatusOr<std::optional<Reply>> reply = parser.Next();
      EXPECT_TRUE(reply.ok());
      if (!reply.ok() || !reply->has_value()) break;
      replies.push_back(**std::move(reply));
    }
  }
  return replies;
}

TEST(ReplyParserTest, ReadsEveryTypeAtEveryPieceSize) {
  const std::string_view wire(kWire, sizeof(kWire) - 1);
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    SCOPED_TRACE(piece);
    const std::vector<Reply> replies = ParseInPieces(wire, piece);
    ASSERT_EQ(replies.size(), 7u);
    EXPECT_EQ(replies[0].type, Reply::Type::kStatus);
    EXPECT_EQ(replies[0].text, "OK");
    EXPECT_EQ(replies[1].integer, 42);
    EXPECT_TRUE(replies[2].is_nil());
    EXPECT_EQ(replies[3].text, "a\r\nbc");
    EXPECT_TRUE(replies[4].is_error());
    ASSERT_EQ(replies[5].elements.size(), 3u);
    EXPECT_EQ(replies[5].elements[1].text, "");
    ASSERT_EQ(replies[5].elements[2].elements.size(), 1u);
    EXPECT_EQ(replies[5].elements[2].elements[0].text, "deep");
    EXPECT_EQ(replies[6].type, Reply::Type::kArray);
    EXPECT_TRUE(replies[6].elements.empty());
  }
}

TEST(ReplyParserTest, RefusesWhatIsNotResp) {
  ReplyParser parser;
  ASSERT_TRUE(parser.Feed("HTTP/1.1 200 OK\r\n").ok());
  EXPECT_FALSE(parser.Next().ok());
}

TEST(FormatCommandTest, CarriesAnyBytes) {
  EXPECT_EQ(FormatCommand({"SET", "k", std::string("\0\r\n", 3)}),
            std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\0\r\n\r\n", 29));
}

}  // namespace
}  // namespace posthorn::redis
