#include "services/mailbox/mail_transfer.h"

#include <gtest/gtest.h>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class TransferTest : public StoreTest {
 protected:
  TransferTest() : transfer(*database, bodies, store, deliveries) {}

  static ImportedMessage Imported(int n, const std::string& mailbox = "INBOX") {
    ImportedMessage message;
    message.key = postgres::Sha256(absl::StrCat("key", n)).substr(0, kImportKeyOctets);
    message.mailbox = mailbox;
    message.data = absl::StrCat("Subject: ", n, "\r\n\r\ntext ", n, "\r\n");
    message.flags = kFlagSeen;
    message.keywords = {"$Label"};
    message.received_at = absl::FromUnixMicros(1600000000123456 + n);
    return message;
  }
  static std::vector<ImportedMessage> Several(int first, int last) {
    std::vector<ImportedMessage> messages;
    for (int n = first; n <= last; ++n) messages.push_back(Imported(n));
    return messages;
  }
  MailTransfer transfer;
};

TEST_F(TransferTest, WhatWentInComesOutTheSame) {
  absl::StatusOr<ImportCounts> counts = loop.Run(transfer.Import(alice, Several(1, 30)));
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->stored, 30);
  const MailboxId inbox = Info(alice, "INBOX").id;
  auto exported = loop.Run(transfer.Export(alice, inbox, 10));
  ASSERT_TRUE(exported.ok()) << exported.status();
  ASSERT_EQ(exported->size(), 20u);
  for (int i = 0; i < 20; ++i) {
    const ImportedMessage expected = Imported(11 + i);
    const ExportedMessage& message = (*exported)[static_cast<std::size_t>(i)];
    EXPECT_EQ(message.uid, static_cast<Uid>(11 + i));
    EXPECT_TRUE(message.complete);
    EXPECT_EQ(message.data, expected.data);
    EXPECT_EQ(message.flags, expected.flags);
    EXPECT_EQ(message.keywords, expected.keywords);
    EXPECT_EQ(message.received_at, expected.received_at);
  }
  EXPECT_TRUE(loop.Run(transfer.Export(alice, inbox, 30))->empty());
  EXPECT_EQ(FailureOf(loop.Run(transfer.Export(bob, inbox, 0)).status()), Failure::kNotFound);
  EXPECT_EQ(*loop.Run(transfer.Read(alice, inbox, 1, 9)), "1\r\n\r\ntext 1\r\n");
}

TEST_F(TransferTest, AKeyIsImportedOnceAlsoAfterItsMessageIsGone) {
  ASSERT_TRUE(loop.Run(transfer.Import(alice, Several(1, 5))).ok());
  absl::StatusOr<ImportCounts> again = loop.Run(transfer.Import(alice, Several(3, 8)));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->stored, 3);
  EXPECT_EQ(again->known, 3);
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(1, 99)}, false)).ok());
  Superuser("DELETE FROM mailbox.delivery");  // the queue forgets after days
  again = loop.Run(transfer.Import(alice, Several(1, 8)));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->stored, 0);
  // Another account has not seen them; and a stored message whose key got lost is a duplicate.
  EXPECT_EQ(loop.Run(transfer.Import(bob, Several(1, 8)))->stored, 8);
  Superuser("DELETE FROM mailbox.imported");
  EXPECT_EQ(loop.Run(transfer.Import(bob, Several(1, 8)))->stored, 0);
  EXPECT_EQ(Info(bob, "INBOX").messages, 8u);
  std::vector<ImportedMessage> twice = Several(20, 20);
  twice.push_back(Imported(20));
  EXPECT_EQ(loop.Run(transfer.Import(bob, std::move(twice)))->stored, 1);
  const std::vector<std::string> keys = {Imported(20).key, Imported(21).key};
  EXPECT_EQ(*loop.Run(transfer.Find(bob, keys)), (std::vector<bool>{true, false}));
  ExpectExactCounts();
}

TEST_F(TransferTest, OverQuotaImportsWhatFitsAndGoesOnLater) {
  const Account small =
      AddAccount("one", "one.test", "small@one.test", 3 * Imported(1).data.size() + 5);
  EXPECT_EQ(FailureOf(loop.Run(transfer.Import(small, Several(1, 5))).status()),
            Failure::kOverQuota);
  EXPECT_EQ(Info(small, "INBOX").messages, 3u);
  AccountChange change;
  change.quota_bytes = 0;
  ASSERT_TRUE(loop.Run(admin.SetAccount("small@one.test", change)).ok());
  absl::StatusOr<ImportCounts> rest = loop.Run(transfer.Import(small, Several(1, 5)));
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->stored, 2);
  EXPECT_EQ(rest->known, 3);
  ExpectExactCounts();
}

TEST_F(TransferTest, MailboxesAreMadeAndMustBeThere) {
  std::vector<ImportedMessage> lost(1, Imported(1, "a/b"));
  EXPECT_EQ(FailureOf(loop.Run(transfer.Import(alice, lost)).status()), Failure::kNoSuchMailbox);
  absl::StatusOr<MailboxInfo> made = loop.Run(transfer.Ensure(alice, "a/b", true));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(made->subscribed);
  EXPECT_EQ(loop.Run(transfer.Ensure(alice, "a/b", false))->id, made->id);
  EXPECT_EQ(loop.Run(transfer.Import(alice, lost))->stored, 1);
  EXPECT_EQ(Info(alice, "a/b").messages, 1u);
}

}  // namespace
}  // namespace posthorn::mailbox
