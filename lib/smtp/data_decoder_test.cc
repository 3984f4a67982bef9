#include "lib/smtp/data_decoder.h"

#include <string>

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

struct Decoded {
  std::string message;
  std::string rest;
  bool done = false;
  bool bare = false;
  bool eight_bit = false;
  std::uint64_t octets = 0;
  std::uint64_t longest_line = 0;
};

Decoded Decode(const std::string& wire, std::size_t chunk, bool discard = false,
               BareNewlines policy = BareNewlines::kKeep) {
  DataDecoder decoder(policy);
  if (discard) decoder.DiscardOutput();
  Decoded result;
  std::size_t at = 0;
  while (at < wire.size() && !decoder.done()) {
    const std::string piece = wire.substr(at, chunk);
    at += decoder.Decode(piece, result.message);
  }
  result.rest = wire.substr(at);
  result.done = decoder.done();
  result.bare = decoder.bare_newline();
  result.eight_bit = decoder.eight_bit();
  result.octets = decoder.octets();
  result.longest_line = decoder.longest_line();
  return result;
}

struct Row {
  const char* name;
  std::string wire;
  std::string message;
  bool done = true;
  bool bare = false;
  std::string rest = "";
};

const Row kRows[] = {
    {"simple", "Subject: x\r\n\r\nhello\r\n.\r\n", "Subject: x\r\n\r\nhello\r\n"},
    {"empty", ".\r\n", ""},
    {"subject only", "Subject: x\r\n.\r\n", "Subject: x\r\n"},
    {"pipelined rest", "a\r\n.\r\nQUIT\r\n", "a\r\n", true, false, "QUIT\r\n"},
    {"stuffed dot", "..\r\n.\r\n", ".\r\n"},
    {"stuffed dots", "...a\r\n.\r\n", "..a\r\n"},
    {"dot and text", ".a\r\n.\r\n", "a\r\n"},
    {"dot in line", "a.b.\r\n.\r\n", "a.b.\r\n"},
    {"empty lines", "\r\n\r\n.\r\n", "\r\n\r\n"},
    {"8-bit and NUL", std::string("\xff\x00\x80\r\n.\r\n", 8), std::string("\xff\x00\x80\r\n", 5)},
    {"unfinished", "a\r\n.", "a\r\n", false},
    {"unfinished cr", "a\r\n.\r", "a\r\n", false},
    // What other servers have taken for an end of data. None of these is one here.
    {"lf dot lf", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", true, true},
    {"lf dot crlf", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", true, true},
    {"cr dot cr", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", true, true},
    {"cr dot crlf", "a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", true, true},
    {"crlf dot lf", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", true, true},
    {"crlf dot cr", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, true},
    {"crlf dot cr cr lf", "a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", true, true},
    {"cr cr lf dot crlf", "a\r\r\n.\r\n", "a\r\r\n", true, true},
    {"lf cr dot crlf", "a\n\r.\r\nb\r\n.\r\n", "a\n\r.\r\nb\r\n", true, true},
    {"crlf dot nul crlf", std::string("a\r\n.\0\r\nb\r\n.\r\n", 13),
     std::string("a\r\n\0\r\nb\r\n", 9)},
    {"bare lf", "a\nb\r\n.\r\n", "a\nb\r\n", true, true},
    {"bare cr", "a\rb\r\n.\r\n", "a\rb\r\n", true, true},
    {"lf first", "\n.\r\n\r\n.\r\n", "\n.\r\n\r\n", true, true},
    {"two crs in one piece", "a\rb\rc\r\n.\r\n", "a\rb\rc\r\n", true, true},
    {"bare lf then crlf in one", "a\nb\r\n.\r\nQUIT\r\n", "a\nb\r\n", true, true, "QUIT\r\n"},
};

TEST(DataDecoderTest, DecodesAtEveryChunkSize) {
  for (const Row& row : kRows) {
    for (std::size_t chunk = 1; chunk <= row.wire.size(); ++chunk) {
      const Decoded got = Decode(row.wire, chunk);
      EXPECT_EQ(got.message, row.message) << row.name << " by " << chunk;
      EXPECT_EQ(got.done, row.done) << row.name << " by " << chunk;
      EXPECT_EQ(got.bare, row.bare) << row.name << " by " << chunk;
      EXPECT_EQ(got.rest, row.rest) << row.name << " by " << chunk;
      EXPECT_EQ(got.octets, row.message.size()) << row.name << " by " << chunk;
      const Decoded discarded = Decode(row.wire, chunk, true);
      EXPECT_EQ(discarded.message, "") << row.name << " by " << chunk;
      EXPECT_EQ(discarded.octets, row.message.size()) << row.name << " by " << chunk;
      EXPECT_EQ(discarded.rest, row.rest) << row.name << " by " << chunk;
    }
  }
}

// Every bare CR and LF of a message as CRLF.
std::string Normalized(const std::string& message) {
  std::string out;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] != '\r' && message[i] != '\n') {
      out += message[i];
      continue;
    }
    out += "\r\n";
    if (message[i] == '\r' && i + 1 < message.size() && message[i + 1] == '\n') ++i;
  }
  return out;
}

// The end of the data is found where it was without normalising; only the octets differ.
TEST(DataDecoderTest, NormalizesAtEveryChunkSize) {
  for (const Row& row : kRows) {
    const std::string expected = Normalized(row.message);
    for (std::size_t chunk = 1; chunk <= row.wire.size(); ++chunk) {
      const Decoded got = Decode(row.wire, chunk, false, BareNewlines::kNormalize);
      EXPECT_EQ(got.message, expected) << row.name << " by " << chunk;
      EXPECT_EQ(got.done, row.done) << row.name << " by " << chunk;
      EXPECT_EQ(got.bare, row.bare) << row.name << " by " << chunk;
      EXPECT_EQ(got.rest, row.rest) << row.name << " by " << chunk;
      EXPECT_EQ(got.octets, expected.size()) << row.name << " by " << chunk;
    }
  }
}

// Over all short sequences of what is dangerous: no bare newline comes out, nothing ends early.
TEST(DataDecoderTest, NormalizesEveryShortSequence) {
  const std::string pieces[] = {".", "\r", "\n", "a", "\r\n"};
  for (int n = 0; n < 5 * 5 * 5 * 5 * 5 * 5; ++n) {
    std::string wire = "x";
    for (int i = 0, rest = n; i < 6; ++i, rest /= 5) wire += pieces[rest % 5];
    wire += "\r\n.\r\n";
    const Decoded kept = Decode(wire, wire.size());
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{2}, std::size_t{3}, wire.size()}) {
      const Decoded got = Decode(wire, chunk, false, BareNewlines::kNormalize);
      ASSERT_EQ(got.message, Normalized(kept.message)) << n << " by " << chunk;
      ASSERT_EQ(got.done, kept.done) << n;
      ASSERT_EQ(got.rest, kept.rest) << n;
    }
  }
}

TEST(DataDecoderTest, MeasuresNormalizedLines) {
  const std::string wire = std::string(50, 'x') + "\n" + std::string(70, 'y') + "\r" +
                           std::string(60, 'z') + "\r\n.\r\n";
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, wire.size()}) {
    EXPECT_EQ(Decode(wire, chunk, false, BareNewlines::kNormalize).longest_line, 70u) << chunk;
  }
}

// RFC 3030: chunks are the message as it is.
TEST(DataDecoderTest, TakesCountedOctetsAtEveryChunkSize) {
  struct CountedRow {
    const char* name;
    std::string message;
    bool bare_newline;
    bool eight_bit;
    std::uint64_t longest_line;
  };
  const CountedRow rows[] = {
      {"empty", "", false, false, 0},
      {"lines", "ab\r\nabcd\r\n\r\n", false, false, 4},
      {"no end of line", "abc", false, false, 3},
      {"dots are nothing", ".\r\n..\r\n.\r\n", false, false, 2},
      {"bare LF", "ab\ncd\r\n", true, false, 5},
      {"bare CR", "ab\rcd\r\n", true, false, 5},
      {"CR at the end", "ab\r", true, false, 3},
      {"CR CR LF", "a\r\r\n", true, false, 2},
      {"LF CR", "\n\r", true, false, 2},
      {"8-bit", "\xc3\xa4\r\n", false, true, 2},
      {"NUL", std::string("a\0b\r\n", 5), false, false, 3},
  };
  for (const CountedRow& row : rows) {
    for (std::size_t chunk = 1; chunk <= row.message.size() + 1; ++chunk) {
      DataDecoder kept(BareNewlines::kKeep, DataFraming::kCounted);
      DataDecoder normalizing(BareNewlines::kNormalize, DataFraming::kCounted);
      std::string out;
      std::string normalized;
      for (std::size_t i = 0; i < row.message.size(); i += chunk) {
        const std::string piece = row.message.substr(i, chunk);
        EXPECT_EQ(kept.Decode(piece, out), piece.size()) << row.name << " by " << chunk;
        EXPECT_EQ(normalizing.Decode(piece, normalized), piece.size()) << row.name;
      }
      kept.Finish(out);
      normalizing.Finish(normalized);
      EXPECT_EQ(out, row.message) << row.name << " by " << chunk;
      EXPECT_FALSE(kept.done()) << row.name << " by " << chunk;
      EXPECT_EQ(kept.bare_newline(), row.bare_newline) << row.name << " by " << chunk;
      EXPECT_EQ(kept.eight_bit(), row.eight_bit) << row.name << " by " << chunk;
      EXPECT_EQ(kept.longest_line(), row.longest_line) << row.name << " by " << chunk;
      EXPECT_EQ(kept.octets(), row.message.size()) << row.name << " by " << chunk;
      EXPECT_EQ(normalized, Normalized(row.message)) << row.name << " by " << chunk;
    }
  }
}

TEST(DataDecoderTest, SeesEightBit) {
  EXPECT_FALSE(Decode("abcdefghijkl\r\n.\r\n", 100).eight_bit);
  EXPECT_TRUE(Decode("abcdefghijkl\xc3\r\n.\r\n", 100).eight_bit);
  EXPECT_TRUE(Decode("\xc3\r\n.\r\n", 1).eight_bit);
}

TEST(DataDecoderTest, MeasuresLines) {
  const std::string wire = std::string(998, 'x') + "\r\nab\r\n" + std::string(500, '.') + "\r\n.\r\n";
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, wire.size()}) {
    EXPECT_EQ(Decode(wire, chunk).longest_line, 998u) << chunk;
  }
  // Before its end has come, so that a limit can hold while octets arrive.
  EXPECT_EQ(Decode(std::string(5000, 'x'), 1000).longest_line, 5000u);
}

// Every message over a small alphabet comes back as it was, and stuffing finds its own end.
TEST(DataDecoderTest, RoundTripsEveryShortMessage) {
  const std::string pieces[] = {".", "\r\n", "a", "..", ".\r\n"};
  for (int n = 0; n < 5 * 5 * 5 * 5 * 5; ++n) {
    std::string message;
    for (int i = 0, rest = n; i < 5; ++i, rest /= 5) message += pieces[rest % 5];
    message += "\r\n";
    std::string wire;
    bool line_start = true;
    for (const char c : message) {
      if (line_start && c == '.') wire += '.';
      wire += c;
      line_start = c == '\n';
    }
    wire += ".\r\n";
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{2}, std::size_t{3}, wire.size()}) {
      const Decoded got = Decode(wire, chunk);
      ASSERT_EQ(got.message, message);
      ASSERT_TRUE(got.done);
      ASSERT_FALSE(got.bare);
      ASSERT_EQ(got.rest, "");
    }
  }
}

}  // namespace
}  // namespace posthorn::smtp
