#include "lib/smtp/chunk_decoder.h"

#include <string>

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

TEST(ChunkDecoderTest, FindsTheSameAtEveryChunkSize) {
  struct Row {
    const char* name;
    std::string message;
    bool bare_newline;
    bool eight_bit;
    std::uint64_t longest_line;
  };
  const Row rows[] = {
      {"empty", "", false, false, 0},
      {"lines", "ab\r\nabcd\r\n\r\n", false, false, 4},
      {"no end of line", "abc", false, false, 3},
      {"dots are nothing", ".\r\n..\r\n", false, false, 2},
      {"bare LF", "ab\ncd\r\n", true, false, 5},
      {"bare CR", "ab\rcd\r\n", true, false, 5},
      {"CR at the end", "ab\r", true, false, 2},
      {"CR CR LF", "a\r\r\n", true, false, 2},
      {"LF CR", "\n\r", true, false, 1},
      {"8-bit", "\xc3\xa4\r\n", false, true, 2},
      {"NUL", std::string("a\0b\r\n", 5), false, false, 3},
  };
  for (const Row& row : rows) {
    for (std::size_t chunk = 1; chunk <= row.message.size() + 1; ++chunk) {
      ChunkDecoder decoder;
      for (std::size_t i = 0; i < row.message.size(); i += chunk) {
        decoder.Feed(std::string_view(row.message).substr(i, chunk));
      }
      decoder.Finish();
      EXPECT_EQ(decoder.bare_newline(), row.bare_newline) << row.name << " by " << chunk;
      EXPECT_EQ(decoder.eight_bit(), row.eight_bit) << row.name << " by " << chunk;
      EXPECT_EQ(decoder.longest_line(), row.longest_line) << row.name << " by " << chunk;
      EXPECT_EQ(decoder.octets(), row.message.size()) << row.name << " by " << chunk;
    }
  }
}

}  // namespace
}  // namespace posthorn::smtp
