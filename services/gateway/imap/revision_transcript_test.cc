// What ENABLE changes: UTF8=ACCEPT (RFC 6855), UIDONLY (RFC 9586), IMAP4rev2 (RFC 9051); and
// COMPRESS (RFC 4978), INPROGRESS (RFC 9585).
#include "lib/net/deflate_stream.h"
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using RevisionTest = ImapTest;

TEST_F(RevisionTest, Utf8ChangesTheNamesOfMailboxes) {
  Client client = LogIn();
  client.Say("a CREATE &APw-\r\n");
  EXPECT_EQ(client.Say("b ENABLE UTF8=ACCEPT\r\n"), "* ENABLED UTF8=ACCEPT\r\nb OK Enabled\r\n");
  EXPECT_THAT(client.Say("c LIST \"\" \"\u00fc*\"\r\n"),
              StartsWith("* LIST (\\HasNoChildren) \"/\" \"\u00fc\"\r\n"));
  EXPECT_THAT(client.Say("d CREATE \"\u00fc/A&B\"\r\n"), StartsWith("d OK "));
  EXPECT_EQ(client.Say("e STATUS \"\u00fc/A&B\" (MESSAGES)\r\n"),
            "* STATUS \"\u00fc/A&B\" (MESSAGES 0)\r\ne OK Status completed\r\n");
  EXPECT_THAT(client.Say("f CREATE \"\xff\"\r\n"), StartsWith("f NO [CANNOT] "));
  EXPECT_THAT(client.Say("g GETQUOTAROOT \"\u00fc\"\r\n"),
              StartsWith("* QUOTAROOT \"\u00fc\"\r\n"));
  client.Say("h SELECT \"\u00fc\"\r\n");
  EXPECT_THAT(client.Say("i APPEND \"\u00fc\" UTF8 (~{12+}\r\nSubject: \u00fc\n)\r\n"),
              HasSubstr("i OK [APPENDUID 1002 1] "));
  EXPECT_THAT(client.Say("j SEARCH SUBJECT \"\u00fc\"\r\n"), StartsWith("* SEARCH 1\r\n"));
  EXPECT_THAT(client.Say("k SEARCH CHARSET UTF-8 SUBJECT x\r\n"), StartsWith("k BAD "));
  EXPECT_EQ(client.Say("l ENABLE UTF8=ACCEPT\r\n"), "* ENABLED\r\nl OK Enabled\r\n");
  // The next user starts anew.
  client.Say("m UNAUTHENTICATE\r\n");
  client.Say("n LOGIN alice@example.test \"se cret\"\r\n");
  EXPECT_THAT(client.Say("o LIST \"\" &APw-\r\n"),
              StartsWith("* LIST (\\HasChildren) \"/\" &APw-\r\n"));
  EXPECT_THAT(client.Say("p APPEND INBOX UTF8 (~{2+}\r\nzz)\r\n"), StartsWith("p BAD "));
}

TEST_F(RevisionTest, UidOnlyKnowsNoSequenceNumbers) {
  for (int i = 0; i < 3; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client other = Select();
  other.Say("x STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
  other.Say("y EXPUNGE\r\n");
  Client client = LogIn();
  EXPECT_EQ(client.Say("a ENABLE UIDONLY\r\n"), "* ENABLED UIDONLY\r\na OK Enabled\r\n");
  EXPECT_THAT(client.Say("b SELECT INBOX\r\n"), Not(HasSubstr("UNSEEN")));
  for (const char* wrong :
       {"FETCH 1 UID", "STORE 1 FLAGS ()", "COPY 1 INBOX", "MOVE 1 INBOX", "SEARCH ALL",
        "SORT (ARRIVAL) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "UID SEARCH 1",
        "UID SEARCH NOT (OR 1 ALL)", "UID SORT (ARRIVAL) UTF-8 *", "REPLACE 1 INBOX {2+}\r\nzz"}) {
    EXPECT_THAT(client.Say(std::string("c ") + wrong + "\r\n"), StartsWith("c BAD [UIDREQUIRED] "))
        << wrong;
  }
  EXPECT_EQ(client.Say("d UID FETCH 2 (FLAGS)\r\n"),
            "* 2 UIDFETCH (FLAGS ())\r\nd OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("e UID FETCH 2 (UID RFC822.SIZE)\r\n"),
            "* 2 UIDFETCH (UID 2 RFC822.SIZE 17)\r\ne OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("f UID STORE 3 +FLAGS (\\Deleted)\r\n"),
            "* 3 UIDFETCH (FLAGS (\\Deleted))\r\nf OK Store completed\r\n");
  EXPECT_THAT(client.Say("g UID SEARCH RETURN (SAVE) DELETED\r\n"), StartsWith("g OK "));
  EXPECT_THAT(client.Say("h UID SEARCH $\r\n"), StartsWith("* SEARCH 3\r\n"));
  other.Say("z STORE 1 FLAGS (\\Flagged)\r\n");
  EXPECT_EQ(client.Say("i NOOP\r\n"),
            "* 2 UIDFETCH (FLAGS (\\Flagged))\r\ni OK NOOP completed\r\n");
  EXPECT_EQ(client.Say("j EXPUNGE\r\n"), "* VANISHED 3\r\nj OK Expunge completed\r\n");
  EXPECT_THAT(client.Say("k UID REPLACE 2 INBOX {2+}\r\nzz\r\n"),
              HasSubstr("* VANISHED 2\r\n* 1 EXISTS\r\n"));
  client.Say("l ENABLE QRESYNC\r\n");
  EXPECT_THAT(client.Say("m SELECT INBOX (QRESYNC (1001 3 1:5 (1 1)))\r\n"),
              StartsWith("m BAD [UIDREQUIRED] "));
  EXPECT_THAT(client.Say("n SELECT INBOX (QRESYNC (1001 3 1:5))\r\n"), HasSubstr("n OK "));
}

TEST_F(RevisionTest, Revision2HasItsOwnSelectAndSearch) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Deliver("Subject: z\r\n\r\nb\r\n");
  Client client = LogIn();
  client.Say("a CREATE &APw-\r\n");
  EXPECT_EQ(client.Say("b ENABLE IMAP4rev2\r\n"), "* ENABLED IMAP4rev2\r\nb OK Enabled\r\n");
  EXPECT_EQ(
      client.Say("c SELECT INBOX\r\n"),
      "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
      "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted"
      "\r\n* 2 EXISTS\r\n* LIST () \"/\" INBOX\r\n"
      "* OK [UIDVALIDITY 1001] UIDs valid\r\n* OK [UIDNEXT 3] Predicted next UID\r\n"
      "* OK [MAILBOXID (M1)] Mailbox id\r\n* OK [HIGHESTMODSEQ 4] Highest\r\n"
      "c OK [READ-WRITE] Select completed\r\n");
  EXPECT_EQ(client.Say("d SEARCH SUBJECT a\r\n"),
            "* ESEARCH (TAG \"d\") ALL 1\r\nd OK Search completed\r\n");
  EXPECT_EQ(client.Say("e UID SEARCH SUBJECT x\r\n"),
            "* ESEARCH (TAG \"e\") UID\r\ne OK Search completed\r\n");
  EXPECT_EQ(client.Say("f UID SEARCH RETURN (COUNT) ALL\r\n"),
            "* ESEARCH (TAG \"f\") UID COUNT 2\r\nf OK Search completed\r\n");
  EXPECT_EQ(client.Say("g FETCH 1 FLAGS\r\n"), "* 1 FETCH (FLAGS ())\r\ng OK Fetch completed\r\n");
  Deliver("Subject: c\r\n\r\nb\r\n");
  EXPECT_EQ(client.Say("h NOOP\r\n"), "* 3 EXISTS\r\nh OK NOOP completed\r\n");
  EXPECT_EQ(client.Say("i SELECT \"\u00fc\"\r\n").substr(0, 41),
            "* OK [CLOSED] Previous mailbox closed\r\n* ");
  // News tell UIDs too. Who speaks the older revision has got what is recent.
  client.Say("j SELECT INBOX\r\n");
  Client old = Select();
  EXPECT_THAT(old.Say("k FETCH 3 FLAGS\r\n"), StartsWith("* 3 FETCH (FLAGS (\\Recent))\r\n"));
  old.Say("l STORE 3 FLAGS (\\Seen)\r\n");
  EXPECT_EQ(client.Say("m NOOP\r\n"),
            "* 3 FETCH (UID 3 FLAGS (\\Seen))\r\nm OK NOOP completed\r\n");
}

TEST_F(RevisionTest, Revision2InTheMiddleOfASession) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_THAT(client.Say("a FETCH 1 FLAGS\r\n"), HasSubstr("\\Recent"));
  client.Say("b ENABLE IMAP4rev2\r\n");
  EXPECT_THAT(client.Say("c FETCH 1 FLAGS\r\n"), StartsWith("* 1 FETCH (FLAGS ())\r\n"));
}

class CompressTest : public ImapTest {
 protected:
  // What `stream` gives until the server waits.
  std::string Read(net::Stream& stream) {
    executor_.RunUntilIdle();
    std::string all;
    for (;;) {
      const std::optional<absl::StatusOr<std::string>> bytes =
          executor_.Run(stream.ReadSome(absl::Milliseconds(1)));
      if (!bytes.has_value()) {
        Advance(absl::Milliseconds(2));
        return all;
      }
      if (!bytes->ok() || (*bytes)->empty()) return all + "<closed>";
      all += **bytes;
    }
  }
  std::string Say(net::Stream& stream, std::string text) {
    executor_.Run(stream.WriteAll(std::move(text), absl::Seconds(1)));
    return Read(stream);
  }
};

TEST_F(CompressTest, EverythingAfterTheAnswerIsCompressed) {
  Deliver("Subject: a\r\n\r\n" + std::string(100000, 'x'));
  Client client = Select();
  EXPECT_THAT(client.Say("a COMPRESS LZMA\r\n"), StartsWith("a BAD "));
  EXPECT_EQ(client.Say("b COMPRESS DEFLATE\r\n"), "b OK Compression begins\r\n");
  const std::unique_ptr<net::Stream> stream = net::MakeDeflateStream(client.stream());
  EXPECT_EQ(Say(*stream, "c NOOP\r\n"), "c OK NOOP completed\r\n");
  EXPECT_THAT(Say(*stream, "d FETCH 1 BODY.PEEK[TEXT]\r\n"),
              HasSubstr("{100000}\r\n" + std::string(100000, 'x') + ")\r\nd OK "));
  EXPECT_THAT(Say(*stream, "e COMPRESS DEFLATE\r\n"), StartsWith("e NO [COMPRESSIONACTIVE] "));
  EXPECT_THAT(Say(*stream, "f CAPABILITY\r\n"), Not(HasSubstr("COMPRESS")));
  // News of IDLE leave at once.
  EXPECT_EQ(Say(*stream, "g IDLE\r\n"), "+ idling\r\n");
  Deliver("Subject: b\r\n\r\n");
  EXPECT_EQ(Read(*stream), "* 2 EXISTS\r\n* 2 RECENT\r\n");
  EXPECT_EQ(Say(*stream, "DONE\r\n"), "g OK Idle completed\r\n");
  // It outlives the user.
  EXPECT_THAT(Say(*stream, "h UNAUTHENTICATE\r\n"), StartsWith("h OK "));
  EXPECT_THAT(Say(*stream, "i STARTTLS\r\n"), StartsWith("i BAD "));
  EXPECT_THAT(Say(*stream, "j LOGOUT\r\n"), HasSubstr("j OK Logout completed\r\n<closed>"));
}

TEST_F(CompressTest, WhatIsNotCompressedEndsTheSession) {
  Client client = LogIn();
  client.Say("a COMPRESS DEFLATE\r\n");
  EXPECT_THAT(client.Say("\xff\xff\xff\xff NOOP\r\n"), EndsWith("<closed>"));
}

TEST_F(RevisionTest, ALongSearchTellsThatItGoesOn) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  store_.SetSearchTime(absl::Seconds(25));
  EXPECT_EQ(client.Say("a SEARCH TEXT a\r\n"), "");
  std::string answer;
  for (int i = 0; i < 12; ++i) {
    Advance(absl::Milliseconds(2500));
    answer += client.Receive();
  }
  EXPECT_EQ(answer,
            "* OK [INPROGRESS (\"a\" NIL NIL)] Still working\r\n"
            "* OK [INPROGRESS (\"a\" NIL NIL)] Still working\r\n"
            "* SEARCH 1\r\na OK Search completed\r\n");
  store_.SetSearchTime(absl::ZeroDuration());
  client.Say("b SEARCH TEXT a\r\n");
  Advance(absl::Minutes(1));
  EXPECT_EQ(client.Receive(), "");
}

}  // namespace
}  // namespace posthorn::gateway
