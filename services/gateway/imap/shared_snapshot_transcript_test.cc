// SELECT of a mailbox that another session of the gateway has read: only changes are asked for, and
// the client must not be able to tell.
#include "services/gateway/imap/imap_fixture_test.h"
#include "services/gateway/imap/snapshot_cache.h"

namespace posthorn::gateway {
namespace {

constexpr int kMessages = static_cast<int>(SnapshotCache::kMinMessages) + 100;

class SharedSnapshotTest : public ImapTest {
 protected:
  SharedSnapshotTest() {
    for (int i = 0; i < kMessages; ++i) Deliver("Subject: a\r\n\r\nb\r\n");
  }

  // What a client learns of the mailbox, flags of all messages included.
  static std::string Learn(Client client, const std::string& select) {
    std::string text = client.Say("s " + select + "\r\n");
    return text + client.Say("f UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE MODSEQ)\r\n");
  }
  // The same from a server that has no snapshot.
  std::string LearnAnew(const std::string& select) {
    const std::unique_ptr<ImapServer> known = std::exchange(server_, nullptr);
    std::string text = Learn(LogIn(), select);
    const std::unique_ptr<ImapServer> fresh = std::exchange(server_, nullptr);
    fresh->Drain();
    known->Drain();
    executor_.RunUntilIdle();
    Advance(absl::Hours(2));
    EXPECT_EQ(fresh->active_sessions(), 0);
    EXPECT_EQ(known->active_sessions(), 0);
    return text;
  }
};

TEST_F(SharedSnapshotTest, TellsWhatHasChangedSince) {
  Client first = Select();
  first.Say("a STORE 2,5 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  first.Say("c STORE 3 +FLAGS.SILENT (\\Seen $Label)\r\n");
  first.Say("d STORE 1 +FLAGS.SILENT (\\Seen)\r\n");
  Deliver("Subject: new\r\n\r\nb\r\n");
  Client second = LogIn();
  const std::string told = second.Say("s SELECT INBOX\r\n");
  EXPECT_THAT(told, testing::HasSubstr("* " + std::to_string(kMessages - 1) + " EXISTS\r\n"));
  EXPECT_THAT(told, testing::HasSubstr("* 1 RECENT\r\n"));
  EXPECT_THAT(told, testing::HasSubstr("* OK [UNSEEN 2]"));
  EXPECT_THAT(told, testing::HasSubstr("$Label"));
  EXPECT_EQ(second.Say("f FETCH 1:3 (UID FLAGS)\r\n"),
            "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 3 FLAGS ())\r\n"
            "* 3 FETCH (UID 4 FLAGS (\\Seen $Label))\r\nf OK Fetch completed\r\n");
  const std::string shared = Learn(LogIn(), "EXAMINE INBOX");
  EXPECT_EQ(shared, LearnAnew("EXAMINE INBOX"));
}

TEST_F(SharedSnapshotTest, ReadsOnlyChanges) {
  Client first = Select();
  const int opened = store_.opened();
  Client second = Select();
  EXPECT_EQ(store_.opened(), opened);
  // What one changes in its own view does not show in the other's before it is told.
  store_.OnChange(nullptr);
  first.Say("a STORE 1 +FLAGS.SILENT (\\Flagged)\r\n");
  EXPECT_EQ(second.Say("b FETCH 1 FLAGS\r\n"), "* 1 FETCH (FLAGS ())\r\nb OK Fetch completed\r\n");
  EXPECT_EQ(second.Say("c NOOP\r\n"), "* 1 FETCH (FLAGS (\\Flagged))\r\nc OK NOOP completed\r\n");
}

TEST_F(SharedSnapshotTest, AnotherMailboxOfTheNameIsReadWhole) {
  Client client = LogIn();
  client.Say("a CREATE One\r\n");
  client.Say("b SELECT INBOX\r\n");
  client.Say("c COPY 1:* One\r\n");
  client.Say("d SELECT One\r\n");
  client.Say("e UNSELECT\r\n");
  client.Say("f RENAME One Two\r\n");
  EXPECT_THAT(client.Say("g SELECT One\r\n"), testing::HasSubstr("g NO "));
  client.Say("h CREATE One\r\n");
  EXPECT_THAT(client.Say("i SELECT One\r\n"), testing::HasSubstr("* 0 EXISTS\r\n"));
  EXPECT_THAT(client.Say("j SELECT Two\r\n"),
              testing::HasSubstr("* " + std::to_string(kMessages) + " EXISTS\r\n"));
  client.Say("k UNSELECT\r\n");
  client.Say("l DELETE Two\r\n");
  EXPECT_THAT(client.Say("m SELECT Two\r\n"), testing::HasSubstr("m NO "));
}

TEST_F(SharedSnapshotTest, IsReadWholeWhereExpungesWereForgotten) {
  Client first = Select();
  first.Say("a STORE 2 +FLAGS.SILENT (\\Deleted)\r\n");
  first.Say("b EXPUNGE\r\n");
  store_.Prune();
  const std::string shared = Learn(LogIn(), "EXAMINE INBOX");
  EXPECT_THAT(shared, testing::HasSubstr("* " + std::to_string(kMessages - 1) + " EXISTS\r\n"));
  EXPECT_EQ(shared, LearnAnew("EXAMINE INBOX"));
}

}  // namespace
}  // namespace posthorn::gateway
