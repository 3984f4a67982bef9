// One dialogue a command.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using CommandTest = ImapTest;

TEST_F(CommandTest, SelectAndExamine) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = LogIn();
  EXPECT_EQ(client.Say("a EXAMINE inbox\r\n"),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
            "* OK [PERMANENTFLAGS ()] Read-only mailbox\r\n"
            "* 1 EXISTS\r\n* 1 RECENT\r\n* OK [UNSEEN 1] First unseen message\r\n"
            "* OK [UIDVALIDITY 1001] UIDs valid\r\n* OK [UIDNEXT 2] Predicted next UID\r\n"
            "* OK [MAILBOXID (M1)] Mailbox id\r\n* OK [HIGHESTMODSEQ 3] Highest\r\n"
            "a OK [READ-ONLY] Examine completed\r\n");
  for (const char* refused : {"STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 INBOX"}) {
    EXPECT_THAT(client.Say(std::string("b ") + refused + "\r\n"), StartsWith("b NO [READ-ONLY] "));
  }
  EXPECT_EQ(client.Say("c SELECT nowhere\r\n"),
            "* OK [CLOSED] Previous mailbox closed\r\nc NO [NONEXISTENT] No such mailbox\r\n");
  EXPECT_THAT(client.Say("d CHECK\r\n"), StartsWith("d BAD No mailbox selected"));
}

TEST_F(CommandTest, IdNamespaceAndCapability) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("a ID (\"name\" \"x\" \"version\" NIL)\r\n"),
            "* ID (\"name\" \"Posthorn\")\r\na OK ID completed\r\n");
  EXPECT_EQ(client.Say("b NAMESPACE\r\n"),
            "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nb OK Namespace completed\r\n");
  EXPECT_EQ(client.Say("c CAPABILITY\r\n"),
            "* CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN "
            "LIST-EXTENDED LIST-STATUS UIDPLUS MOVE UNSELECT SPECIAL-USE CREATE-SPECIAL-USE "
            "STATUS=SIZE UNAUTHENTICATE MULTIAPPEND WITHIN ESEARCH SEARCHRES PARTIAL SORT "
            "SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT CONDSTORE QRESYNC "
            "SAVEDATE OBJECTID PREVIEW QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE "
            "UTF8=ACCEPT BINARY REPLACE UIDONLY INPROGRESS APPENDLIMIT=52428800 I18NLEVEL=1 "
            "MESSAGELIMIT=1000000 COMPRESS=DEFLATE\r\nc OK Capability completed\r\n");
}

TEST_F(CommandTest, EnableLeavesWhatItDoesNotKnowAlone) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("a ENABLE X-NOTHING IDLE\r\n"), "* ENABLED\r\na OK Enabled\r\n");
  EXPECT_EQ(client.Say("a ENABLE X-NOTHING condstore\r\n"),
            "* ENABLED CONDSTORE\r\na OK Enabled\r\n");
  EXPECT_EQ(client.Say("a ENABLE CONDSTORE\r\n"), "* ENABLED\r\na OK Enabled\r\n");
  EXPECT_THAT(client.Say("b ENABLE\r\n"), StartsWith("b BAD "));
  Client fresh = Connect();
  fresh.Receive();
  EXPECT_THAT(fresh.Say("c ENABLE IDLE\r\n"), StartsWith("c BAD "));
}

TEST_F(CommandTest, CreateDeleteRename) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("a CREATE a/b/\r\n"), "a OK [MAILBOXID (M3)] Create completed\r\n");
  EXPECT_EQ(client.Say("b CREATE a\r\n"), "b NO [ALREADYEXISTS] Mailbox already exists\r\n");
  EXPECT_THAT(client.Say("c CREATE a//c\r\n"), StartsWith("c NO [CANNOT] "));
  EXPECT_THAT(client.Say("c CREATE &Jjo\r\n"), StartsWith("c NO [CANNOT] "));
  EXPECT_THAT(client.Say("c CREATE \"" + std::string(1001, 'x') + "\"\r\n"),
              StartsWith("c NO [CANNOT] "));
  EXPECT_EQ(client.Say("d CREATE s (USE (\\Sent \\Junk))\r\n"),
            "d NO [USEATTR] Special use is not supported\r\n");
  EXPECT_EQ(client.Say("d STATUS s (UIDNEXT)\r\n"), "d NO [NONEXISTENT] No such mailbox\r\n");
  EXPECT_EQ(client.Say("e RENAME a z\r\n"), "e OK Rename completed\r\n");
  EXPECT_EQ(client.Say("f LIST \"\" *\r\n"),
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\HasChildren) \"/\" z\r\n"
            "* LIST (\\HasNoChildren) \"/\" z/b\r\nf OK List completed\r\n");
  EXPECT_EQ(client.Say("g DELETE z/b\r\n"), "g OK Delete completed\r\n");
  EXPECT_THAT(client.Say("h DELETE INBOX\r\n"), StartsWith("h NO [NOPERM] "));
  EXPECT_EQ(client.Say("i DELETE none\r\n"), "i NO [NONEXISTENT] No such mailbox\r\n");
}

TEST_F(CommandTest, DeletingAParentLeavesItsNameWhileItHasChildren) {
  Client client = LogIn();
  client.Say("a CREATE a/b\r\n");
  EXPECT_EQ(client.Say("b DELETE a\r\n"), "b OK Delete completed\r\n");
  EXPECT_EQ(client.Say("c LIST \"\" a*\r\n"),
            "* LIST (\\Noselect \\HasChildren) \"/\" a\r\n"
            "* LIST (\\HasNoChildren) \"/\" a/b\r\nc OK List completed\r\n");
  EXPECT_EQ(client.Say("d LIST () \"\" a\r\n"),
            "* LIST (\\NonExistent \\HasChildren) \"/\" a\r\nd OK List completed\r\n");
  EXPECT_EQ(client.Say("e SELECT a\r\n"), "e NO [NONEXISTENT] No such mailbox\r\n");
  EXPECT_EQ(client.Say("f DELETE a\r\n"), "f NO [HASCHILDREN] Mailbox has children\r\n");
  EXPECT_EQ(client.Say("g RENAME a z\r\n"), "g OK Rename completed\r\n");
  EXPECT_EQ(client.Say("h CREATE z\r\n"), "h OK [MAILBOXID (M4)] Create completed\r\n");
  EXPECT_EQ(client.Say("i LIST \"\" (a* z*)\r\n"),
            "* LIST (\\HasChildren) \"/\" z\r\n* LIST (\\HasNoChildren) \"/\" z/b\r\n"
            "i OK List completed\r\n");
}

TEST_F(CommandTest, ListPatternsReferencesAndNames) {
  Client client = LogIn();
  client.Say("a CREATE &ZeVnLIqe-/x\r\n");
  client.Say("a CREATE \"with space\"\r\n");
  client.Say("a CREATE Sent (USE (\\Sent))\r\n");
  EXPECT_EQ(client.Say("b LIST \"\" \"\"\r\n"),
            "* LIST (\\Noselect) \"/\" \"\"\r\nb OK List completed\r\n");
  EXPECT_EQ(client.Say("c LIST \"\" %\r\n"),
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
            "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
            "* LIST (\\HasNoChildren) \"/\" \"with space\"\r\n"
            "* LIST (\\HasChildren) \"/\" &ZeVnLIqe-\r\nc OK List completed\r\n");
  EXPECT_EQ(client.Say("d LIST &ZeVnLIqe-/ %\r\n"),
            "* LIST (\\HasNoChildren) \"/\" &ZeVnLIqe-/x\r\nd OK List completed\r\n");
  EXPECT_EQ(client.Say("e LIST (SPECIAL-USE) \"\" *\r\n"),
            "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\ne OK List completed\r\n");
  EXPECT_EQ(client.Say("f LIST \"\" (Inbox Sent) RETURN (SPECIAL-USE CHILDREN)\r\n"),
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
            "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\nf OK List completed\r\n");
}

TEST_F(CommandTest, SubscriptionsAndLsub) {
  Client client = LogIn();
  client.Say("a CREATE box\r\n");
  EXPECT_EQ(client.Say("b SUBSCRIBE box\r\n"), "b OK Subscribe completed\r\n");
  EXPECT_EQ(client.Say("c SUBSCRIBE gone/away\r\n"), "c OK Subscribe completed\r\n");
  EXPECT_EQ(client.Say("d LSUB \"\" *\r\n"),
            "* LSUB () \"/\" box\r\n* LSUB () \"/\" gone/away\r\nd OK Lsub completed\r\n");
  EXPECT_EQ(client.Say("e LSUB \"\" %\r\n"),
            "* LSUB () \"/\" box\r\n* LSUB (\\Noselect) \"/\" gone\r\ne OK Lsub completed\r\n");
  EXPECT_EQ(client.Say("f LIST (SUBSCRIBED) \"\" *\r\n"),
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" box\r\n"
            "* LIST (\\Subscribed \\NonExistent) \"/\" gone/away\r\nf OK List completed\r\n");
  EXPECT_EQ(client.Say("g UNSUBSCRIBE gone/away\r\n"), "g OK Unsubscribe completed\r\n");
  EXPECT_EQ(client.Say("h LSUB \"\" gone*\r\n"), "h OK Lsub completed\r\n");
}

TEST_F(CommandTest, ListExtended) {
  Client client = LogIn();
  for (const char* name : {"a/b/c", "d/e", "f"})
    client.Say(std::string("x CREATE ") + name + "\r\n");
  for (const char* name : {"a/b/c", "d", "d/gone", "g/h"}) {
    client.Say(std::string("x SUBSCRIBE ") + name + "\r\n");
  }
  client.Say("x CREATE d/s (USE (\\Sent))\r\n");
  const auto list = [&](const std::string& arguments) {
    const std::string answer = client.Say("a LIST " + arguments + "\r\n");
    return answer.substr(0, answer.find("a OK List completed\r\n"));
  };
  EXPECT_EQ(list("(SUBSCRIBED) \"\" *"),
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" a/b/c\r\n"
            "* LIST (\\Subscribed \\HasChildren) \"/\" d\r\n"
            "* LIST (\\Subscribed \\NonExistent) \"/\" d/gone\r\n"
            "* LIST (\\Subscribed \\NonExistent) \"/\" g/h\r\n");
  EXPECT_EQ(list("(SUBSCRIBED RECURSIVEMATCH REMOTE) \"\" %"),
            "* LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
            "* LIST (\\Subscribed \\HasChildren) \"/\" d (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
            "* LIST (\\NonExistent) \"/\" g (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");
  // What is listed itself needs no CHILDINFO.
  EXPECT_EQ(list("(SUBSCRIBED RECURSIVEMATCH) \"\" (d d/*)"),
            "* LIST (\\Subscribed \\HasChildren) \"/\" d\r\n"
            "* LIST (\\Subscribed \\NonExistent) \"/\" d/gone\r\n");
  EXPECT_EQ(list("(RECURSIVEMATCH SPECIAL-USE) \"\" %"),
            "* LIST (\\HasChildren) \"/\" d (\"CHILDINFO\" (\"SPECIAL-USE\"))\r\n");
  EXPECT_EQ(list("(REMOTE) \"\" f RETURN (SUBSCRIBED)"), "* LIST (\\HasNoChildren) \"/\" f\r\n");
  EXPECT_EQ(list("\"\" % RETURN (SUBSCRIBED)"),
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\HasChildren) \"/\" a\r\n"
            "* LIST (\\Subscribed \\HasChildren) \"/\" d\r\n"
            "* LIST (\\HasNoChildren) \"/\" f\r\n");
  EXPECT_THAT(client.Say("b LIST (RECURSIVEMATCH) \"\" *\r\n"), StartsWith("b BAD "));
  EXPECT_THAT(client.Say("b LIST (RECURSIVEMATCH REMOTE) \"\" *\r\n"), StartsWith("b BAD "));
}

TEST_F(CommandTest, ListWithStatus) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = LogIn();
  client.Say("a CREATE a/b\r\n");
  client.Say("a SUBSCRIBE a/b\r\n");
  client.Say("a SUBSCRIBE gone\r\n");
  EXPECT_EQ(client.Say("b LIST \"\" % RETURN (STATUS (MESSAGES SIZE) CHILDREN)\r\n"),
            "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 1 SIZE 17)\r\n"
            "* LIST (\\HasChildren) \"/\" a\r\n* STATUS a (MESSAGES 0 SIZE 0)\r\n"
            "b OK List completed\r\n");
  EXPECT_EQ(client.Say("c LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS (UNSEEN))\r\n"),
            "* LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
            "* LIST (\\Subscribed \\NonExistent) \"/\" gone\r\nc OK List completed\r\n");
  EXPECT_THAT(client.Say("d LIST \"\" % RETURN (STATUS)\r\n"), StartsWith("d BAD "));
}

TEST_F(CommandTest, Status) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = LogIn();
  EXPECT_EQ(client.Say("a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE)\r\n"),
            "* STATUS INBOX (MESSAGES 1 RECENT 1 UIDNEXT 2 UIDVALIDITY 1001 UNSEEN 1 SIZE 17)\r\n"
            "a OK Status completed\r\n");
  EXPECT_EQ(client.Say("a STATUS INBOX (APPENDLIMIT)\r\n"),
            "* STATUS INBOX (APPENDLIMIT 52428800)\r\na OK Status completed\r\n");
  EXPECT_EQ(client.Say("b STATUS none (UNSEEN)\r\n"), "b NO [NONEXISTENT] No such mailbox\r\n");
}

TEST_F(CommandTest, AppendSmallLargeEmptyAndRefused) {
  Client client = Select();
  EXPECT_EQ(client.Say("a APPEND INBOX (\\Seen $x) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n"),
            "+ OK\r\n");
  EXPECT_EQ(client.Say("a: b\n\r\n"),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x)\r\n"
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $x \\*)] "
            "Flags permitted\r\n"
            "* 1 EXISTS\r\n* 1 RECENT\r\na OK [APPENDUID 1001 1] Append completed\r\n");
  EXPECT_EQ(client.Say("b FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])\r\n"),
            "* 1 FETCH (FLAGS (\\Seen \\Recent $x) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" "
            "RFC822.SIZE 5 BODY[] {5}\r\na: b\n)\r\nb OK Fetch completed\r\n");
  const std::string large = "Subject: large\r\n\r\n" + std::string(300000, 'x') + "\r\n";
  EXPECT_THAT(client.Say("c APPEND INBOX {" + std::to_string(large.size()) + "+}\r\n" + large +
                         "\r\nd NOOP\r\n"),
              AllOf(HasSubstr("c OK [APPENDUID 1001 2] "), HasSubstr("d OK NOOP completed\r\n")));
  EXPECT_EQ(client.Say("e FETCH 2 BODY.PEEK[]\r\n"), "* 2 FETCH (BODY[] {" +
                                                         std::to_string(large.size()) + "}\r\n" +
                                                         large + ")\r\ne OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("f APPEND INBOX {0+}\r\n\r\n"),
            "f NO [CLIENTBUG] An empty message is not stored\r\n");
  EXPECT_EQ(client.Say("g APPEND none {5}\r\n"), "g NO [TRYCREATE] No such mailbox\r\n");
  EXPECT_EQ(client.Say("h APPEND none {5+}\r\nhello\r\ni NOOP\r\n"),
            "h NO [TRYCREATE] No such mailbox\r\ni OK NOOP completed\r\n");
  EXPECT_THAT(client.Say("j APPEND INBOX {99999999}\r\n"), StartsWith("j NO [TOOBIG] "));
  EXPECT_EQ(client.Say("k APPEND INBOX {2+}\r\nhi there\r\nl NOOP\r\n"),
            "k BAD Unexpected text after the message\r\nl OK NOOP completed\r\n");
  // What took a message is not looked for before the next one, but it may be gone by then.
  EXPECT_THAT(client.Say("m CREATE box\r\nn APPEND box {5+}\r\na: b\n\r\no DELETE box\r\n"),
              AllOf(HasSubstr("n OK [APPENDUID "), HasSubstr("o OK ")));
  EXPECT_EQ(client.Say("p APPEND box {5}\r\n"), "+ OK\r\n");
  EXPECT_EQ(client.Say("a: b\n\r\n"), "p NO [TRYCREATE] No such mailbox\r\n");
  EXPECT_EQ(client.Say("q APPEND box {5}\r\n"), "q NO [TRYCREATE] No such mailbox\r\n");
}

TEST_F(CommandTest, AppendOfSeveralMessagesIsAllOrNothing) {
  Client client = Select();
  EXPECT_EQ(client.Say("a APPEND INBOX (\\Seen) {3}\r\n"), "+ OK\r\n");
  EXPECT_EQ(client.Say("one (\\Draft) \"17-Jul-1996 02:44:25 -0700\" {3}\r\n"), "+ OK\r\n");
  EXPECT_EQ(client.Say("two\r\n"),
            "* 2 EXISTS\r\n* 2 RECENT\r\na OK [APPENDUID 1001 1:2] Append completed\r\n");
  EXPECT_EQ(client.Say("b FETCH 1:2 (FLAGS BODY.PEEK[])\r\n"),
            "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[] {3}\r\none)\r\n"
            "* 2 FETCH (FLAGS (\\Draft \\Recent) BODY[] {3}\r\ntwo)\r\n"
            "b OK Fetch completed\r\n");
  // Only so much is kept here; the rest goes to the store piece by piece.
  const std::string large(40000, 'x');
  std::string command = "c APPEND INBOX";
  for (int i = 0; i < 4; ++i) command += " {40000+}\r\n" + large;
  EXPECT_EQ(client.Say(command + "\r\n"),
            "* 6 EXISTS\r\n* 6 RECENT\r\nc OK [APPENDUID 1001 3:6] Append completed\r\n");
  EXPECT_THAT(client.Say("d FETCH 6 RFC822.SIZE\r\n"), HasSubstr("RFC822.SIZE 40000"));
  const char* refused[] = {
      "e APPEND INBOX {3+}\r\none {99999999}\r\n",
      "e APPEND INBOX {3+}\r\none {0+}\r\n\r\n",
      "e APPEND INBOX {3+}\r\none (\\Nonsense) {3+}\r\ntwo {3+}\r\nxyz\r\n",
      "e APPEND INBOX {3+}\r\none INBOX {3+}\r\ntwo\r\n",
  };
  for (const char* text : refused) {
    const std::string answer = client.Say(std::string(text) + "f NOOP\r\n");
    EXPECT_THAT(answer, testing::AnyOf(StartsWith("e NO ["), StartsWith("e BAD "))) << text;
    EXPECT_THAT(answer, testing::EndsWith("f OK NOOP completed\r\n")) << text;
  }
  std::string many = "g APPEND INBOX";
  for (int i = 0; i < 1001; ++i) many += " {1+}\r\nx";
  EXPECT_THAT(client.Say(many + "\r\nh NOOP\r\n"),
              AllOf(StartsWith("g NO [MESSAGELIMIT 1000] "), HasSubstr("h OK NOOP")));
  EXPECT_EQ(client.Say("i STATUS INBOX (MESSAGES)\r\n"),
            "* STATUS INBOX (MESSAGES 6)\r\ni OK Status completed\r\n");
}

TEST_F(CommandTest, AppendKeepsInStepWhenTheStoreFailsInTheMiddle) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("a APPEND INBOX {200000}\r\n"), "+ OK\r\n");
  store_.FailWith(MakeFailure(Failure::kOverQuota));
  EXPECT_EQ(client.Say(std::string(200000, 'x') + "\r\n"), "a NO [OVERQUOTA] Mailbox full\r\n");
  store_.FailWith(std::nullopt);
  EXPECT_EQ(client.Say("b NOOP\r\n"), "b OK NOOP completed\r\n");
}

TEST_F(CommandTest, StoreInAllForms) {
  for (int i = 0; i < 3; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a STORE 1:2 FLAGS \\Seen \\Draft\r\n"),
            "* 1 FETCH (FLAGS (\\Seen \\Draft \\Recent))\r\n"
            "* 2 FETCH (FLAGS (\\Seen \\Draft \\Recent))\r\na OK Store completed\r\n");
  EXPECT_EQ(client.Say("b UID STORE 2 -FLAGS (\\Draft)\r\n"),
            "* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\r\nb OK Store completed\r\n");
  EXPECT_EQ(client.Say("c STORE 3 +FLAGS.SILENT (\\Flagged)\r\n"), "c OK Store completed\r\n");
  EXPECT_EQ(client.Say("d STORE 9 +FLAGS (\\Seen)\r\n"), "d BAD No such message\r\n");
  EXPECT_EQ(client.Say("e UID STORE 99 +FLAGS (\\Seen)\r\n"), "e OK Store completed\r\n");
  EXPECT_EQ(client.Say("f STORE 1 +FLAGS (\\Recent)\r\n"), "f BAD Invalid system flag\r\n");
}

TEST_F(CommandTest, CopyAndMove) {
  for (int i = 0; i < 3; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a COPY 1 box\r\n"), "a NO [TRYCREATE] No such mailbox\r\n");
  client.Say("b CREATE box\r\n");
  EXPECT_EQ(client.Say("c UID COPY 1,3 box\r\n"), "c OK [COPYUID 1002 1,3 1:2] Copy completed\r\n");
  EXPECT_EQ(client.Say("d MOVE 2:3 box\r\n"),
            "* OK [COPYUID 1002 2:3 3:4] Moved UIDs\r\n* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n"
            "d OK Move completed\r\n");
  EXPECT_EQ(client.Say("e UID MOVE 77 box\r\n"), "e OK No messages found\r\n");
  EXPECT_EQ(client.Say("f STATUS box (MESSAGES)\r\n"),
            "* STATUS box (MESSAGES 4)\r\nf OK Status completed\r\n");
}

TEST_F(CommandTest, ExpungeUidExpungeCloseUnselect) {
  for (int i = 0; i < 4; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  client.Say("a STORE 1:3 +FLAGS.SILENT (\\Deleted)\r\n");
  EXPECT_EQ(client.Say("b UID EXPUNGE 3:4\r\n"), "* 3 EXPUNGE\r\nb OK Expunge completed\r\n");
  EXPECT_EQ(client.Say("b UID EXPUNGE 90\r\n"), "b OK Expunge completed\r\n");
  EXPECT_EQ(client.Say("c UNSELECT\r\n"), "c OK Unselect completed\r\n");
  client.Say("d SELECT INBOX\r\n");
  EXPECT_EQ(client.Say("e CLOSE\r\n"), "e OK Close completed\r\n");
  EXPECT_EQ(client.Say("f STATUS INBOX (MESSAGES)\r\n"),
            "* STATUS INBOX (MESSAGES 1)\r\nf OK Status completed\r\n");
}

TEST_F(CommandTest, SearchAllKindsOfKeys) {
  Deliver("From: ann@a.example\r\nSubject: Apples\r\n\r\nred and round\r\n");
  Deliver("From: bob@b.example\r\nSubject: Pears\r\n\r\nyellow\r\n");
  Deliver("From: ann@a.example\r\nSubject: Plums\r\n\r\n" + std::string(500, 'x') + "\r\n");
  Client client = Select();
  client.Say("z STORE 2 +FLAGS.SILENT (\\Seen \\Flagged $k)\r\n");
  const auto search = [&](const std::string& keys) {
    const std::string answer = client.Say("a SEARCH " + keys + "\r\n");
    return answer.substr(0, answer.find("\r\n"));
  };
  const std::pair<const char*, const char*> rows[] = {
      {"ALL", "* SEARCH 1 2 3"},
      {"SEEN", "* SEARCH 2"},
      {"UNSEEN", "* SEARCH 1 3"},
      {"NEW", "* SEARCH 1 3"},
      {"OLD", "* SEARCH"},
      {"RECENT", "* SEARCH 1 2 3"},
      {"KEYWORD $K", "* SEARCH 2"},
      {"UNKEYWORD $k FLAGGED", "* SEARCH"},
      {"2:*", "* SEARCH 2 3"},
      {"UID 1,3", "* SEARCH 1 3"},
      {"LARGER 400", "* SEARCH 3"},
      {"SMALLER 400 NOT SEEN", "* SEARCH 1"},
      {"ON 1-Jan-1970", "* SEARCH 1 2 3"},
      {"BEFORE 1-Jan-1970", "* SEARCH"},
      {"SINCE \"02-Jan-1970\"", "* SEARCH"},
      // Received at 1:00; it is 24:00.
      {"OLDER 82800", "* SEARCH 1 2 3"},
      {"OLDER 82801", "* SEARCH"},
      {"YOUNGER 82800 2", "* SEARCH 2"},
      {"YOUNGER 82799", "* SEARCH"},
      {"FROM ann", "* SEARCH 1 3"},
      {"SUBJECT p OR FROM bob UNSEEN", "* SEARCH 1 2 3"},
      {"BODY yellow", "* SEARCH 2"},
      {"TEXT apples", "* SEARCH 1"},
      {"HEADER Subject plum", "* SEARCH 3"},
      {"OR SEEN (BODY red FROM ann)", "* SEARCH 1 2"},
      {"NOT (FROM ann SMALLER 400)", "* SEARCH 2 3"},
      {"CHARSET UTF-8 FROM ann UNSEEN LARGER 400", "* SEARCH 3"},
      {"CHARSET KOI8-R SUBJECT plum", "* SEARCH 3"},
      {"CHARSET X-NONE ALL", "a NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset"},
      {"NONSENSE", "a BAD Unknown search key"},
      {"99", "* SEARCH"},
  };
  for (const auto& [keys, answer] : rows) EXPECT_EQ(search(keys), answer) << keys;
  EXPECT_EQ(client.Say("b UID SEARCH FROM bob\r\n"), "* SEARCH 2\r\nb OK Search completed\r\n");
}

TEST_F(CommandTest, ExtendedSearch) {
  for (int i = 0; i < 5; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  client.Say("z STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
  client.Say("z EXPUNGE\r\n");
  client.Say("z STORE 3 +FLAGS.SILENT (\\Seen)\r\n");
  const std::pair<const char*, const char*> rows[] = {
      {"a SEARCH RETURN () UNSEEN", "* ESEARCH (TAG \"a\") ALL 1:2,4\r\n"},
      {"a SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN",
       "* ESEARCH (TAG \"a\") MIN 1 MAX 4 COUNT 3 ALL 1:2,4\r\n"},
      {"a UID SEARCH RETURN (COUNT MAX) UNSEEN", "* ESEARCH (TAG \"a\") UID MAX 5 COUNT 3\r\n"},
      {"a UID SEARCH RETURN (ALL) UNSEEN", "* ESEARCH (TAG \"a\") UID ALL 2:3,5\r\n"},
      {"a SEARCH RETURN (MIN ALL COUNT) FLAGGED", "* ESEARCH (TAG \"a\") COUNT 0\r\n"},
      {"a UID SEARCH RETURN (MIN) CHARSET UTF-8 FLAGGED", "* ESEARCH (TAG \"a\") UID\r\n"},
  };
  for (const auto& [command, answer] : rows) {
    EXPECT_EQ(client.Say(std::string(command) + "\r\n"),
              std::string(answer) + "a OK Search completed\r\n")
        << command;
  }
  EXPECT_THAT(client.Say("b SEARCH RETURN (NONSENSE) ALL\r\n"), StartsWith("b BAD "));
  EXPECT_THAT(client.Say("b SEARCH RETURN (MIN)\r\n"), StartsWith("b BAD "));
}

TEST_F(CommandTest, SavedSearchResults) {
  for (int i = 0; i < 5; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  const auto found = [&](const std::string& command) {
    const std::string answer = client.Say("a UID SEARCH " + command + "\r\n");
    return answer.substr(0, answer.find("\r\n"));
  };
  EXPECT_EQ(found("$"), "* SEARCH");
  EXPECT_EQ(client.Say("b SEARCH RETURN (SAVE) 2:4\r\n"), "b OK Search completed\r\n");
  EXPECT_EQ(found("$"), "* SEARCH 2 3 4");
  EXPECT_EQ(found("UID $ NOT 3"), "* SEARCH 2 4");
  EXPECT_EQ(found("NOT $"), "* SEARCH 1 5");
  EXPECT_EQ(client.Say("c STORE $ +FLAGS.SILENT (\\Flagged)\r\n"), "c OK Store completed\r\n");
  EXPECT_EQ(client.Say("d FETCH $ (UID FLAGS)\r\n"),
            "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\r\n"
            "* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent))\r\n"
            "* 4 FETCH (UID 4 FLAGS (\\Flagged \\Recent))\r\nd OK Fetch completed\r\n");
  // Expunged messages leave it; later ones do not join it.
  client.Say("e STORE 3 +FLAGS.SILENT (\\Deleted)\r\n");
  client.Say("e EXPUNGE\r\n");
  Deliver("Subject: a\r\n\r\nb\r\n");
  client.Say("e NOOP\r\n");
  EXPECT_EQ(found("$"), "* SEARCH 2 4");
  EXPECT_EQ(client.Say("f COPY $ INBOX\r\n"),
            "* 7 EXISTS\r\n* 7 RECENT\r\nf OK [COPYUID 1001 2,4 7:8] Copy completed\r\n");
  EXPECT_EQ(found("RETURN (SAVE MIN) ALL"), "* ESEARCH (TAG \"a\") UID MIN 1");
  EXPECT_EQ(found("$"), "* SEARCH 1");
  EXPECT_EQ(found("RETURN (SAVE MIN MAX) ALL"), "* ESEARCH (TAG \"a\") UID MIN 1 MAX 8");
  EXPECT_EQ(found("$"), "* SEARCH 1 8");
  EXPECT_EQ(found("RETURN (SAVE MIN COUNT) 1:3"), "* ESEARCH (TAG \"a\") UID MIN 1 COUNT 3");
  EXPECT_EQ(found("$"), "* SEARCH 1 2 4");
  // BAD leaves it, NO empties it, and so does a new SELECT.
  EXPECT_THAT(client.Say("g SEARCH RETURN (SAVE) NONSENSE\r\n"), StartsWith("g BAD "));
  EXPECT_EQ(found("$"), "* SEARCH 1 2 4");
  store_.FailWith(MakeFailure(Failure::kUnavailable));
  EXPECT_THAT(client.Say("h SEARCH RETURN (SAVE) BODY x\r\n"), StartsWith("h NO "));
  store_.FailWith(std::nullopt);
  EXPECT_EQ(found("$"), "* SEARCH");
  EXPECT_EQ(client.Say("i UID EXPUNGE $\r\n"), "i OK Expunge completed\r\n");
  client.Say("j SEARCH RETURN (SAVE) ALL\r\n");
  client.Say("j SELECT INBOX\r\n");
  EXPECT_EQ(client.Say("k FETCH $ UID\r\n"), "k OK Fetch completed\r\n");
  EXPECT_THAT(client.Say("l FETCH $,2 UID\r\n"), StartsWith("l BAD "));
}

TEST_F(CommandTest, PartialResults) {
  for (int i = 0; i < 9; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  client.Say("z STORE 2 +FLAGS.SILENT (\\Seen)\r\n");
  const std::pair<const char*, const char*> rows[] = {
      {"(PARTIAL 1:3) UNSEEN", "PARTIAL (1:3 1,3:4)"},
      {"(PARTIAL 3:2) UNSEEN", "PARTIAL (2:3 3:4)"},
      {"(PARTIAL -1:-3) UNSEEN", "PARTIAL (-1:-3 7:9)"},
      {"(COUNT PARTIAL 8:100) UNSEEN", "COUNT 8 PARTIAL (8:100 9)"},
      {"(PARTIAL -8:-100) UNSEEN", "PARTIAL (-8:-100 1)"},
      {"(PARTIAL 9:10) UNSEEN", "PARTIAL (9:10 NIL)"},
      {"(PARTIAL 1:4294967295) FLAGGED", "PARTIAL (1:4294967295 NIL)"},
      {"(SAVE MIN PARTIAL -1:-2) UNSEEN", "MIN 1 PARTIAL (-1:-2 8:9)"},
      {"() $", "ALL 1,8:9"},
  };
  for (const auto& [arguments, answer] : rows) {
    EXPECT_EQ(client.Say(std::string("a UID SEARCH RETURN ") + arguments + "\r\n"),
              std::string("* ESEARCH (TAG \"a\") UID ") + answer + "\r\na OK Search completed\r\n")
        << arguments;
  }
  EXPECT_EQ(client.Say("b UID FETCH 1:6 UID (PARTIAL -1:-2)\r\n"),
            "* 5 FETCH (UID 5)\r\n* 6 FETCH (UID 6)\r\nb OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("c FETCH 3:* (UID) (PARTIAL 2:2)\r\n"),
            "* 4 FETCH (UID 4)\r\nc OK Fetch completed\r\n");
  EXPECT_EQ(client.Say("d UID FETCH 1:* UID (PARTIAL 10:20)\r\n"), "d OK Fetch completed\r\n");
  for (const char* wrong : {"(ALL PARTIAL 1:2)", "(PARTIAL 0:1)", "(PARTIAL -1:2)", "(PARTIAL 1)",
                            "(PARTIAL 1:2 PARTIAL 1:2)"}) {
    EXPECT_THAT(client.Say(std::string("e SEARCH RETURN ") + wrong + " ALL\r\n"),
                StartsWith("e BAD "))
        << wrong;
  }
}

TEST_F(CommandTest, RenameOfInboxMovesItsMessages) {
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  EXPECT_EQ(client.Say("a RENAME INBOX old\r\n"), "* 1 EXPUNGE\r\na OK Rename completed\r\n");
  EXPECT_EQ(client.Say("b STATUS old (MESSAGES)\r\n"),
            "* STATUS old (MESSAGES 1)\r\nb OK Status completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
