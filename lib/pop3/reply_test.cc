#include "lib/pop3/reply.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/failure.h"

namespace posthorn::pop3 {
namespace {

TEST(ReplyTest, FormatsLines) {
  std::string out;
  AppendOk("ready", out);
  AppendOk("", out);
  AppendLine(".dot", out);
  AppendLine("a\r\nb", out);
  AppendEnd(out);
  EXPECT_EQ(out, "+OK ready\r\n+OK\r\n..dot\r\na  b\r\n.\r\n");
}

TEST(ReplyTest, ErrorsCarryTheirCode) {
  std::string out;
  AppendError(MakeFailure(Failure::kAuthenticationFailed), out);
  EXPECT_EQ(out.substr(0, 12), "-ERR [AUTH] ");
  out.clear();
  AppendError(absl::InternalError("secret detail"), out);
  EXPECT_EQ(out.substr(0, 16), "-ERR [SYS/TEMP] ");
  EXPECT_EQ(out.find("secret"), std::string::npos);
}

struct Row {
  const char* message;
  const char* sent;
};

constexpr Row kRows[] = {
    {"", ".\r\n"},
    {"a\r\n", "a\r\n.\r\n"},
    {"a", "a\r\n.\r\n"},
    {"a\n", "a\n\r\n.\r\n"},
    {"a\r", "a\r\r\n.\r\n"},
    {".\r\n", "..\r\n.\r\n"},
    {".a\r\n..b\r\nc.\r\n", "..a\r\n...b\r\nc.\r\n.\r\n"},
    {"a\n.b\r\n", "a\n..b\r\n.\r\n"},
    {"\r\n", "\r\n.\r\n"},
};

TEST(DotStufferTest, StuffsAtEveryChunkSize) {
  for (const Row& row : kRows) {
    const std::string message = row.message;
    for (std::size_t size = 1; size <= message.size() + 1; ++size) {
      DotStuffer stuffer;
      std::string out;
      for (std::size_t i = 0; i < message.size(); i += size) {
        stuffer.Feed(std::string_view(message).substr(i, size), out);
      }
      stuffer.Finish(out);
      EXPECT_EQ(out, row.sent) << message << " by " << size;
    }
  }
}

struct TopRow {
  const char* message;
  std::uint32_t lines;
  const char* top;
};

constexpr TopRow kTops[] = {
    {"A: b\r\n\r\n1\r\n2\r\n3\r\n", 0, "A: b\r\n\r\n"},
    {"A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, "A: b\r\n\r\n1\r\n2\r\n"},
    {"A: b\r\n\r\n1\r\n", 5, "A: b\r\n\r\n1\r\n"},
    {"A: b\n\n1\n2\n", 1, "A: b\n\n1\n"},
    {"A: b\r\n", 3, "A: b\r\n"},
    {"A: b\r\n\r\r\n\r\nx\r\n", 0, "A: b\r\n\r\r\n\r\n"},
    {"\r\nx\r\ny\r\n", 1, "\r\nx\r\n"},
};

TEST(TopFilterTest, CutsAtEveryChunkSize) {
  for (const TopRow& row : kTops) {
    const std::string message = row.message;
    for (std::size_t size = 1; size <= message.size(); ++size) {
      TopFilter filter(row.lines);
      std::string out;
      for (std::size_t i = 0; i < message.size() && !filter.done(); i += size) {
        const std::string_view piece = std::string_view(message).substr(i, size);
        out += piece.substr(0, filter.Feed(piece));
      }
      EXPECT_EQ(out, row.top) << message << " by " << size;
    }
  }
}

}  // namespace
}  // namespace posthorn::pop3
