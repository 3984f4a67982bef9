// What one session does and another sees (RFC 3501 sections 5.2 and 7.4.1, RFC 2180).
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using TwoSessionsTest = ImapTest;

TEST_F(TwoSessionsTest, FlagChangesReachTheOther) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 1 +FLAGS (\\Flagged $Label)\r\n");
  EXPECT_EQ(second.Say("b NOOP\r\n"),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label)\r\n"
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Label \\*)] "
            "Flags permitted\r\n"
            "* 1 FETCH (FLAGS (\\Flagged $Label))\r\nb OK NOOP completed\r\n");
}

TEST_F(TwoSessionsTest, ExpungeWaitsUntilNumbersMayChange) {
  for (int i = 0; i < 4; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 2:3 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_EQ(first.Say("b EXPUNGE\r\n"), "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\nb OK Expunge completed\r\n");
  // Not in the answer to FETCH; what is gone is left out.
  EXPECT_EQ(second.Say("c FETCH 4 UID\r\n"), "* 4 FETCH (UID 4)\r\nc OK Fetch completed\r\n");
  EXPECT_EQ(second.Say("d FETCH 1:4 UID\r\n"),
            "* 1 FETCH (UID 1)\r\n* 4 FETCH (UID 4)\r\n"
            "d OK [EXPUNGEISSUED] Some messages were already expunged\r\n");
  // New messages may be told of.
  Deliver("Subject: a\r\n\r\nb\r\n");
  EXPECT_EQ(second.Say("e SEARCH ALL\r\n"),
            "* SEARCH 1 4\r\n* 5 EXISTS\r\n* 1 RECENT\r\ne OK Search completed\r\n");
  EXPECT_EQ(second.Say("f UID SEARCH ALL\r\n"),
            "* SEARCH 1 4 5\r\n* 2 EXPUNGE\r\n* 2 EXPUNGE\r\nf OK Search completed\r\n");
  EXPECT_EQ(second.Say("g FETCH 1:* UID\r\n"),
            "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 4)\r\n* 3 FETCH (UID 5)\r\n"
            "g OK Fetch completed\r\n");
}

TEST_F(TwoSessionsTest, BodiesOfExpungedMessagesAreLeftOut) {
  for (int i = 0; i < 3; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  store_.OnChange(nullptr);  // the hint is late
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 2 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  EXPECT_EQ(second.Say("c FETCH 1:3 BODY.PEEK[TEXT]\r\n"),
            "* 1 FETCH (BODY[TEXT] {3}\r\nb\r\n)\r\n* 3 FETCH (BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "c OK [EXPUNGEISSUED] Some messages were already expunged\r\n");
  EXPECT_EQ(second.Say("d NOOP\r\n"), "* 2 EXPUNGE\r\nd OK NOOP completed\r\n");
}

TEST_F(TwoSessionsTest, SearchesForTextNameOnlyWhatTheClientKnows) {
  for (int i = 0; i < 4; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  store_.OnChange(nullptr);  // the hint is late
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 2:3 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  Deliver("Subject: a\r\n\r\nb\r\n");
  for (const char* key : {"SUBJECT a", "NOT SUBJECT z", "OR (BODY b) (TEXT z)", "BODY b SUBJECT a"}) {
    EXPECT_EQ(second.Say(std::string("c SEARCH ") + key + "\r\n"),
              "* SEARCH 1 4\r\nc OK Search completed\r\n");
  }
  second.Say("d NOOP\r\n");
  EXPECT_EQ(second.Say("e SEARCH SUBJECT a\r\n"), "* SEARCH 1 2 3\r\ne OK Search completed\r\n");
  EXPECT_EQ(second.Say("f UID SEARCH SUBJECT a\r\n"),
            "* SEARCH 1 4 5\r\nf OK Search completed\r\n");
}

TEST_F(TwoSessionsTest, RecentBelongsToOneSession) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client first = LogIn();
  EXPECT_THAT(first.Say("a SELECT INBOX\r\n"), testing::HasSubstr("* 1 RECENT\r\n"));
  Client second = LogIn();
  EXPECT_THAT(second.Say("a SELECT INBOX\r\n"), testing::HasSubstr("* 0 RECENT\r\n"));
  EXPECT_EQ(first.Say("b FETCH 1 FLAGS\r\n"),
            "* 1 FETCH (FLAGS (\\Recent))\r\nb OK Fetch completed\r\n");
  EXPECT_EQ(second.Say("b FETCH 1 FLAGS\r\n"), "* 1 FETCH (FLAGS ())\r\nb OK Fetch completed\r\n");
}

TEST_F(TwoSessionsTest, IdleTellsOfExpunges) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client first = Select();
  Client second = Select();
  second.Say("i IDLE\r\n");
  first.Say("a STORE 1 +FLAGS (\\Deleted)\r\n");
  EXPECT_EQ(second.Receive(), "* 1 FETCH (FLAGS (\\Deleted))\r\n");
  first.Say("b EXPUNGE\r\n");
  EXPECT_EQ(second.Receive(), "* 1 EXPUNGE\r\n");
}

TEST_F(TwoSessionsTest, ComparesWithANewSnapshotWhenExpungesWereForgotten) {
  for (int i = 0; i < 5; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 2,5 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  first.Say("c STORE 3 +FLAGS.SILENT (\\Seen)\r\n");
  Deliver("Subject: a\r\n\r\nb\r\n");
  store_.Prune();
  EXPECT_EQ(second.Say("d NOOP\r\n"),
            "* 4 FETCH (FLAGS (\\Seen))\r\n* 2 EXPUNGE\r\n* 4 EXPUNGE\r\n* 4 EXISTS\r\n"
            "* 1 RECENT\r\nd OK NOOP completed\r\n");
}

TEST_F(TwoSessionsTest, SilentStoreTellsOnlyWhatTheClientCannotKnow) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  store_.OnChange(nullptr);
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 1 +FLAGS (\\Seen)\r\n");
  EXPECT_EQ(second.Say("b STORE 1 +FLAGS.SILENT (\\Flagged)\r\n"),
            "* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\nb OK Store completed\r\n");
  EXPECT_EQ(second.Say("c STORE 1 +FLAGS.SILENT (\\Draft)\r\n"), "c OK Store completed\r\n");
  first.Say("d STORE 1 +FLAGS ($Theirs)\r\n");
  EXPECT_THAT(second.Say("e STORE 1 +FLAGS.SILENT ($Ours)\r\n"),
              testing::HasSubstr("* 1 FETCH (FLAGS (\\Flagged \\Seen \\Draft $Theirs $Ours))\r\n"));
  EXPECT_EQ(second.Say("f STORE 1 -FLAGS.SILENT ($OURS)\r\n"), "f OK Store completed\r\n");
}

TEST_F(TwoSessionsTest, StoreOfWhatAnotherHasStoredShowsIt) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  store_.OnChange(nullptr);  // the hint is late
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 1 +FLAGS (\\Seen \\Flagged)\r\n");
  EXPECT_EQ(second.Say("b STORE 1 +FLAGS (\\Flagged)\r\n"),
            "* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\nb OK Store completed\r\n");
  first.Say("c STORE 1 -FLAGS (\\Seen)\r\n");
  EXPECT_EQ(second.Say("d STORE 1 -FLAGS.SILENT (\\Seen)\r\n"),
            "* 1 FETCH (FLAGS (\\Flagged))\r\nd OK Store completed\r\n");
}

TEST_F(TwoSessionsTest, StoreLeavesOutWhatIsExpunged) {
  for (int i = 0; i < 2; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  store_.OnChange(nullptr);
  Client first = Select();
  Client second = Select();
  first.Say("a STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  EXPECT_EQ(second.Say("c STORE 1:2 +FLAGS (\\Flagged)\r\n"),
            "* 2 FETCH (FLAGS (\\Flagged))\r\nc OK Store completed\r\n");
  EXPECT_EQ(second.Say("d NOOP\r\n"), "* 1 EXPUNGE\r\nd OK NOOP completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
