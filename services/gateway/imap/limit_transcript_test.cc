// RFC 9738: commands that name more messages than one may process.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;

// Five messages with the UIDs 1, 2, 4, 5 and 6; three at a time.
class MessageLimitTest : public ImapTest {
 protected:
  MessageLimitTest() { limits_.messages = 3; }

  Client SelectFive() {
    for (int i = 1; i <= 6; ++i) Deliver("Subject: n" + std::to_string(i) + "\r\n\r\nb\r\n");
    Client client = Select();
    client.Say("x STORE 3 +FLAGS.SILENT (\\Deleted)\r\n");
    EXPECT_EQ(client.Say("y EXPUNGE\r\n"), "* 3 EXPUNGE\r\ny OK Expunge completed\r\n");
    return client;
  }
};

TEST_F(MessageLimitTest, IsAnnouncedOnceLoggedIn) {
  Client client = Connect();
  EXPECT_THAT(client.Receive(), testing::Not(HasSubstr("MESSAGELIMIT")));
  EXPECT_THAT(client.Say("l LOGIN alice@example.test \"se cret\"\r\n"),
              HasSubstr(" MESSAGELIMIT=3"));
}

TEST_F(MessageLimitTest, FetchGoesDownFromTheHighest) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a FETCH 3:5 UID\r\n"),
            "* 3 FETCH (UID 4)\r\n* 4 FETCH (UID 5)\r\n* 5 FETCH (UID 6)\r\n"
            "a OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("b FETCH 1:* UID\r\n"),
            "* 5 FETCH (UID 6)\r\n* 4 FETCH (UID 5)\r\n* 3 FETCH (UID 4)\r\n"
            "b OK [MESSAGELIMIT 3 4] Fetch completed\r\n");
  EXPECT_EQ(client.Say("c UID FETCH 1:5 (BODY.PEEK[TEXT])\r\n"),
            "* 4 FETCH (UID 5 BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "* 3 FETCH (UID 4 BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "* 2 FETCH (UID 2 BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "c OK [MESSAGELIMIT 3 2] Fetch completed\r\n");
  // \Seen is set of these only.
  client.Say("d FETCH 1:* BODY[]\r\n");
  EXPECT_EQ(client.Say("e SEARCH 3:5 SEEN\r\n"), "* SEARCH 3 4 5\r\ne OK Search completed\r\n");
  EXPECT_EQ(client.Say("f SEARCH 1:2 SEEN\r\n"), "* SEARCH\r\nf OK Search completed\r\n");
  // Messages that a modifier leaves out are not counted.
  EXPECT_THAT(client.Say("g FETCH 1:* (UID) (CHANGEDSINCE 1000)\r\n"),
              testing::EndsWith("g OK Fetch completed\r\n"));
}

TEST_F(MessageLimitTest, OfAPartialFetchTheRangeCounts) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a UID FETCH 1:* (UID) (PARTIAL 1:4)\r\n"),
            "a NO [MESSAGELIMIT 3] Too many messages for one command\r\n");
  EXPECT_EQ(client.Say("b UID FETCH 1:* (UID) (PARTIAL 1:3)\r\n"),
            "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 4)\r\n"
            "b OK Fetch completed\r\n");
}

TEST_F(MessageLimitTest, AnotherResponseCodeComesBesides) {
  Client client = SelectFive();
  store_.OnChange(nullptr);  // the hint is late
  Client other = Select();
  other.Say("a STORE 4 +FLAGS.SILENT (\\Deleted)\r\n");
  other.Say("b EXPUNGE\r\n");
  EXPECT_EQ(client.Say("c FETCH 1:* BODY.PEEK[TEXT]\r\n"),
            "* 5 FETCH (BODY[TEXT] {3}\r\nb\r\n)\r\n* 3 FETCH (BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "* NO [MESSAGELIMIT 3 4] Not all messages were processed\r\n"
            "c OK [EXPUNGEISSUED] Some messages were already expunged\r\n");
}

TEST_F(MessageLimitTest, StoreChangesTheHighest) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a STORE 1:* +FLAGS (\\Flagged)\r\n"),
            "* 5 FETCH (FLAGS (\\Flagged \\Recent))\r\n* 4 FETCH (FLAGS (\\Flagged \\Recent))\r\n"
            "* 3 FETCH (FLAGS (\\Flagged \\Recent))\r\n"
            "a OK [MESSAGELIMIT 3 4] Store completed\r\n");
  EXPECT_EQ(client.Say("b SEARCH 1:2 FLAGGED\r\n"), "* SEARCH\r\nb OK Search completed\r\n");
  EXPECT_EQ(client.Say("c UID STORE 1:2 +FLAGS.SILENT (\\Flagged)\r\n"),
            "c OK Store completed\r\n");
}

TEST_F(MessageLimitTest, CopyCopiesNothing) {
  Client client = SelectFive();
  client.Say("a CREATE Two\r\n");
  EXPECT_EQ(client.Say("b COPY 1:4 Two\r\n"),
            "b NO [MESSAGELIMIT 3 2] Too many messages for one command\r\n");
  EXPECT_THAT(client.Say("c STATUS Two (MESSAGES)\r\n"), HasSubstr("(MESSAGES 0)"));
  EXPECT_THAT(client.Say("d COPY 2:4 Two\r\n"), HasSubstr("d OK [COPYUID "));
}

TEST_F(MessageLimitTest, MoveMovesTheHighest) {
  Client client = SelectFive();
  client.Say("a CREATE Two\r\n");
  const std::string moved = client.Say("b UID MOVE 1:* Two\r\n");
  EXPECT_THAT(moved, HasSubstr(" 4:6 1:3] Moved UIDs\r\n"));
  EXPECT_THAT(moved, testing::EndsWith("b OK [MESSAGELIMIT 3 4] Move completed\r\n"));
  EXPECT_EQ(client.Say("c UID SEARCH ALL\r\n"), "* SEARCH 1 2\r\nc OK Search completed\r\n");
}

TEST_F(MessageLimitTest, UidExpungeCountsThoseThatGo) {
  Client client = SelectFive();
  client.Say("a STORE 1,4 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_EQ(client.Say("b UID EXPUNGE 1:*\r\n"),
            "* 1 EXPUNGE\r\n* 3 EXPUNGE\r\nb OK Expunge completed\r\n");
  for (int i = 0; i < 2; ++i) Deliver("Subject: n\r\n\r\nb\r\n");
  client.Say("c NOOP\r\n");
  client.Say("d STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n");
  client.Say("e STORE 3:5 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_EQ(client.Say("f UID EXPUNGE 1:*\r\n"),
            "* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n"
            "f OK [MESSAGELIMIT 3 6] Expunge completed\r\n");
  // EXPUNGE is not limited.
  for (int i = 0; i < 4; ++i) Deliver("Subject: n\r\n\r\nb\r\n");
  client.Say("g NOOP\r\n");
  client.Say("h STORE 3:5 +FLAGS.SILENT (\\Deleted)\r\n");
  client.Say("i STORE 6 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_THAT(client.Say("j EXPUNGE\r\n"), testing::EndsWith("j OK Expunge completed\r\n"));
  EXPECT_EQ(client.Say("k UID SEARCH ALL\r\n"), "* SEARCH\r\nk OK Search completed\r\n");
}

TEST_F(MessageLimitTest, SearchLooksAtTheHighestOfThoseNamed) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a UID SEARCH SUBJECT n\r\n"),
            "* SEARCH 4 5 6\r\na OK [MESSAGELIMIT 3 4] Search completed\r\n");
  EXPECT_EQ(client.Say("b UID SEARCH UIDBEFORE 4 SUBJECT n\r\n"),
            "* SEARCH 1 2\r\nb OK Search completed\r\n");
  EXPECT_EQ(client.Say("c UID SEARCH UIDBEFORE 6 UIDAFTER 1\r\n"),
            "* SEARCH 2 4 5\r\nc OK Search completed\r\n");
  // Nothing comes after the last one, unlike with 6:*.
  EXPECT_EQ(client.Say("d UID SEARCH UIDAFTER 6\r\n"), "* SEARCH\r\nd OK Search completed\r\n");
  EXPECT_EQ(client.Say("e UID SEARCH (1:3 UIDAFTER 1)\r\n"),
            "* SEARCH 2 4\r\ne OK Search completed\r\n");
  EXPECT_EQ(client.Say("f UID SEARCH NOT UIDAFTER 5\r\n"),
            "* SEARCH 4 5\r\nf OK [MESSAGELIMIT 3 4] Search completed\r\n");
  EXPECT_THAT(client.Say("g UID SEARCH UIDAFTER 0\r\n"), HasSubstr("g BAD "));
}

TEST_F(MessageLimitTest, SavesWhatWasFound) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a UID SEARCH RETURN (SAVE) ALL\r\n"),
            "a OK [MESSAGELIMIT 3 4] Search completed\r\n");
  EXPECT_EQ(client.Say("b UID SEARCH RETURN (ALL) $\r\n"),
            "* ESEARCH (TAG \"b\") UID ALL 4:6\r\nb OK Search completed\r\n");
}

TEST_F(MessageLimitTest, SortAndThreadSortNothing) {
  Client client = SelectFive();
  EXPECT_EQ(client.Say("a SORT (SUBJECT) UTF-8 ALL\r\n"),
            "a NO [MESSAGELIMIT 3] Too many messages for one command\r\n");
  EXPECT_EQ(client.Say("b THREAD ORDEREDSUBJECT UTF-8 ALL\r\n"),
            "b NO [MESSAGELIMIT 3] Too many messages for one command\r\n");
  EXPECT_EQ(client.Say("c SORT (REVERSE SUBJECT) UTF-8 UIDAFTER 2\r\n"),
            "* SORT 5 4 3\r\nc OK Sort completed\r\n");
}

TEST_F(MessageLimitTest, AppendStoresNothing) {
  Client client = LogIn();
  std::string command = "a APPEND INBOX";
  for (int i = 0; i < 4; ++i) command += " {12+}\r\nSubject: a\r\n";
  EXPECT_THAT(client.Say(command + "\r\n"), HasSubstr("a NO [MESSAGELIMIT 3] "));
  EXPECT_THAT(client.Say("b STATUS INBOX (MESSAGES)\r\n"), HasSubstr("(MESSAGES 0)"));
}

}  // namespace
}  // namespace posthorn::gateway
