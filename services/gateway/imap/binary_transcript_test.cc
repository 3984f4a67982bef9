// BINARY (RFC 3516) and REPLACE (RFC 8508).
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kPrefix[] = "Return-Path: <s@a.example>\r\n";

std::string Parts(const std::string& base64) {
  return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         "Gr=FC=DFe=\r\n, alle\r\n"
         "--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" +
         base64 +
         "\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n"
         "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n";
}

class BinaryTest : public ImapTest {
 protected:
  static std::string Literal8(const std::string& name, const std::string& text) {
    return name + " ~{" + std::to_string(text.size()) + "}\r\n" + text;
  }
};

TEST_F(BinaryTest, PartsComeDecodedSmallAndLarge) {
  for (const std::size_t inline_limit : {std::size_t{64 * 1024}, std::size_t{10}}) {
    store_.SetInlineLimit(inline_limit);
    Client client = LogIn();
    const std::string mailbox = "m" + std::to_string(inline_limit);
    client.Say("c CREATE " + mailbox + "\r\n");
    Deliver(Parts("AAECAw=="), kPrefix, mailbox);
    client.Say("s SELECT " + mailbox + "\r\n");
    const std::string text =
        "Gr\xfc\xdf"
        "e, alle";
    const std::string zero("\0\1\2\3", 4);
    const std::pair<std::string, std::string> rows[] = {
        {"BINARY.PEEK[1]", Literal8("BINARY[1]", text)},
        {"BINARY.PEEK[2]", Literal8("BINARY[2]", zero)},
        {"BINARY.PEEK[4]", Literal8("BINARY[4]", "plain")},
        {"BINARY.PEEK[2]<1.2>", Literal8("BINARY[2]<1>", zero.substr(1, 2))},
        {"BINARY.PEEK[2]<3.9999999999>", Literal8("BINARY[2]<3>", zero.substr(3))},
        {"BINARY.PEEK[2]<9.2>", Literal8("BINARY[2]<9>", "")},
        {"BINARY.PEEK[9]", "BINARY[9] NIL"},
        {"BINARY.SIZE[1]", "BINARY.SIZE[1] 11"},
        {"BINARY.SIZE[2]", "BINARY.SIZE[2] 4"},
        {"BINARY.SIZE[9]", "BINARY.SIZE[9] 0"},
        {"BINARY.PEEK[]", Literal8("BINARY[]", kPrefix + Parts("AAECAw=="))},
    };
    for (const auto& [item, answer] : rows) {
      EXPECT_EQ(client.Say("f FETCH 1 (UID " + item + ")\r\n"),
                "* 1 FETCH (UID 1 " + answer + ")\r\nf OK Fetch completed\r\n")
          << item << " " << inline_limit;
    }
    EXPECT_THAT(client.Say("g FETCH 1 BINARY[4]\r\n"),
                StartsWith("* 1 FETCH (FLAGS (\\Seen \\Recent) BINARY[4] ~{5}\r\nplain)\r\n"));
  }
}

TEST_F(BinaryTest, ALargePartIsDecodedInPieces) {
  std::string encoded;
  std::string decoded;
  for (int i = 0; i < 20000; ++i) {
    encoded += "AAECA/8A";
    if (i % 9 == 8) encoded += "\r\n";
    decoded.append("\0\1\2\3\xff\0", 6);
  }
  Deliver(Parts(encoded), kPrefix);
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2])\r\n"),
            "* 1 FETCH (BINARY.SIZE[2] 120000 " + Literal8("BINARY[2]", decoded) +
                ")\r\na OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("b FETCH 1 BINARY.PEEK[2]<60001.50000>\r\n"),
            "* 1 FETCH (" + Literal8("BINARY[2]<60001>", decoded.substr(60001, 50000)) +
                ")\r\nb OK Fetch completed\r\n");
}

TEST_F(BinaryTest, AnUnknownEncodingFailsTheCommandButNotOtherMessages) {
  Deliver(Parts("AA=="));
  Deliver("Subject: a\r\n\r\n1\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1 (BINARY.PEEK[3])\r\n"),
            "a NO [UNKNOWN-CTE] Unknown content transfer encoding\r\n");
  EXPECT_EQ(
      client.Say("b FETCH 1:2 (BINARY.SIZE[3])\r\n"),
      "* 2 FETCH (BINARY.SIZE[3] 0)\r\nb NO [UNKNOWN-CTE] Unknown content transfer encoding\r\n");
  for (const char* wrong : {"BINARY", "BINARY[1.TEXT]", "BINARY[HEADER]", "BINARY.SIZE[1]<0.1>",
                            "BINARY[1]<0.0>", "BINARY.PEEK[1"}) {
    EXPECT_THAT(client.Say(std::string("c FETCH 1 ") + wrong + "\r\n"), StartsWith("c BAD "))
        << wrong;
  }
}

TEST_F(BinaryTest, AppendTakesALiteral8AsItIs) {
  Client client = Select();
  const std::string body("a: b\r\n\r\n\0\xff", 10);
  EXPECT_THAT(client.Say("a APPEND INBOX ~{10}\r\n"), "+ OK\r\n");
  EXPECT_THAT(client.Say(body + "\r\n"), HasSubstr("a OK [APPENDUID 1001 1] "));
  EXPECT_THAT(client.Say("b FETCH 1 BINARY.PEEK[]\r\n"), HasSubstr(Literal8("BINARY[]", body)));
}

TEST_F(BinaryTest, ReplaceStoresOneAndRemovesTheOther) {
  Deliver("Subject: one\r\n\r\n");
  Deliver("Subject: two\r\n\r\n");
  Client other = Select();
  Client client = Select();
  EXPECT_EQ(client.Say("a REPLACE 1 INBOX (\\Flagged) {4}\r\n"), "+ OK\r\n");
  EXPECT_EQ(client.Say("new\n\r\n"),
            "* OK [APPENDUID 1001 3] Replacement message ready\r\n* 1 EXPUNGE\r\n* 2 EXISTS\r\n"
            "* 1 RECENT\r\na OK Replace completed\r\n");
  EXPECT_THAT(other.Say("b NOOP\r\n"), HasSubstr("* 1 EXPUNGE\r\n* 2 EXISTS\r\n"));
  EXPECT_THAT(client.Say("c UID FETCH 3 (FLAGS BODY.PEEK[])\r\n"),
              HasSubstr("UID 3 FLAGS (\\Flagged \\Recent) BODY[] {4}\r\nnew\n)"));
  // Into another mailbox, and by UID.
  client.Say("d CREATE x\r\n");
  EXPECT_EQ(client.Say("e UID REPLACE 2 x {2+}\r\nzz\r\n"),
            "* OK [APPENDUID 1002 1] Replacement message ready\r\n* 1 EXPUNGE\r\n"
            "e OK Replace completed\r\n");
}

TEST_F(BinaryTest, AReplaceThatFailsChangesNothing) {
  Deliver("Subject: one\r\n\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a REPLACE 1 nowhere {2}\r\n"), "a NO [TRYCREATE] No such mailbox\r\n");
  EXPECT_THAT(client.Say("b REPLACE 2 INBOX {2}\r\n"), StartsWith("b BAD "));
  EXPECT_THAT(client.Say("c UID REPLACE 9 INBOX {2}\r\n"), StartsWith("c NO [NONEXISTENT] "));
  EXPECT_THAT(client.Say("d REPLACE 1 INBOX {2+}\r\nzz {2+}\r\nzz\r\n"), StartsWith("d BAD "));
  EXPECT_THAT(client.Say("e REPLACE 1:2 INBOX {2+}\r\nzz\r\n"), StartsWith("e BAD "));
  store_.SetQuota(kTenant, kAlice, 20, 0);
  EXPECT_THAT(client.Say("f REPLACE 1 INBOX {30+}\r\n" + std::string(30, 'z') + "\r\n"),
              StartsWith("f NO [OVERQUOTA] "));
  // What goes makes room.
  store_.SetQuota(kTenant, kAlice, 20, 1);
  EXPECT_THAT(client.Say("g REPLACE 1 INBOX {20+}\r\n" + std::string(20, 'z') + "\r\n"),
              HasSubstr("g OK "));
  client.Say("h EXAMINE INBOX\r\n");
  EXPECT_THAT(client.Say("i REPLACE 1 INBOX {2}\r\n"), StartsWith("i NO [READ-ONLY] "));
  client.Say("j UNSELECT\r\n");
  EXPECT_THAT(client.Say("k REPLACE 1 INBOX {2}\r\n"), StartsWith("k BAD "));
}

}  // namespace
}  // namespace posthorn::gateway
