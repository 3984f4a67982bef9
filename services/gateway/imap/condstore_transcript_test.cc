// CONDSTORE and QRESYNC (RFC 7162). A new account is at MODSEQ 2 here, and each change counts one.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CondstoreTest : public ImapTest {
 protected:
  // Messages at MODSEQ 3, 4 and 5.
  void Fill() {
    for (int i = 0; i < 3; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  }
};

TEST_F(CondstoreTest, SelectTellsTheHighestAndStatusToo) {
  Fill();
  Client client = LogIn();
  EXPECT_THAT(client.Say("a SELECT INBOX (CONDSTORE)\r\n"),
              HasSubstr("* OK [HIGHESTMODSEQ 5] Highest\r\n"));
  EXPECT_EQ(client.Say("b STATUS INBOX (HIGHESTMODSEQ)\r\n"),
            "* STATUS INBOX (HIGHESTMODSEQ 5)\r\nb OK Status completed\r\n");
  EXPECT_THAT(client.Say("c EXAMINE INBOX (CONDSTORE NONSENSE)\r\n"), StartsWith("c BAD "));
}

TEST_F(CondstoreTest, FlagsComeWithModSeqOnceItIsEnabled) {
  Fill();
  const char* enabling[] = {
      "ENABLE CONDSTORE",
      "SELECT INBOX (CONDSTORE)",
      "STATUS INBOX (HIGHESTMODSEQ)",
      "LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))",
      "FETCH 1 MODSEQ",
      "FETCH 1 UID (CHANGEDSINCE 1)",
      "SEARCH MODSEQ 1",
      "SORT (ARRIVAL) UTF-8 MODSEQ 1",
      "STORE 2 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)",
  };
  for (const char* command : enabling) {
    Client other = Select();
    Client client = Select();
    other.Say("a STORE 1 FLAGS (\\Flagged)\r\n");
    EXPECT_EQ(client.Say("b NOOP\r\n"), "* 1 FETCH (FLAGS (\\Flagged))\r\nb OK NOOP completed\r\n")
        << command;
    client.Say(std::string("c ") + command + "\r\n");
    other.Say("d STORE 1 FLAGS ()\r\n");
    EXPECT_THAT(
        client.Say("e NOOP\r\n"),
        testing::MatchesRegex("\\* 1 FETCH \\(MODSEQ \\([0-9]+\\) FLAGS \\(\\)\\)\r\ne OK .*"))
        << command;
    other.Say("f CLOSE\r\n");
  }
}

TEST_F(CondstoreTest, FetchOfModSeqAndOfWhatChanged) {
  Fill();
  Client client = Select();
  EXPECT_EQ(client.Say("a FETCH 1:2 (MODSEQ UID)\r\n"),
            "* 1 FETCH (MODSEQ (3) UID 1)\r\n* 2 FETCH (MODSEQ (4) UID 2)\r\n"
            "a OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("b UID FETCH 1:* FLAGS (CHANGEDSINCE 4)\r\n"),
            "* 3 FETCH (UID 3 FLAGS (\\Recent) MODSEQ (5))\r\nb OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("c FETCH 1:* FLAGS (CHANGEDSINCE 5)\r\n"), "c OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("d FETCH 1:* UID (CHANGEDSINCE 3 PARTIAL -1:-1)\r\n"),
            "* 3 FETCH (UID 3 MODSEQ (5))\r\nd OK Fetch completed\r\n");
  // Fetching a body changes a flag, and with it MODSEQ.
  EXPECT_EQ(client.Say("e FETCH 1 BODY[TEXT]\r\n"),
            "* 1 FETCH (MODSEQ (6) FLAGS (\\Seen \\Recent) BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "e OK Fetch completed\r\n");
}

TEST_F(CondstoreTest, StoreLeavesWhatHasChangedAlone) {
  Fill();
  Client client = Select();
  EXPECT_EQ(client.Say("a STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS (\\Flagged)\r\n"),
            "* 1 FETCH (MODSEQ (6) FLAGS (\\Flagged \\Recent))\r\n"
            "* 2 FETCH (MODSEQ (6) FLAGS (\\Flagged \\Recent))\r\n"
            "a OK [MODIFIED 3] Some messages were modified\r\n");
  EXPECT_EQ(client.Say("b UID STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Draft)\r\n"),
            "* 3 FETCH (UID 3 MODSEQ (7))\r\n"
            "b OK [MODIFIED 1:2] Some messages were modified\r\n");
  EXPECT_EQ(client.Say("c STORE 1 (UNCHANGEDSINCE 0) FLAGS ()\r\n"),
            "c OK [MODIFIED 1] Some messages were modified\r\n");
  EXPECT_EQ(client.Say("d STORE 1 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\\Flagged)\r\n"),
            "* 1 FETCH (MODSEQ (6))\r\nd OK Store completed\r\n");
  EXPECT_EQ(client.Say("e STORE 1 +FLAGS.SILENT (\\Draft)\r\n"),
            "* 1 FETCH (MODSEQ (8))\r\ne OK Store completed\r\n");
  for (const char* wrong :
       {"(UNCHANGEDSINCE) FLAGS ()", "(UNCHANGEDSINCE 1 FLAGS ()", "(NONSENSE 1) FLAGS ()",
        "(UNCHANGEDSINCE -1) FLAGS ()", "(UNCHANGEDSINCE 9223372036854775808) FLAGS ()"}) {
    EXPECT_THAT(client.Say(std::string("f STORE 1 ") + wrong + "\r\n"), StartsWith("f BAD "));
  }
}

TEST_F(CondstoreTest, ARefusedStoreTellsWhoCameFirst) {
  Fill();
  store_.OnChange(nullptr);  // no hint comes
  Client first = Select();
  Client second = Select();
  second.Say("a ENABLE CONDSTORE\r\n");
  first.Say("b STORE 1 FLAGS (\\Flagged)\r\n");
  EXPECT_EQ(second.Say("c STORE 1 (UNCHANGEDSINCE 5) FLAGS (\\Draft)\r\n"),
            "* 1 FETCH (MODSEQ (6) FLAGS (\\Flagged))\r\n"
            "c OK [MODIFIED 1] Some messages were modified\r\n");
}

TEST_F(CondstoreTest, SearchAndSort) {
  Fill();
  Client client = Select();
  const std::pair<const char*, const char*> rows[] = {
      {"SEARCH MODSEQ 4", "* SEARCH 2 3 (MODSEQ 5)"},
      {"SEARCH MODSEQ \"/flags/\\\\Seen\" all 4", "* SEARCH 2 3 (MODSEQ 5)"},
      {"UID SEARCH 1:2 MODSEQ 4", "* SEARCH 2 (MODSEQ 4)"},
      {"SEARCH MODSEQ 6", "* SEARCH"},
      {"SEARCH NOT MODSEQ 4", "* SEARCH 1 (MODSEQ 3)"},
      {"SEARCH RETURN (MIN) MODSEQ 4", "* ESEARCH (TAG \"a\") MIN 2 MODSEQ 4"},
      {"SEARCH RETURN (MIN MAX) MODSEQ 3", "* ESEARCH (TAG \"a\") MIN 1 MAX 3 MODSEQ 5"},
      {"SEARCH RETURN (COUNT MIN) MODSEQ 3", "* ESEARCH (TAG \"a\") MIN 1 COUNT 3 MODSEQ 5"},
      {"SEARCH RETURN (COUNT) MODSEQ 9", "* ESEARCH (TAG \"a\") COUNT 0"},
      {"SEARCH RETURN (PARTIAL 7:8) MODSEQ 3", "* ESEARCH (TAG \"a\") PARTIAL (7:8 NIL)"},
      {"SORT (REVERSE SIZE) UTF-8 MODSEQ 4", "* SORT 2 3 (MODSEQ 5)"},
      {"SORT RETURN (ALL) (ARRIVAL) UTF-8 MODSEQ 4", "* ESEARCH (TAG \"a\") ALL 2:3 MODSEQ 5"},
  };
  for (const auto& [command, answer] : rows) {
    const std::string said = client.Say(std::string("a ") + command + "\r\n");
    EXPECT_EQ(said.substr(0, said.find("\r\n")), answer) << command;
  }
  EXPECT_THAT(client.Say("b SEARCH MODSEQ \"/nonsense\" all 4\r\n"), StartsWith("b BAD "));
}

TEST_F(CondstoreTest, UnauthenticateTurnsItOff) {
  Fill();
  Client other = Select();
  Client client = LogIn();
  client.Say("a ENABLE CONDSTORE\r\n");
  client.Say("b UNAUTHENTICATE\r\n");
  client.Say("c LOGIN alice@example.test \"se cret\"\r\n");
  client.Say("d SELECT INBOX\r\n");
  other.Say("e STORE 1 FLAGS (\\Flagged)\r\n");
  EXPECT_THAT(client.Say("f NOOP\r\n"), Not(HasSubstr("MODSEQ")));
}

class QresyncTest : public CondstoreTest {
 protected:
  // Five messages at MODSEQ 3 to 7; then 2 and 4 are expunged, 3 is flagged, and 6 comes.
  void Change() {
    for (int i = 0; i < 5; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
    Client other = Select();
    other.Say("a STORE 2,4 FLAGS.SILENT (\\Deleted)\r\n");  // 8
    other.Say("a EXPUNGE\r\n");                             // 9 and 10
    other.Say("a STORE 2 FLAGS.SILENT (\\Flagged)\r\n");    // 11
    Deliver("Subject: a\r\n\r\nb\r\n");                     // 12
  }
  Client Enabled() {
    Client client = LogIn();
    EXPECT_EQ(client.Say("e ENABLE QRESYNC\r\n"), "* ENABLED QRESYNC\r\ne OK Enabled\r\n");
    return client;
  }
  // What SELECT says after HIGHESTMODSEQ.
  static std::string News(const std::string& answer) {
    const std::string mark = "] Highest\r\n";
    const std::size_t at = answer.find(mark);
    return at == std::string::npos ? answer : answer.substr(at + mark.size());
  }
};

TEST_F(QresyncTest, SelectTellsWhatHasHappened) {
  Change();
  Client client = Enabled();
  const std::string done = "s OK [READ-WRITE] Select completed\r\n";
  const std::string news =
      "* 2 FETCH (UID 3 MODSEQ (11) FLAGS (\\Flagged))\r\n"
      "* 4 FETCH (UID 6 MODSEQ (12) FLAGS (";
  const auto select = [&](const std::string& parameters) {
    const std::string answer = client.Say("s SELECT INBOX (QRESYNC (" + parameters + "))\r\n");
    client.Say("u UNSELECT\r\n");
    return News(answer);
  };
  EXPECT_EQ(select("1001 7"), "* VANISHED (EARLIER) 2,4\r\n" + news + "\\Recent))\r\n" + done);
  EXPECT_EQ(
      select("1001 7 1:5"),
      "* VANISHED (EARLIER) 2,4\r\n* 2 FETCH (UID 3 MODSEQ (11) FLAGS (\\Flagged))\r\n" + done);
  EXPECT_EQ(select("1001 7 4:9 (1,3 1,5)"),
            "* VANISHED (EARLIER) 4\r\n* 4 FETCH (UID 6 MODSEQ (12) FLAGS ())\r\n" + done);
  EXPECT_EQ(select("1001 11"), "* 4 FETCH (UID 6 MODSEQ (12) FLAGS ())\r\n" + done);
  EXPECT_EQ(select("1001 12"), done);
  EXPECT_EQ(select("999 3"), done);  // another mailbox: all has to be read anew
  store_.Prune();
  EXPECT_EQ(select("1001 7 1:100"), "* VANISHED (EARLIER) 2,4\r\n" + news + "))\r\n" + done);
  store_.Prune();
  EXPECT_EQ(select("1001 7"), "* VANISHED (EARLIER) 2,4\r\n" + news + "))\r\n" + done);
  store_.Prune();
  EXPECT_EQ(select("1001 11 1,3"), done);
}

TEST_F(QresyncTest, NeedsToBeEnabledAndRight) {
  Client client = Select();
  EXPECT_EQ(client.Say("a SELECT INBOX (QRESYNC (1001 7))\r\n"),
            "a BAD QRESYNC is not enabled\r\n");
  EXPECT_EQ(client.Say("b UID FETCH 1:* UID (CHANGEDSINCE 1 VANISHED)\r\n"),
            "b BAD QRESYNC is not enabled\r\n");
  client.Say("c ENABLE QRESYNC\r\n");
  for (const char* wrong :
       {"SELECT INBOX (QRESYNC)", "SELECT INBOX (QRESYNC ())", "SELECT INBOX (QRESYNC (1001))",
        "SELECT INBOX (QRESYNC (0 7))", "SELECT INBOX (QRESYNC (1001 0))",
        "SELECT INBOX (QRESYNC (1001 7 1:*))", "SELECT INBOX (QRESYNC (1001 7 1:2 (1)))",
        "SELECT INBOX (QRESYNC (1001 7 $))", "UID FETCH 1 UID (VANISHED)",
        "FETCH 1 UID (CHANGEDSINCE 1 VANISHED)"}) {
    EXPECT_THAT(client.Say(std::string("d ") + wrong + "\r\n"), StartsWith("d BAD ")) << wrong;
  }
}

TEST_F(QresyncTest, ExpungesAreToldByUid) {
  for (int i = 0; i < 6; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Enabled();
  client.Say("s SELECT INBOX\r\n");
  Client other = Select();
  other.Say("a STORE 1:2,4 FLAGS (\\Deleted)\r\n");
  EXPECT_EQ(client.Say("b NOOP\r\n"),
            "* 1 FETCH (UID 1 MODSEQ (9) FLAGS (\\Deleted \\Recent))\r\n"
            "* 2 FETCH (UID 2 MODSEQ (9) FLAGS (\\Deleted \\Recent))\r\n"
            "* 4 FETCH (UID 4 MODSEQ (9) FLAGS (\\Deleted \\Recent))\r\nb OK NOOP completed\r\n");
  EXPECT_EQ(client.Say("c UID EXPUNGE 1:2\r\n"),
            "* VANISHED 1:2\r\nc OK [HIGHESTMODSEQ 11] Expunge completed\r\n");
  EXPECT_EQ(other.Say("d NOOP\r\n"), "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nd OK NOOP completed\r\n");
  EXPECT_EQ(client.Say("e UID EXPUNGE 1:3\r\n"), "e OK Expunge completed\r\n");
  client.Say("f CREATE box\r\n");
  EXPECT_EQ(client.Say("g MOVE 1:2 box\r\n"),
            "* OK [COPYUID 1002 3:4 1:2] Moved UIDs\r\n* VANISHED 3:4\r\n"
            "g OK [HIGHESTMODSEQ 16] Move completed\r\n");
  EXPECT_EQ(client.Say("h FETCH 1 BODY[TEXT]\r\n"),
            "* 1 FETCH (UID 5 MODSEQ (17) FLAGS (\\Seen \\Recent) BODY[TEXT] {3}\r\nb\r\n)\r\n"
            "h OK Fetch completed\r\n");
}

TEST_F(QresyncTest, FetchTellsWhatVanished) {
  Change();
  Client client = Enabled();
  client.Say("s SELECT INBOX\r\n");
  EXPECT_EQ(client.Say("a UID FETCH 1:5 FLAGS (CHANGEDSINCE 7 VANISHED)\r\n"),
            "* VANISHED (EARLIER) 2,4\r\n* 2 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (11))\r\n"
            "a OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("b UID FETCH 3:* UID (VANISHED CHANGEDSINCE 11)\r\n"),
            "* 4 FETCH (UID 6 MODSEQ (12))\r\nb OK Fetch completed\r\n");
  // What this session still shows has not vanished for it.
  store_.OnChange(nullptr);
  Client other = Select();
  other.Say("c STORE 1 FLAGS.SILENT (\\Deleted)\r\n");
  other.Say("c EXPUNGE\r\n");
  EXPECT_EQ(client.Say("d UID FETCH 1:* UID (CHANGEDSINCE 12 VANISHED)\r\n"),
            "d OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("e NOOP\r\n"), "* VANISHED 1\r\ne OK NOOP completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
