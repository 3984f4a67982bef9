// FETCH: every item, every kind of section, small and large.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;

constexpr char kPrefix[] = "Return-Path: <s@a.example>\r\n";

std::string Nested(const std::string& text) {
  return "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
         "From: Ann <ann@a.example>\r\n"
         "To: bob@b.example\r\n"
         "Subject: outer\r\n"
         "Content-Type: multipart/mixed; boundary=b\r\n"
         "\r\n"
         "--b\r\n"
         "Content-Type: text/plain\r\n"
         "\r\n" +
         text +
         "\r\n--b\r\n"
         "Content-Type: message/rfc822\r\n"
         "\r\n"
         "Subject: inner\r\n"
         "X-Other: 1\r\n"
         "\r\n"
         "inner text\r\n"
         "\r\n--b--\r\n";
}

class FetchTest : public ImapTest {
 protected:
  // The answer to one FETCH of message 1, without "* 1 FETCH (" and what follows ")".
  std::string Fetch(const std::string& items) {
    if (!client_) client_.emplace(Select());
    const std::string answer = client_->Say("f FETCH 1 " + items + "\r\n");
    const std::string begin = "* 1 FETCH (";
    const std::string end = ")\r\nf OK Fetch completed\r\n";
    if (answer.size() < begin.size() + end.size() || answer.compare(0, begin.size(), begin) != 0 ||
        answer.compare(answer.size() - end.size(), end.size(), end) != 0) {
      return "unexpected: " + answer;
    }
    return answer.substr(begin.size(), answer.size() - begin.size() - end.size());
  }
  static std::string Literal(const std::string& name, const std::string& text) {
    return name + " {" + std::to_string(text.size()) + "}\r\n" + text;
  }

  std::optional<Client> client_;
};

TEST_F(FetchTest, SectionsOfANestedMessageWholeAndInPieces) {
  for (const std::size_t inline_limit : {std::size_t{64 * 1024}, std::size_t{10}}) {
    store_.SetInlineLimit(inline_limit);
    const std::string text(30000, 'x');
    const std::string body = Nested(text);
    if (!client_) Deliver(body, kPrefix);
    const std::string all = kPrefix + body;
    const std::string header = all.substr(0, all.find("\r\n\r\n") + 4);
    const std::string rest = all.substr(header.size());
    EXPECT_EQ(Fetch("BODY.PEEK[]"), Literal("BODY[]", all));
    EXPECT_EQ(Fetch("BODY.PEEK[HEADER]"), Literal("BODY[HEADER]", header));
    EXPECT_EQ(Fetch("BODY.PEEK[TEXT]"), Literal("BODY[TEXT]", rest));
    EXPECT_EQ(Fetch("BODY.PEEK[1]"), Literal("BODY[1]", text));
    EXPECT_EQ(Fetch("BODY.PEEK[1.MIME]"),
              Literal("BODY[1.MIME]", "Content-Type: text/plain\r\n\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2]"),
              Literal("BODY[2]", "Subject: inner\r\nX-Other: 1\r\n\r\ninner text\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2.HEADER]"),
              Literal("BODY[2.HEADER]", "Subject: inner\r\nX-Other: 1\r\n\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2.HEADER.FIELDS (subject)]"),
              Literal("BODY[2.HEADER.FIELDS (subject)]", "Subject: inner\r\n\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2.HEADER.FIELDS.NOT (subject)]"),
              Literal("BODY[2.HEADER.FIELDS.NOT (subject)]", "X-Other: 1\r\n\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2.TEXT]"), Literal("BODY[2.TEXT]", "inner text\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[2.1]"), Literal("BODY[2.1]", "inner text\r\n"));
    EXPECT_EQ(Fetch("BODY.PEEK[3]"), "BODY[3] NIL");
    EXPECT_EQ(Fetch("BODY.PEEK[1.TEXT]"), "BODY[1.TEXT] NIL");
    EXPECT_EQ(Fetch("BODY.PEEK[]<29990.20>"), Literal("BODY[]<29990>", all.substr(29990, 20)));
    EXPECT_EQ(Fetch("BODY.PEEK[1]<29999.5>"), Literal("BODY[1]<29999>", "x"));
    EXPECT_EQ(Fetch("BODY.PEEK[1]<30000.5>"), Literal("BODY[1]<30000>", ""));
    EXPECT_EQ(Fetch("BODY.PEEK[TEXT]<0.3>"), Literal("BODY[TEXT]<0>", "--b"));
    EXPECT_EQ(Fetch("BODY.PEEK[HEADER.FIELDS (Return-Path \"SUBJECT\" x)]"),
              Literal("BODY[HEADER.FIELDS (Return-Path SUBJECT x)]",
                      "Return-Path: <s@a.example>\r\nSubject: outer\r\n\r\n"));
    EXPECT_EQ(Fetch("RFC822.HEADER"), Literal("RFC822.HEADER", header));
  }
}

TEST_F(FetchTest, EnvelopeAndStructure) {
  Deliver(Nested("hi"), kPrefix);
  const std::string envelope =
      "ENVELOPE (\"Thu, 1 Jan 1970 00:00:00 +0000\" \"outer\" "
      "((\"Ann\" NIL \"ann\" \"a.example\")) ((\"Ann\" NIL \"ann\" \"a.example\")) "
      "((\"Ann\" NIL \"ann\" \"a.example\")) ((NIL NIL \"bob\" \"b.example\")) NIL NIL NIL NIL)";
  const std::string structure =
      "BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 0 NIL NIL "
      "NIL NIL)"
      "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 42 (NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL "
      "NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 1 NIL NIL NIL NIL) "
      "4 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)";
  EXPECT_EQ(Fetch("ENVELOPE"), envelope);
  EXPECT_EQ(Fetch("(ENVELOPE BODYSTRUCTURE)"), envelope + " " + structure);
  EXPECT_THAT(
      Fetch("BODY"),
      HasSubstr(
          "BODY ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 0)(\"mes"));
  // What another version of the scanner stored is scanned again, from small and large bodies.
  store_.ForgetStructures();
  EXPECT_EQ(Fetch("(ENVELOPE BODYSTRUCTURE)"), envelope + " " + structure);
  EXPECT_THAT(Fetch("(BODYSTRUCTURE BODY.PEEK[1])"), HasSubstr("BODY[1] {2}\r\nhi"));
}

TEST_F(FetchTest, MacrosAndSimpleItems) {
  Deliver("Subject: s\r\n\r\nt\r\n", kPrefix);
  const std::string fast =
      "FLAGS (\\Recent) INTERNALDATE \"01-Jan-1970 01:00:00 +0000\" RFC822.SIZE 45";
  EXPECT_EQ(Fetch("FAST"), fast);
  EXPECT_EQ(Fetch("(UID FLAGS)"), "UID 1 FLAGS (\\Recent)");
  EXPECT_EQ(Fetch("ALL"), fast + " ENVELOPE (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL)");
  EXPECT_EQ(Fetch("FULL"),
            fast +
                " ENVELOPE (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                "BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)");
  EXPECT_EQ(client_->Say("u UID FETCH 1 FLAGS\r\n"),
            "* 1 FETCH (UID 1 FLAGS (\\Recent))\r\nu OK Fetch completed\r\n");
}

TEST_F(FetchTest, ReadingSetsSeenUnlessPeekedOrReadOnly) {
  Deliver("Subject: s\r\n\r\nt\r\n");
  EXPECT_EQ(Fetch("BODY.PEEK[TEXT]"), Literal("BODY[TEXT]", "t\r\n"));
  EXPECT_EQ(Fetch("(RFC822.HEADER FLAGS)"),
            Literal("RFC822.HEADER", "Subject: s\r\n\r\n") + " FLAGS (\\Recent)");
  EXPECT_EQ(Fetch("BODY[TEXT]"), "FLAGS (\\Seen \\Recent) " + Literal("BODY[TEXT]", "t\r\n"));
  EXPECT_EQ(Fetch("RFC822.TEXT"), Literal("RFC822.TEXT", "t\r\n"));
  client_->Say("a STORE 1 -FLAGS.SILENT (\\Seen)\r\n");
  EXPECT_EQ(Fetch("(RFC822 FLAGS)"),
            Literal("RFC822", "Subject: s\r\n\r\nt\r\n") + " FLAGS (\\Seen \\Recent)");
  client_->Say("a STORE 1 -FLAGS.SILENT (\\Seen)\r\n");
  client_->Say("a EXAMINE INBOX\r\n");
  EXPECT_EQ(Fetch("(BODY[TEXT] FLAGS)"), Literal("BODY[TEXT]", "t\r\n") + " FLAGS ()");
}

TEST_F(FetchTest, ManyMessagesComeInOrderAndLargeOnesBetweenThem) {
  std::string expected;
  for (int i = 1; i <= 40; ++i) {
    const std::string body = "Subject: s\r\n\r\n" + std::string(i % 10 == 0 ? 70000 : 500,
                                                                static_cast<char>('a' + i % 26));
    Deliver(body);
    expected += "* " + std::to_string(i) + " FETCH (" + Literal("BODY[]", body) + ")\r\n";
  }
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1:* BODY.PEEK[]\r\n"), expected + "a OK Fetch completed\r\n");
}

TEST_F(FetchTest, OddBytesComeBackUnchanged) {
  const std::string odd[] = {
      std::string("a\0b\r\n\r\n\0\xff\xfe", 11),
      "",
      "no header",
      "\r\n",
      "\n\nbare\nlines\n",
      "Subject: \xc3\xa4\r\n\r\n" + std::string(5000, '.') + "\r\n.\r\n..\r\n",
      "Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing",
  };
  for (const std::string& body : odd) Deliver(body);
  Client client = Select();
  for (std::size_t i = 0; i < std::size(odd); ++i) {
    const std::string number = std::to_string(i + 1);
    EXPECT_EQ(
        client.Say("a FETCH " + number + " BODY.PEEK[]\r\n"),
        "* " + number + " FETCH (" + Literal("BODY[]", odd[i]) + ")\r\na OK Fetch completed\r\n");
    EXPECT_THAT(client.Say("b FETCH " + number + " (ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[1])\r\n"),
                testing::EndsWith("b OK Fetch completed\r\n"));
  }
}

TEST_F(FetchTest, WrongSetsAreRefused) {
  Deliver("Subject: s\r\n\r\nt\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 2 FLAGS\r\n"), "a BAD No such message\r\n");
  EXPECT_EQ(client.Say("b FETCH 0 FLAGS\r\n"), "b BAD Invalid sequence set\r\n");
  EXPECT_EQ(client.Say("c UID FETCH 50 FLAGS\r\n"), "c OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("d UID FETCH 50:* FLAGS\r\n"),
            "* 1 FETCH (UID 1 FLAGS (\\Recent))\r\nd OK Fetch completed\r\n");
}

TEST_F(FetchTest, AStoreThatFailsIsATemporaryError) {
  Deliver("Subject: s\r\n\r\nt\r\n");
  Client client = Select();
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  EXPECT_THAT(client.Say("a FETCH 1 ENVELOPE\r\n"), testing::StartsWith("a NO [UNAVAILABLE] "));
  EXPECT_EQ(client.Say("b FETCH 1 UID\r\n"), "* 1 FETCH (UID 1)\r\nb OK Fetch completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
