// CONDSTORE (RFC 7162). A new account is at MODSEQ 2 here, and each change counts one.
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

}  // namespace
}  // namespace posthorn::gateway
