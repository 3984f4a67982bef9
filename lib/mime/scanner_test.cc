#include "lib/mime/scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace posthorn::mime {
namespace {

// One line: type, parameters, encoding, body octets and lines, children in parentheses.
std::string Describe(const Part& part) {
  std::string out = part.type + "/" + part.subtype;
  for (const Parameter& param : part.params) out += ";" + param.name + "=" + param.value;
  if (part.encoding != "7bit") out += " " + part.encoding;
  out += " " + std::to_string(part.body_size) + "/" + std::to_string(part.body_lines);
  if (part.kind == Part::Kind::kLeaf) return out;
  out += part.kind == Part::Kind::kMessage ? " <" : " (";
  for (std::size_t i = 0; i < part.parts.size(); ++i) {
    if (i > 0) out += ", ";
    out += Describe(part.parts[i]);
  }
  return out + (part.kind == Part::Kind::kMessage ? ">" : ")");
}

std::string Mixed(const std::string& type, const std::string& body) {
  return "Subject: x\r\nContent-Type: " + type + "\r\n\r\n" + body;
}

struct Golden {
  const char* name;
  std::string message;
  const char* structure;
};

// Sizes and lines of leaves and nested messages are those Dovecot 2.3.19 answers in BODYSTRUCTURE.
std::vector<Golden> Goldens() {
  const std::string nested =
      "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c\r\n\r\n2";
  return {
      {"empty", "", "text/plain;charset=us-ascii 0/0"},
      {"blank line only", "\r\n", "text/plain;charset=us-ascii 0/0"},
      {"starts with the blank line", "\r\nbody\r\n", "text/plain;charset=us-ascii 6/1"},
      {"headers only", "Subject: x\r\n", "text/plain;charset=us-ascii 0/0"},
      {"header without line end", "Subject: x", "text/plain;charset=us-ascii 0/0"},
      {"plain", "Subject: x\r\n\r\nhello\r\nworld\r\n", "text/plain;charset=us-ascii 14/2"},
      {"no final line end", "Subject: x\r\n\r\nhello\r\nworld", "text/plain;charset=us-ascii 12/1"},
      {"line feeds only", "Subject: x\n\nhello\nworld\n", "text/plain;charset=us-ascii 12/2"},
      {"garbage line in header", "garbage\r\nContent-Type: text/html\r\n\r\nx",
       "text/html;charset=us-ascii 1/0"},
      {"8-bit and NUL", std::string("Subject: \xff\r\n\r\n\x00\xfe\r\n", 18),
       "text/plain;charset=us-ascii 4/1"},
      {"multipart",
       Mixed("multipart/mixed; boundary=b",
             "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n"),
       "multipart/mixed;boundary=b 68/11 "
       "(text/plain;charset=us-ascii 3/0, text/html;charset=us-ascii 5/1)"},
      {"multipart with line feeds",
       "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n",
       "multipart/mixed;boundary=b 24/7 "
       "(text/plain;charset=us-ascii 3/0, text/plain;charset=us-ascii 3/0)"},
      {"multipart without boundary parameter", Mixed("multipart/mixed", "--b\r\n\r\nx\r\n--b--\r\n"),
       "multipart/mixed 17/4 ()"},
      {"multipart with another boundary",
       Mixed("multipart/mixed; boundary=zzz", "--b\r\n\r\nx\r\n--b--\r\n"),
       "multipart/mixed;boundary=zzz 17/4 ()"},
      {"missing end boundary",
       Mixed("multipart/mixed; boundary=b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"),
       "multipart/mixed;boundary=b 24/6 "
       "(text/plain;charset=us-ascii 3/0, text/plain;charset=us-ascii 5/1)"},
      {"text after boundaries, parts after the end",
       Mixed("multipart/mixed; boundary=b",
             "--bXX\r\n\r\none\r\n--b--YY\r\nafter\r\n--b\r\n\r\nmore\r\n"),
       "multipart/mixed;boundary=b 43/8 (text/plain;charset=us-ascii 3/0)"},
      {"boundary inside a header",
       Mixed("multipart/mixed; boundary=b",
             "--b\r\nContent-Type: text/html\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 49/6 "
       "(text/html;charset=us-ascii 0/0, text/plain;charset=us-ascii 3/0)"},
      {"empty part", Mixed("multipart/mixed; boundary=b", "--b\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 12/2 (text/plain;charset=us-ascii 0/0)"},
      {"part of one blank line", Mixed("multipart/mixed; boundary=b", "--b\r\n\r\n\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 16/4 (text/plain;charset=us-ascii 0/0)"},
      {"end boundary without line end", Mixed("multipart/mixed; boundary=b", "--b\r\n\r\nx\r\n--b--"),
       "multipart/mixed;boundary=b 15/3 (text/plain;charset=us-ascii 1/0)"},
      {"boundary without line end", Mixed("multipart/mixed; boundary=b", "--b\r\n\r\nx\r\n--b"),
       "multipart/mixed;boundary=b 13/3 (text/plain;charset=us-ascii 1/0)"},
      {"boundary at the end", Mixed("multipart/mixed; boundary=b", "--b\r\n\r\nx\r\n--b\r\n"),
       "multipart/mixed;boundary=b 15/4 "
       "(text/plain;charset=us-ascii 1/0, text/plain;charset=us-ascii 0/0)"},
      {"nested", Mixed("multipart/mixed; boundary=b", nested + "\r\n--c--\r\nepi\r\n--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 105/15 (multipart/alternative;boundary=c 30/7 "
       "(text/plain;charset=us-ascii 1/0, text/plain;charset=us-ascii 1/0), "
       "text/plain;charset=us-ascii 1/0)"},
      {"nested without end", Mixed("multipart/mixed; boundary=b", nested + "\r\n--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 93/13 (multipart/alternative;boundary=c 18/5 "
       "(text/plain;charset=us-ascii 1/0, text/plain;charset=us-ascii 1/0), "
       "text/plain;charset=us-ascii 1/0)"},
      {"nested with the same boundary",
       Mixed("multipart/mixed; boundary=b",
             "--b\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
             "--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 90/11 (multipart/alternative;boundary=b 17/4 "
       "(text/plain;charset=us-ascii 1/0), text/plain;charset=us-ascii 1/0)"},
      {"inner boundary begins like the outer",
       Mixed("multipart/mixed; boundary=b",
             "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n"
             "--bb\r\n\r\n1\r\n--bb--\r\n--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 93/11 (multipart/alternative;boundary=bb 19/4 "
       "(text/plain;charset=us-ascii 1/0), text/plain;charset=us-ascii 1/0)"},
      {"boundary that ends in dashes",
       Mixed("multipart/mixed; boundary=b--",
             "--b--\r\n\r\n1\r\n--b--\r\n\r\n2\r\n--b----\r\n"),
       "multipart/mixed;boundary=b-- 33/7 "
       "(text/plain;charset=us-ascii 1/0, text/plain;charset=us-ascii 1/0)"},
      {"digest",
       Mixed("multipart/digest; boundary=b",
             "--b\r\n\r\nFrom: a@b\r\n\r\none\r\n--b\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--b--\r\n"),
       "multipart/digest;boundary=b 70/10 (message/rfc822 16/2 <text/plain;charset=us-ascii 3/0>, "
       "text/plain;charset=us-ascii 3/0)"},
      {"message", Mixed("message/rfc822", "From: a@b\r\nSubject: in\r\n\r\nhello\r\n"),
       "message/rfc822 33/4 <text/plain;charset=us-ascii 7/1>"},
      {"message cut by a boundary",
       Mixed("multipart/mixed; boundary=b",
             "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\nSubject: in\r\n"
             "--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 78/9 (message/rfc822 24/2 <text/plain;charset=us-ascii 0/0>, "
       "text/plain;charset=us-ascii 1/0)"},
      {"multipart in a message in a multipart",
       Mixed("multipart/mixed; boundary=b",
             "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
             "boundary=q\r\n\r\n--q\r\n\r\nqq\r\n--q--\r\n--b\r\n\r\n3\r\n--b--\r\n"),
       "multipart/mixed;boundary=b 117/13 (message/rfc822 63/6 <multipart/mixed;boundary=q 18/4 "
       "(text/plain;charset=us-ascii 2/0)>, text/plain;charset=us-ascii 1/0)"},
      {"encoding without MIME-Version does not count", "Content-Transfer-Encoding: base64\r\n\r\nx",
       "text/plain;charset=us-ascii 1/0"},
      {"encoding with Content-Type",
       "Content-Transfer-Encoding: base64\r\nContent-Type: text/html\r\n\r\nx",
       "text/html;charset=us-ascii base64 1/0"},
      {"unreadable type", "Content-Type: text/plain charset=x\r\n\r\nx", "/ 1/0"},
  };
}

TEST(ScannerTest, AnswersAsDovecot) {
  for (const Golden& golden : Goldens()) {
    const Message message = Scan(golden.message);
    EXPECT_EQ(Describe(message.structure.root), golden.structure) << golden.name;
    EXPECT_EQ(message.size, golden.message.size()) << golden.name;
    const Part& root = message.structure.root;
    EXPECT_EQ(root.header_size + root.body_size, golden.message.size()) << golden.name;
    EXPECT_EQ(root.header_lines + root.body_lines,
              std::count(golden.message.begin(), golden.message.end(), '\n'))
        << golden.name;
  }
}

TEST(ScannerTest, ChunksMakeNoDifference) {
  for (const Golden& golden : Goldens()) {
    const Message whole = Scan(golden.message);
    for (std::size_t size = 1; size < golden.message.size(); ++size) {
      Scanner scanner;
      for (std::size_t i = 0; i < golden.message.size(); i += size) {
        scanner.Feed(std::string_view(golden.message).substr(i, size));
      }
      const Message pieces = scanner.Finish();
      ASSERT_EQ(pieces.structure, whole.structure) << golden.name << ", chunks of " << size;
      ASSERT_EQ(pieces.envelope, whole.envelope) << golden.name << ", chunks of " << size;
      ASSERT_EQ(pieces.header_size, whole.header_size) << golden.name << ", chunks of " << size;
    }
  }
}

TEST(ScannerTest, OffsetsNameTheOctets) {
  const std::string text = Mixed(
      "multipart/mixed; boundary=b",
      "pre\r\n--b\r\nContent-ID: <1>\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
      "Subject: in\r\n\r\ntwo\r\n\r\n--b--\r\nepi");
  const Message message = Scan(text);
  const Part& root = message.structure.root;
  ASSERT_EQ(root.parts.size(), 2u);
  const auto header = [&](const Part& p) { return text.substr(p.header_offset, p.header_size); };
  const auto body = [&](const Part& p) { return text.substr(p.body_offset, p.body_size); };
  EXPECT_EQ(header(root) + body(root), text);
  EXPECT_EQ(message.header_size, root.header_size);
  EXPECT_EQ(header(root.parts[0]), "Content-ID: <1>\r\n\r\n");
  EXPECT_EQ(root.parts[0].header_lines, 2u);
  EXPECT_EQ(body(root.parts[0]), "one");
  EXPECT_EQ(root.parts[0].id, "<1>");
  const Part& nested = root.parts[1];
  EXPECT_EQ(body(nested), "Subject: in\r\n\r\ntwo\r\n");
  EXPECT_EQ(nested.envelope->subject, "in");
  EXPECT_EQ(header(nested.parts[0]), "Subject: in\r\n\r\n");
  EXPECT_EQ(body(nested.parts[0]), "two\r\n");
  EXPECT_EQ(&nested, FindPart(message.structure, {2}));
  EXPECT_EQ(&nested.parts[0], FindPart(message.structure, {2, 1}));
  EXPECT_EQ(nullptr, FindPart(message.structure, {3}));
  EXPECT_EQ(nullptr, FindPart(message.structure, {2, 2}));
  EXPECT_EQ(nullptr, FindPart(message.structure, {1, 1}));
}

TEST(ScannerTest, KeepsTheEnvelope) {
  const Message message = Scan(
      "Received: by a\r\nReceived: by b\r\nDate: today (x)\r\nSUBJECT:  a\r\n\t b \r\n"
      "from: Joe <a@b>\r\nTo: c@d\r\nTo: e@f\r\nMessage-ID : <m@h>\r\nReferences: <1>\r\n <2>\r\n"
      "List-Id: <l.example>\r\nIn-Reply-To: <2>\r\nSubject: last\r\n\r\nSubject: body\r\n");
  EXPECT_EQ(message.envelope.date, "today (x)");
  EXPECT_EQ(message.envelope.subject, "last");
  ASSERT_EQ(message.envelope.from.size(), 1u);
  EXPECT_EQ(message.envelope.from[0].name, "Joe");
  EXPECT_EQ(message.envelope.SenderOrFrom(), message.envelope.from);
  ASSERT_EQ(message.envelope.to.size(), 2u);
  EXPECT_EQ(message.envelope.to[1].mailbox, "e");
  EXPECT_EQ(message.envelope.message_id, "<m@h>");
  EXPECT_EQ(message.envelope.in_reply_to, "<2>");
  EXPECT_EQ(message.list_headers.references, "<1> <2>");
  EXPECT_EQ(message.list_headers.list_id, "<l.example>");
  EXPECT_EQ(message.list_headers.received_count, 2u);
}

TEST(ScannerTest, ValuesHoldNoNulOrLineEnd) {
  const Message message = Scan(std::string_view("Subject: a\0b\rc\r\n d\r\n\r\n", 22));
  EXPECT_EQ(message.envelope.subject, "a\xef\xbf\xbd" "b c d");
}

TEST(ScannerTest, SeesAMissingFinalLineEnd) {
  for (const char* text : {"", "\r\n", "A: b\r\n\r\nx\r\n"}) {
    EXPECT_FALSE(Scan(text).structure.lacks_final_line_end) << text;
  }
  for (const char* text : {"x", "\n", "\r", "A: b\r\n\r\nx", "A: b\r\n\r\nx\r", "A: b\n\nx\n"}) {
    EXPECT_TRUE(Scan(text).structure.lacks_final_line_end) << text;
  }
}

TEST(ScannerTest, BoundsTheDepth) {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const std::string boundary = "b" + std::to_string(i) + ".";
    text += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  text += "\r\ninnermost\r\n";
  const Message message = Scan(text);
  int depth = 0;
  const Part* part = &message.structure.root;
  for (; !part->parts.empty(); part = &part->parts[0]) ++depth;
  EXPECT_EQ(depth, Scanner::kMaxDepth);
  EXPECT_EQ(part->kind, Part::Kind::kLeaf);
  EXPECT_EQ(part->body_offset + part->body_size, text.size());
}

TEST(ScannerTest, SeesFiftyNestedParts) {
  std::string text;
  for (int i = 0; i < 50; ++i) {
    const std::string boundary = "=_" + std::to_string(i) + ".";
    text += "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n";
  }
  text += "\r\ninnermost\r\n";
  for (int i = 49; i >= 0; --i) text += "--=_" + std::to_string(i) + ".--\r\n";
  const Message message = Scan(text);
  int depth = 0;
  const Part* part = &message.structure.root;
  for (; !part->parts.empty(); part = &part->parts[0]) ++depth;
  EXPECT_EQ(depth, 50);
  EXPECT_EQ(text.substr(part->body_offset, part->body_size), "innermost");
}

TEST(ScannerTest, BoundsTheParts) {
  std::string text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
  for (int i = 0; i < Scanner::kMaxParts + 500; ++i) text += "--b\r\n\r\nx\r\n";
  const Message message = Scan(text);
  EXPECT_EQ(message.structure.root.parts.size() + 1, static_cast<std::size_t>(Scanner::kMaxParts));
}

TEST(ScannerTest, BoundsWhatItKeeps) {
  std::string text = "Subject: " + std::string(1 << 20, 's') + "\r\n";
  for (int i = 0; i < 100; ++i) text += "X-" + std::string(50000, 'x') + ": y\r\n";
  text += "To: a@b\r\n\r\n" + std::string(3 << 20, 'z');
  const Message message = Scan(text);
  EXPECT_EQ(message.envelope.subject->size(), Scanner::kMaxFieldOctets);
  EXPECT_EQ(message.envelope.to.size(), 1u);
  EXPECT_EQ(message.structure.root.body_size, 3u << 20);
}

TEST(ScannerTest, LongLinesAndBoundaries) {
  const std::string boundary(200, 'b');
  const std::string text =
      "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n" + std::string(5000, 'p') +
      "\r\n--" + boundary + "\r\n\r\n-- \r\n--" + std::string(5000, '-') + "\r\n--" + boundary +
      "--\r\n";
  for (const std::size_t size : {1, 2, 79, 83, 84, 85, 999, 100000}) {
    Scanner scanner;
    for (std::size_t i = 0; i < text.size(); i += size) {
      scanner.Feed(std::string_view(text).substr(i, size));
    }
    const Message message = scanner.Finish();
    ASSERT_GE(message.structure.root.parts.size(), 1u) << size;
    const Part& part = message.structure.root.parts[0];
    EXPECT_EQ(text.substr(part.body_offset, part.body_size),
              "-- \r\n--" + std::string(5000, '-'))
        << size;
  }
}

}  // namespace
}  // namespace posthorn::mime
