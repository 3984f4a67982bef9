#include "lib/smtp/client/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/failure.h"
#include "lib/smtp/client/capabilities.h"

namespace posthorn::smtp::client {
namespace {

using ::testing::ElementsAre;

// All replies of `bytes`, fed in pieces of `piece` octets; empty on an error.
std::vector<Reply> ParseAll(const std::string& bytes, std::size_t piece, bool* failed = nullptr) {
  ReplyParser parser;
  std::vector<Reply> replies;
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    parser.Feed(std::string_view(bytes).substr(i, piece));
    for (;;) {
      absl::StatusOr<std::optional<Reply>> next = parser.Next();
      if (!next.ok()) {
        EXPECT_EQ(FailureOf(next.status()), Failure::kSyntax);
        if (failed != nullptr) *failed = true;
        return replies;
      }
      if (!next->has_value()) break;
      replies.push_back(**std::move(next));
    }
  }
  return replies;
}

TEST(ReplyParserTest, ReadsRepliesAtEveryChunkSize) {
  const std::string bytes =
      "220 mx.example.net ready\r\n"
      "250-2.1.0 one\r\n250-two\r\n250 three\r\n"
      "550 5.1.1 <a@b>: no such user\r\n"
      "250\r\n"
      "421 4.3.2 bye\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const std::vector<Reply> replies = ParseAll(bytes, piece);
    ASSERT_EQ(replies.size(), 5u) << piece;
    EXPECT_EQ(replies[0].code, 220);
    EXPECT_THAT(replies[1].lines, ElementsAre("one", "two", "three"));
    EXPECT_EQ(replies[1].enhanced, "2.1.0");
    EXPECT_EQ(replies[1].text(), "one two three");
    EXPECT_EQ(replies[2].enhanced, "5.1.1");
    EXPECT_EQ(replies[2].text(), "<a@b>: no such user");
    EXPECT_EQ(replies[3].text(), "");
    EXPECT_EQ(replies[4].code, 421);
  }
}

TEST(ReplyParserTest, ReadsEnhancedCodesOnlyWhereTheyAre) {
  struct Row {
    const char* line;
    const char* enhanced;
    const char* text;
  };
  const Row rows[] = {
      {"550 5.7.1 no\r\n", "5.7.1", "no"},
      {"550 5.7.509 no\r\n", "5.7.509", "no"},
      {"550 5.7.1\r\n", "5.7.1", ""},
      {"550 4.7.1 class differs\r\n", "", "4.7.1 class differs"},
      {"550 5.7 no\r\n", "", "5.7 no"},
      {"550 5.7.1.2 no\r\n", "", "5.7.1.2 no"},
      {"550 5.7.1234 no\r\n", "", "5.7.1234 no"},
      {"250 2.0.0 ok\r\n", "2.0.0", "ok"},
      {"354 3.0.0 go\r\n", "3.0.0", "go"},
  };
  for (const Row& row : rows) {
    const std::vector<Reply> replies = ParseAll(row.line, 100);
    ASSERT_EQ(replies.size(), 1u) << row.line;
    EXPECT_EQ(replies[0].enhanced, row.enhanced) << row.line;
    EXPECT_EQ(replies[0].text(), row.text) << row.line;
  }
}

TEST(ReplyParserTest, RefusesWhatIsNoReply) {
  const std::string rows[] = {
      "hello\r\n", "\r\n", "25\r\n", "2500\r\n", "199 x\r\n", "600 x\r\n", "250_x\r\n", "x50 a\r\n",
      std::string(ReplyParser::kMaxLine + 2, '2'),
      "250 " + std::string(ReplyParser::kMaxLine, 'a') + "\r\n",
  };
  for (const std::string& row : rows) {
    bool failed = false;
    EXPECT_TRUE(ParseAll(row, 1000, &failed).empty()) << row;
    EXPECT_TRUE(failed) << row;
  }
}

TEST(ReplyParserTest, BoundsTheReply) {
  std::string bytes;
  for (std::size_t i = 0; i <= ReplyParser::kMaxLines; ++i) bytes += "250-x\r\n";
  bool failed = false;
  ParseAll(bytes, 1000, &failed);
  EXPECT_TRUE(failed);

  std::string long_text;
  for (int i = 0; i < 20; ++i) long_text += "250-" + std::string(2000, 'a') + "\r\n";
  long_text += "250 end\r\n250 next\r\n";
  const std::vector<Reply> replies = ParseAll(long_text, 1000);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_LE(replies[0].text().size(), ReplyParser::kMaxText + ReplyParser::kMaxLines);
  EXPECT_EQ(replies[1].text(), "next");
}

TEST(ReplyParserTest, ControlOctetsDoNotReachTheText) {
  const std::vector<Reply> replies = ParseAll(std::string("250 a\rb\0c\x1b\r\n", 12), 100);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].text(), "a?b?c?");
}

TEST(CapabilitiesTest, ReadsWhatTheServerOffers) {
  const std::vector<Reply> replies = ParseAll(
      "250-mx.example.net\r\n250-pipelining\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
      "250-STARTTLS\r\n250-X-OTHER a b\r\n250 SMTPUTF8\r\n",
      100);
  ASSERT_EQ(replies.size(), 1u);
  const Capabilities found = ParseCapabilities(replies[0]);
  EXPECT_TRUE(found.pipelining);
  EXPECT_TRUE(found.size);
  EXPECT_EQ(found.max_size, 1000u);
  EXPECT_TRUE(found.eight_bit);
  EXPECT_TRUE(found.starttls);
  EXPECT_TRUE(found.smtputf8);
}

TEST(CapabilitiesTest, TheGreetingLineOffersNothing) {
  const std::vector<Reply> replies = ParseAll("250-STARTTLS\r\n250 SIZE\r\n", 100);
  ASSERT_EQ(replies.size(), 1u);
  const Capabilities found = ParseCapabilities(replies[0]);
  EXPECT_FALSE(found.starttls);
  EXPECT_TRUE(found.size);
  EXPECT_EQ(found.max_size, 0u);
}

}  // namespace
}  // namespace posthorn::smtp::client
