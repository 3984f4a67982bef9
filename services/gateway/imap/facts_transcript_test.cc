// What the store finds out about messages: SAVEDATE (RFC 8514), OBJECTID (RFC 8474), PREVIEW
// (RFC 8970), QUOTA (RFC 9208).
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using FactsTest = ImapTest;

constexpr absl::Duration kDay = absl::Hours(24);

TEST_F(FactsTest, SaveDateIsWhenAMessageCameIntoThisMailbox) {
  store_.SetNow(absl::UnixEpoch() + 10 * kDay);
  Deliver("Subject: a\r\n\r\nb\r\n");
  store_.SetNow(absl::UnixEpoch() + 20 * kDay);
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_EQ(
      client.Say("a FETCH 1 (UID SAVEDATE)\r\n"),
      "* 1 FETCH (UID 1 SAVEDATE \"11-Jan-1970 00:00:00 +0000\")\r\na OK Fetch completed\r\n");
  const std::pair<const char*, const char*> rows[] = {
      {"SAVEDON 11-Jan-1970", "* SEARCH 1"},
      {"SAVEDBEFORE 21-Jan-1970", "* SEARCH 1"},
      {"SAVEDSINCE 11-Jan-1970", "* SEARCH 1 2"},
      {"NOT SAVEDON 11-Jan-1970", "* SEARCH 2"},
      {"OR SAVEDON 11-Jan-1970 SAVEDON 21-Jan-1970 SUBJECT a", "* SEARCH 1 2"},
      {"NOT SUBJECT x SAVEDSINCE 12-Jan-1970", "* SEARCH 2"},
      {"OR SUBJECT x SAVEDSINCE 12-Jan-1970", "* SEARCH 2"},
      {"SAVEDATESUPPORTED", "* SEARCH 1 2"},
      {"SAVEDSINCE 1-Jan-2000", "* SEARCH"},
  };
  for (const auto& [key, answer] : rows) {
    EXPECT_EQ(client.Say(std::string("b SEARCH ") + key + "\r\n"),
              std::string(answer) + "\r\nb OK Search completed\r\n")
        << key;
  }
  client.Say("c CREATE x\r\n");
  store_.SetNow(absl::UnixEpoch() + 30 * kDay);
  client.Say("d COPY 1 x\r\n");
  client.Say("e SELECT x\r\n");
  EXPECT_THAT(client.Say("f FETCH 1 (INTERNALDATE SAVEDATE)\r\n"),
              StartsWith("* 1 FETCH (INTERNALDATE \"01-Jan-1970 01:00:00 +0000\" SAVEDATE "
                         "\"31-Jan-1970 00:00:00 +0000\")"));
  EXPECT_THAT(client.Say("g SEARCH SAVEDON x\r\n"), StartsWith("g BAD "));
}

TEST_F(FactsTest, MailboxIdsComeWithCreateSelectAndStatusAndStayThroughRename) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("a CREATE x\r\n"), "a OK [MAILBOXID (M2)] Create completed\r\n");
  client.Say("b RENAME x y\r\n");
  EXPECT_THAT(client.Say("c SELECT y\r\n"), HasSubstr("* OK [MAILBOXID (M2)] Mailbox id\r\n"));
  EXPECT_EQ(client.Say("d STATUS y (MAILBOXID)\r\n"),
            "* STATUS y (MAILBOXID (M2))\r\nd OK Status completed\r\n");
  EXPECT_THAT(client.Say("e LIST \"\" y RETURN (STATUS (MAILBOXID))\r\n"),
              HasSubstr("* STATUS y (MAILBOXID (M2))\r\n"));
  client.Say("f DELETE y\r\n");
  EXPECT_EQ(client.Say("g CREATE y\r\n"), "g OK [MAILBOXID (M3)] Create completed\r\n");
}

TEST_F(FactsTest, EmailIdsFollowCopiesAndThreadIdsReplies) {
  Deliver("Subject: a\r\n\r\nb\r\n");  // at MODSEQ 3
  Deliver("Subject: z\r\n\r\nb\r\n");
  Deliver("Subject: Re: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1:3 (EMAILID THREADID)\r\n"),
            "* 1 FETCH (EMAILID (E3) THREADID (T3))\r\n* 2 FETCH (EMAILID (E4) THREADID (T4))\r\n"
            "* 3 FETCH (EMAILID (E5) THREADID (T3))\r\na OK Fetch completed\r\n");
  const std::pair<const char*, const char*> rows[] = {
      {"EMAILID E4", "* SEARCH 2"},
      {"THREADID T3", "* SEARCH 1 3"},
      {"NOT THREADID T3", "* SEARCH 2"},
      {"EMAILID T4", "* SEARCH"},
      {"EMAILID E04", "* SEARCH"},
      {"2:3 THREADID T3", "* SEARCH 3"},
      {"OR EMAILID E4 SUBJECT Re", "* SEARCH 2 3"},
  };
  for (const auto& [key, answer] : rows) {
    EXPECT_EQ(client.Say(std::string("b SEARCH ") + key + "\r\n"),
              std::string(answer) + "\r\nb OK Search completed\r\n")
        << key;
  }
  client.Say("c CREATE x\r\n");
  client.Say("d MOVE 3 x\r\n");
  client.Say("e SELECT x\r\n");
  EXPECT_THAT(client.Say("f FETCH 1 (EMAILID THREADID)\r\n"),
              StartsWith("* 1 FETCH (EMAILID (E5) THREADID (T3))"));
  EXPECT_THAT(client.Say("g SEARCH EMAILID\r\n"), StartsWith("g BAD "));
}

TEST_F(FactsTest, APreviewIsMadeWhenItIsAskedForButNotLazily) {
  Deliver("Subject: a\r\n\r\nHello\r\n world\r\n");
  Deliver("MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx");
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1 (PREVIEW (LAZY))\r\n"),
            "* 1 FETCH (PREVIEW NIL)\r\na OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("b FETCH 1:2 (UID PREVIEW FLAGS)\r\n"),
            "* 1 FETCH (UID 1 PREVIEW \"Hello world\" FLAGS (\\Recent))\r\n"
            "* 2 FETCH (UID 2 PREVIEW \"\" FLAGS (\\Recent))\r\nb OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("c FETCH 1 PREVIEW (LAZY)\r\n"),
            "* 1 FETCH (PREVIEW \"Hello world\")\r\nc OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("d UID FETCH 1:2 PREVIEW (PARTIAL 1:1)\r\n"),
            "* 1 FETCH (UID 1 PREVIEW \"Hello world\")\r\nd OK Fetch completed\r\n");
  EXPECT_THAT(client.Say("e FETCH 1 (PREVIEW (FUZZY))\r\n"), StartsWith("e BAD "));
}

TEST_F(FactsTest, QuotaTellsWhatIsUsedAndRefusesMore) {
  store_.SetQuota(kTenant, kAlice, 5000, 3);
  Deliver(std::string(1500, 'x'));
  Client client = Select();
  EXPECT_EQ(client.Say("a GETQUOTAROOT inbox\r\n"),
            "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 2 5 MESSAGE 1 3)\r\n"
            "a OK Getquotaroot completed\r\n");
  EXPECT_THAT(client.Say("b APPEND INBOX {4000+}\r\n" + std::string(4000, 'y') + "\r\n"),
              StartsWith("b NO [OVERQUOTA] "));
  EXPECT_THAT(client.Say("c COPY 1 INBOX\r\n"), HasSubstr("c OK "));
  EXPECT_EQ(client.Say("d GETQUOTA \"\"\r\n"),
            "* QUOTA \"\" (STORAGE 3 5 MESSAGE 2 3)\r\nd OK Getquota completed\r\n");
  EXPECT_THAT(client.Say("e COPY 1:2 INBOX\r\n"), StartsWith("e NO [OVERQUOTA] "));
  EXPECT_THAT(client.Say("f GETQUOTA other\r\n"), StartsWith("f NO [NONEXISTENT] "));
  EXPECT_THAT(client.Say("g GETQUOTAROOT nowhere\r\n"), StartsWith("g NO [NONEXISTENT] "));
  EXPECT_THAT(client.Say("h SETQUOTA \"\" (STORAGE 10)\r\n"), StartsWith("h NO [NOPERM] "));
  for (const char* wrong : {"SETQUOTA \"\"", "SETQUOTA \"\" (STORAGE)", "SETQUOTA \"\" STORAGE 1",
                            "GETQUOTA", "GETQUOTAROOT"}) {
    EXPECT_THAT(client.Say(std::string("i ") + wrong + "\r\n"), StartsWith("i BAD ")) << wrong;
  }
}

TEST_F(FactsTest, WithoutLimitsThereIsNoQuotaRoot) {
  Client client = LogIn();
  EXPECT_THAT(client.Say("a GETQUOTA \"\"\r\n"), StartsWith("a NO [NONEXISTENT] "));
  EXPECT_EQ(client.Say("b GETQUOTAROOT INBOX\r\n"),
            "* QUOTAROOT INBOX\r\nb OK Getquotaroot completed\r\n");
}

TEST_F(FactsTest, StatusCountsWhatIsDeleted) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Deliver("Subject: a\r\n\r\n" + std::string(100, 'x'));
  Client client = Select();
  EXPECT_THAT(client.Say("a STATUS INBOX (DELETED DELETED-STORAGE)\r\n"),
              StartsWith("* STATUS INBOX (DELETED 0 DELETED-STORAGE 0)\r\n"));
  client.Say("b STORE 2 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_THAT(client.Say("c STATUS INBOX (DELETED-STORAGE DELETED)\r\n"),
              StartsWith("* STATUS INBOX (DELETED-STORAGE 114 DELETED 1)\r\n"));
  EXPECT_THAT(client.Say("d LIST \"\" INBOX RETURN (STATUS (DELETED))\r\n"),
              HasSubstr("* STATUS INBOX (DELETED 1)\r\n"));
}

}  // namespace
}  // namespace posthorn::gateway
