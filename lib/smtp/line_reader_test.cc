#include "lib/smtp/line_reader.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

// What comes out when `bytes` arrive in pieces of `chunk` octets; "!" stands for a line too long.
std::vector<std::string> Lines(const std::string& bytes, std::size_t chunk, std::size_t max_line) {
  LineReader reader(max_line);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < bytes.size(); i += chunk) {
    reader.Feed(bytes.substr(i, chunk));
    for (;;) {
      const LineReader::Result result = reader.Next();
      if (result.outcome == LineReader::Outcome::kNeedMore) break;
      lines.push_back(result.outcome == LineReader::Outcome::kTooLong ? "!"
                                                                      : std::string(result.line));
    }
  }
  return lines;
}

struct Row {
  const char* name;
  std::string bytes;
  std::vector<std::string> lines;
};

TEST(LineReaderTest, CutsLinesAtEveryChunkSize) {
  const Row rows[] = {
      {"crlf", "EHLO a\r\nQUIT\r\n", {"EHLO a", "QUIT"}},
      {"lf alone", "HELO a\nQUIT\n", {"HELO a", "QUIT"}},
      {"empty line", "\r\n\r\n", {"", ""}},
      {"cr inside stays", "a\rb\r\n", {"a\rb"}},
      {"incomplete", "QUI", {}},
      {"just fits", "0123456789\r\nx\r\n", {"0123456789", "x"}},
      {"too long", "0123456789a\r\nx\r\n", {"!", "x"}},
      {"much too long", std::string(500, 'y') + "\r\nx\r\n", {"!", "x"}},
      {"twice too long", std::string(50, 'y') + "\n" + std::string(60, 'z') + "\r\nx\r\n",
       {"!", "!", "x"}},
  };
  for (const Row& row : rows) {
    for (std::size_t chunk = 1; chunk <= row.bytes.size(); ++chunk) {
      EXPECT_EQ(Lines(row.bytes, chunk, 10), row.lines) << row.name << " by " << chunk;
    }
  }
}

TEST(LineReaderTest, KeepsNothingOfALineTooLong) {
  LineReader reader(10);
  for (int i = 0; i < 1000; ++i) {
    reader.Feed(std::string(1000, 'x'));
    EXPECT_EQ(reader.Next().outcome, LineReader::Outcome::kNeedMore);
    EXPECT_TRUE(reader.empty());
  }
}

TEST(LineReaderTest, HandsOverWhatIsNoLine) {
  LineReader reader;
  reader.Feed("BDAT 3\r\na\ncNOOP\r\nQU");
  EXPECT_EQ(reader.Next().line, "BDAT 3");
  EXPECT_EQ(reader.Peek(), "a\ncNOOP\r\nQU");
  reader.Consume(3);
  EXPECT_EQ(reader.Next().line, "NOOP");
  EXPECT_EQ(reader.Next().outcome, LineReader::Outcome::kNeedMore);
  EXPECT_EQ(reader.Peek(), "QU");
  reader.Consume(2);
  EXPECT_TRUE(reader.empty());
  EXPECT_EQ(reader.Peek(), "");
}

TEST(LineReaderTest, DiscardForgetsEverything) {
  LineReader reader;
  reader.Feed("STARTTLS\r\nMAIL FROM:<a@b.example>\r\nRC");
  EXPECT_EQ(reader.Next().line, "STARTTLS");
  reader.Discard();
  EXPECT_EQ(reader.Next().outcome, LineReader::Outcome::kNeedMore);
  reader.Feed("EHLO a\r\n");
  EXPECT_EQ(reader.Next().line, "EHLO a");
}

}  // namespace
}  // namespace posthorn::smtp
