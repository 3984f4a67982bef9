#include <gtest/gtest.h>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class DirectoryTest : public StoreTest {
 protected:
  Resolution Resolve(const std::string& address) {
    absl::StatusOr<Resolution> r = loop.Run(directory.Resolve(address));
    EXPECT_TRUE(r.ok()) << address << ": " << r.status();
    return r.ok() ? *r : Resolution();
  }
  void AddAlias(const std::string& address, std::vector<std::string> targets) {
    absl::StatusOr<AliasRecord> r = loop.Run(admin.AddAlias(address, std::move(targets)));
    ASSERT_TRUE(r.ok()) << r.status();
  }
};

TEST_F(DirectoryTest, NewAccountsHaveTheirMailboxes) {
  absl::StatusOr<MailboxList> list = loop.Run(store.List(alice));
  ASSERT_TRUE(list.ok()) << list.status();
  std::vector<std::pair<std::string, std::string>> got;
  for (const MailboxInfo& info : list->mailboxes) {
    got.emplace_back(info.name, info.special_use);
    EXPECT_TRUE(info.subscribed) << info.name;
    EXPECT_NE(info.uid_validity, 0u);
  }
  EXPECT_EQ(got, (std::vector<std::pair<std::string, std::string>>{{"Archive", "\\Archive"},
                                                                   {"Drafts", "\\Drafts"},
                                                                   {"INBOX", ""},
                                                                   {"Junk", "\\Junk"},
                                                                   {"Sent", "\\Sent"},
                                                                   {"Trash", "\\Trash"}}));
}

TEST_F(DirectoryTest, ResolvesAccountsTagsAndUnknownNames) {
  for (const char* address : {"alice@one.test", "ALICE@One.Test", "alice+tag@one.test",
                              "alice+@one.test", "\"alice\"@one.test"}) {
    const Resolution r = Resolve(address);
    ASSERT_EQ(r.kind, Resolution::Kind::kLocal) << address;
    ASSERT_EQ(r.targets.size(), 1u);
    EXPECT_EQ(r.targets[0].account, alice.account);
    EXPECT_EQ(r.tenant, alice.tenant);
  }
  EXPECT_EQ(Resolve("nobody@one.test").kind, Resolution::Kind::kNoSuchRecipient);
  EXPECT_EQ(Resolve("u%remote@one.test").kind, Resolution::Kind::kNoSuchRecipient);
  EXPECT_EQ(Resolve("x@elsewhere.test").kind, Resolution::Kind::kRemote);
  EXPECT_EQ(FailureOf(loop.Run(directory.Resolve("nonsense")).status()), Failure::kBadAddress);
  Superuser("UPDATE directory.account SET disabled = true");
  EXPECT_EQ(Resolve("alice@one.test").kind, Resolution::Kind::kDisabled);
}

// As two administrators at once could: the check of AddAlias sees one at a time.

TEST_F(DirectoryTest, FollowsAliasesWithoutLoopingAndOncePerAccount) {
  AddAlias("team@one.test", {"alice@one.test", "crew@one.test", "x@elsewhere.test"});
  AddAlias("crew@one.test", {"bob+crew@one.test", "Alice@one.test"});
  Superuser("UPDATE directory.address SET targets = targets || '{team@one.test}'"
            " WHERE address = 'crew@one.test'");
  const Resolution r = Resolve("team@one.test");
  ASSERT_EQ(r.kind, Resolution::Kind::kLocal);
  ASSERT_EQ(r.targets.size(), 3u);
  EXPECT_EQ(r.targets[0].account, alice.account);
  EXPECT_EQ(r.targets[1].address, "x@elsewhere.test");
  EXPECT_FALSE(r.targets[1].account);
  EXPECT_EQ(r.targets[2].account, bob.account);
  AddAlias("self@one.test", {"bob@one.test"});
  Superuser("UPDATE directory.address SET targets = '{self@one.test}'"
            " WHERE address = 'self@one.test'");
  EXPECT_EQ(FailureOf(loop.Run(directory.Resolve("self@one.test")).status()), Failure::kMailLoop);
  for (int i = 0; i < 15; ++i) {
    AddAlias(absl::StrCat("deep", i, "@one.test"), {absl::StrCat("deep", i + 1, "@one.test")});
  }
  EXPECT_EQ(FailureOf(loop.Run(directory.Resolve("deep0@one.test")).status()), Failure::kMailLoop);
  // Another tenant's account is outside mail.
  AddAccount("two", "two.test", "carol@two.test");
  AddAlias("out@one.test", {"carol@two.test"});
  const Resolution out = Resolve("out@one.test");
  ASSERT_EQ(out.targets.size(), 1u);
  EXPECT_FALSE(out.targets[0].account);
}

TEST_F(DirectoryTest, ChecksPasswordsAndForgetsOldOnesAtOnce) {
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "first secret")).ok());
  for (int i = 0; i < 2; ++i) {  // the second time from memory
    absl::StatusOr<Login> login = loop.Run(directory.Authenticate("Alice@one.test", "first secret", "imap"));
    ASSERT_TRUE(login.ok()) << login.status();
    EXPECT_EQ(login->account.account, alice.account);
    EXPECT_EQ(login->address, "alice@one.test");
  }
  for (const auto& [name, password] : std::vector<std::pair<std::string, std::string>>{
           {"alice@one.test", "wrong"}, {"alice@one.test", ""}, {"nobody@one.test", "first secret"},
           {"bob@one.test", ""}, {"bob@one.test", "first secret"}, {"garbage", "x"}}) {
    EXPECT_EQ(FailureOf(loop.Run(directory.Authenticate(name, password, "imap")).status()),
              Failure::kAuthenticationFailed) << name;
  }
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "second secret")).ok());
  EXPECT_FALSE(loop.Run(directory.Authenticate("alice@one.test", "first secret", "imap")).ok());
  EXPECT_TRUE(loop.Run(directory.Authenticate("alice@one.test", "second secret", "imap")).ok());
  Superuser("UPDATE directory.account SET disabled = true");
  EXPECT_FALSE(loop.Run(directory.Authenticate("alice@one.test", "second secret", "imap")).ok());
}

TEST_F(DirectoryTest, KeysLetInUntilTheyAreRemoved) {
  auto added = loop.Run(admin.AddKey("one", "test key"));
  ASSERT_TRUE(added.ok()) << added.status();
  absl::StatusOr<KeyLogin> login = loop.Run(directory.AuthenticateKey(added->second));
  ASSERT_TRUE(login.ok()) << login.status();
  EXPECT_EQ(login->tenant, alice.tenant);
  EXPECT_EQ(login->key, added->first.key);
  EXPECT_FALSE(loop.Run(directory.AuthenticateKey(added->second + "x")).ok());
  EXPECT_EQ(loop.Run(admin.ListKeys("one", Page()))->size(), 1u);
  ASSERT_TRUE(loop.Run(admin.RemoveKey(added->first.key)).ok());
  EXPECT_EQ(FailureOf(loop.Run(directory.AuthenticateKey(added->second)).status()),
            Failure::kAuthenticationFailed);
}

TEST_F(DirectoryTest, SendersUseTheirOwnAddresses) {
  AddAlias("sales@one.test", {"alice@one.test"});
  const auto allowed = [&](Account account, const std::string& address) {
    return loop.Run(directory.AuthorizeSender(account, address)).ok();
  };
  EXPECT_TRUE(allowed(alice, "alice@one.test"));
  EXPECT_TRUE(allowed(alice, "alice+x@one.test"));
  EXPECT_TRUE(allowed(alice, "sales@one.test"));
  EXPECT_TRUE(allowed(alice, ""));
  EXPECT_FALSE(allowed(alice, "bob@one.test"));
  EXPECT_FALSE(allowed(bob, "sales@one.test"));
  EXPECT_FALSE(allowed(alice, "x@elsewhere.test"));
  const Account key(alice.tenant, AccountId());
  EXPECT_TRUE(allowed(key, "anything@one.test"));
  EXPECT_FALSE(allowed(key, "anything@two.test"));
}

TEST_F(DirectoryTest, RemovesOnlyWhatIsEmptyAndAccountsWithTheirMail) {
  DeliverTo(alice, "x");
  EXPECT_EQ(FailureOf(loop.Run(admin.RemoveTenant("one"))), Failure::kInvalidArgument);
  EXPECT_EQ(FailureOf(loop.Run(admin.RemoveDomain("one.test"))), Failure::kInvalidArgument);
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("alice@one.test")).ok());
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("bob@one.test")).ok());
  EXPECT_EQ(FailureOf(loop.Run(admin.RemoveAccount("bob@one.test"))), Failure::kNotFound);
  for (const char* table : {"mailbox", "email", "entry", "delivery", "account", "subscription"}) {
    EXPECT_EQ(Superuser(absl::StrCat("SELECT count(*) FROM mailbox.", table)).Int(0, 0), 0) << table;
  }
  ASSERT_TRUE(loop.Run(admin.RemoveDomain("one.test")).ok());
  ASSERT_TRUE(loop.Run(admin.RemoveTenant("one")).ok());
  ExpectExactCounts();
}

TEST_F(DirectoryTest, ImportsInOneTransactionAndReportsWhatExists) {
  std::vector<NewAccount> accounts;
  accounts.emplace_back("new@one.test", "", 0);
  accounts.emplace_back("alice@one.test", "", 0);
  accounts.emplace_back("new@one.test", "", 0);
  accounts.emplace_back("x@nowhere.test", "", 0);
  accounts.emplace_back("broken", "", 0);
  auto statuses = loop.Run(admin.ImportAccounts(accounts, std::vector<PasswordRecord>(5),
                                                std::vector<absl::Status>(5)));
  ASSERT_TRUE(statuses.ok()) << statuses.status();
  EXPECT_TRUE((*statuses)[0].ok());
  EXPECT_EQ(FailureOf((*statuses)[1]), Failure::kAlreadyExists);
  EXPECT_EQ(FailureOf((*statuses)[2]), Failure::kAlreadyExists);
  EXPECT_EQ(FailureOf((*statuses)[3]), Failure::kNotFound);
  EXPECT_EQ(FailureOf((*statuses)[4]), Failure::kBadAddress);
  EXPECT_EQ(loop.Run(admin.ListAccounts("one.test", Page()))->size(), 3u);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddTenant("one")).status()), Failure::kAlreadyExists);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddDomain("one", "one.test")).status()),
            Failure::kAlreadyExists);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddAlias("alice@one.test", {"bob@one.test"})).status()),
            Failure::kAlreadyExists);
}

}  // namespace
}  // namespace posthorn::mailbox
