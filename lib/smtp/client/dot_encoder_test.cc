#include "lib/smtp/client/dot_encoder.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::smtp::client {
namespace {

TEST(DotEncoderTest, EncodesAtEveryChunkSize) {
  struct Row {
    const char* name;
    std::string in;
    std::string out;
  };
  const Row rows[] = {
      {"empty", "", ".\r\n"},
      {"plain", "a\r\nb\r\n", "a\r\nb\r\n.\r\n"},
      {"no final line end", "a\r\nb", "a\r\nb\r\n.\r\n"},
      {"leading dots", ".a\r\n..b\r\n.\r\nc.\r\n", "..a\r\n...b\r\n..\r\nc.\r\n.\r\n"},
      {"only a dot", ".", "..\r\n.\r\n"},
      {"blank lines", "\r\n\r\n", "\r\n\r\n.\r\n"},
      {"bare LF", "a\nb\n", "a\r\nb\r\n.\r\n"},
      {"bare CR", "a\rb\r", "a\r\nb\r\n.\r\n"},
      {"bare LF before a dot", "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
      {"smuggling", "a\r\n.\nMAIL FROM:<x@y>\r\n", "a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"},
      {"smuggling with CR", "a\r.\rMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"},
      {"CR CR LF", "a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
      {"8 bit and NUL", std::string("\xff\0\x80", 3), std::string("\xff\0\x80\r\n.\r\n", 8)},
  };
  for (const Row& row : rows) {
    for (std::size_t piece = 1; piece <= row.in.size() + 1; ++piece) {
      DotEncoder encoder;
      for (int round = 0; round < 2; ++round) {
        std::string out;
        for (std::size_t i = 0; i < row.in.size(); i += piece) {
          encoder.Encode(std::string_view(row.in).substr(i, piece), out);
        }
        encoder.Finish(out);
        EXPECT_EQ(out, row.out) << row.name << " in pieces of " << piece;
      }
    }
  }
}

}  // namespace
}  // namespace posthorn::smtp::client
