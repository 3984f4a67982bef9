// Where addresses lead: domain aliases, catch-all, postmaster, suspension, quota, tags.
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "services/mailbox/store_test.h"
#include "services/mailbox/tag_mailboxes.h"

namespace posthorn::mailbox {
namespace {

using Kind = Resolution::Kind;

class AddressesTest : public StoreTest {
 protected:
  Resolution Resolve(const std::string& address) {
    absl::StatusOr<Resolution> r = loop.Run(directory.Resolve(address));
    EXPECT_TRUE(r.ok()) << address << ": " << r.status();
    return r.ok() ? *r : Resolution();
  }
  // The addresses of the targets, sorted, or the kind.
  std::string To(const std::string& address) {
    const Resolution r = Resolve(address);
    switch (r.kind) {
      case Kind::kNoSuchRecipient: return "unknown";
      case Kind::kRemote: return "remote";
      case Kind::kDisabled: return "disabled";
      case Kind::kDomainSuspended: return "suspended";
      case Kind::kLocal:
      case Kind::kList: break;
    }
    std::vector<std::string> names;
    for (const Resolution::Target& target : r.targets) {
      names.push_back(absl::StrCat(target.account ? "" : target.is_list ? "list " : "remote ",
                                   target.address));
    }
    std::sort(names.begin(), names.end());
    return absl::StrJoin(names, " ");
  }
  void AddAlias(const std::string& address, std::vector<std::string> targets) {
    absl::StatusOr<AliasRecord> r = loop.Run(admin.AddAlias(address, std::move(targets)));
    ASSERT_TRUE(r.ok()) << r.status();
  }
  absl::Status SetDomain(DomainChange change) {
    return loop.Run(admin.SetDomain("one.test", std::move(change))).status();
  }
  absl::Status CatchAll(const std::string& address) {
    DomainChange change;
    change.catch_all = address;
    return SetDomain(std::move(change));
  }
  absl::Status Postmaster(const std::string& address) {
    DomainChange change;
    change.postmaster = address;
    return SetDomain(std::move(change));
  }
  absl::Status Suspend(const std::string& address, bool suspended) {
    AccountChange change;
    change.suspended = suspended;
    return loop.Run(admin.SetAccount(address, change)).status();
  }
  absl::Status Tags(const std::string& address, TagMode mode) {
    AccountChange change;
    change.tag_mode = mode;
    return loop.Run(admin.SetAccount(address, change)).status();
  }

  TagMailboxes tags{*database, store, "+"};
};

TEST_F(AddressesTest, AnAliasOfADomainIsTheDomain) {
  ASSERT_TRUE(loop.Run(admin.AddDomainAlias("Alias.Test", "one.test")).ok());
  AddAlias("sales@one.test", {"alice@alias.test", "x@elsewhere.test"});
  EXPECT_EQ(To("ALICE@alias.test"), "alice@one.test");
  EXPECT_EQ(To("alice+tag@alias.test"), "alice+tag@one.test");
  EXPECT_EQ(To("sales@alias.test"), "alice@one.test remote x@elsewhere.test");
  EXPECT_EQ(To("nobody@alias.test"), "unknown");
  // An account has one name, whichever domain it was added in.
  ASSERT_TRUE(loop.Run(admin.AddAccount(NewAccount("Carl@alias.test", "secret word", 0))).ok());
  EXPECT_EQ(loop.Run(admin.GetAccount("carl@alias.test"))->address, "carl@one.test");
  absl::StatusOr<Login> login = loop.Run(directory.Authenticate("carl@alias.test", "secret word", "imap"));
  ASSERT_TRUE(login.ok()) << login.status();
  EXPECT_EQ(login->address, "carl@one.test");
  EXPECT_EQ(loop.Run(directory.AuthenticateIdentity("carl@alias.test"))->address, "carl@one.test");
  EXPECT_EQ(loop.Run(directory.GetScramParameters("carl@alias.test"))->salt,
            loop.Run(directory.GetScramParameters("carl@one.test"))->salt);
  EXPECT_EQ(loop.Run(directory.GetScramParameters("nobody@alias.test"))->salt,
            loop.Run(directory.GetScramParameters("nobody@one.test"))->salt);
  EXPECT_TRUE(loop.Run(directory.AuthorizeSender(login->account, "carl+x@alias.test")).ok());
  EXPECT_FALSE(loop.Run(directory.AuthorizeSender(login->account, "alice@alias.test")).ok());
  EXPECT_TRUE(loop.Run(directory.AuthorizeSender(Account(login->account.tenant, AccountId()),
                                                 "any@alias.test")).ok());

  EXPECT_EQ(loop.Run(admin.ListDomains("one", Page()))->size(), 1u);
  EXPECT_EQ(loop.Run(admin.ListDomainAliases("one.test", Page()))->at(0).name, "alias.test");
  const auto failure = [&](absl::Status status) { return FailureOf(status); };
  EXPECT_EQ(failure(loop.Run(admin.AddDomainAlias("alias.test", "one.test")).status()),
            Failure::kAlreadyExists);
  EXPECT_EQ(failure(loop.Run(admin.AddDomainAlias("b.test", "alias.test")).status()),
            Failure::kNotFound) << "aliases are not chained";
  EXPECT_EQ(failure(loop.Run(admin.AddDomain("one", "alias.test")).status()),
            Failure::kAlreadyExists);
  EXPECT_EQ(failure(loop.Run(admin.GetDomain("alias.test")).status()), Failure::kNotFound);
  EXPECT_EQ(failure(loop.Run(admin.RemoveDomain("alias.test"))), Failure::kNotFound);
  EXPECT_EQ(failure(loop.Run(admin.RemoveDomainAlias("one.test"))), Failure::kNotFound);
  ASSERT_TRUE(loop.Run(admin.RemoveDomainAlias("alias.test")).ok());
  EXPECT_EQ(To("alice@alias.test"), "remote");
}

TEST_F(AddressesTest, DomainsAndNamesCompareInEverySpelling) {
  ASSERT_TRUE(loop.Run(admin.AddDomain("one", "B\xC3\xBC" "cher.test")).ok());
  ASSERT_TRUE(
      loop.Run(admin.AddAccount(NewAccount("J\xC3\xB6rg@xn--bcher-kva.test", "", 0))).ok());
  const std::string want = "j\xC3\xB6rg@xn--bcher-kva.test";
  EXPECT_EQ(To("j\xC3\x96rg@b\xC3\xBC" "cher.test"), want);
  EXPECT_EQ(To("jo\xCC\x88rg@XN--Bcher-kva.test"), want);
  EXPECT_EQ(To("jorg@xn--bcher-kva.test"), "unknown");
}

TEST_F(AddressesTest, UnknownNamesGoWhereTheDomainCatchesAll) {
  EXPECT_EQ(To("nobody@one.test"), "unknown");
  EXPECT_EQ(FailureOf(CatchAll("missing@one.test")), Failure::kNotFound);
  ASSERT_TRUE(CatchAll("alice+all@one.test").ok());
  EXPECT_EQ(To("nobody@one.test"), "alice+all@one.test");
  EXPECT_EQ(To("u%remote@one.test"), "alice+all@one.test");
  EXPECT_EQ(To("bob@one.test"), "bob@one.test");
  AddAlias("old@one.test", {"gone@one.test"});
  EXPECT_EQ(To("old@one.test"), "alice+all@one.test");
  ASSERT_TRUE(CatchAll("Someone.Else@Elsewhere.test").ok());
  EXPECT_EQ(To("nobody@one.test"), "remote Someone.Else@elsewhere.test");
  // The account it named is gone: unknown again, and no loop.
  ASSERT_TRUE(CatchAll("bob@one.test").ok());
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("bob@one.test")).ok());
  EXPECT_EQ(To("nobody@one.test"), "unknown");
  ASSERT_TRUE(CatchAll("").ok());
  EXPECT_EQ(loop.Run(admin.GetDomain("one.test"))->catch_all, "");
}

TEST_F(AddressesTest, PostmasterAndAbuseAlwaysReachSomebody) {
  // By default the first account.
  for (const char* address : {"postmaster@one.test", "Abuse@one.test", "postmaster+x@one.test"}) {
    EXPECT_EQ(To(address), "alice@one.test") << address;
  }
  ASSERT_TRUE(Postmaster("bob@one.test").ok());
  EXPECT_EQ(To("abuse@one.test"), "bob@one.test");
  ASSERT_TRUE(CatchAll("alice@one.test").ok());
  EXPECT_EQ(To("abuse@one.test"), "bob@one.test") << "before the catch-all";
  ASSERT_TRUE(Suspend("bob@one.test", true).ok());
  EXPECT_EQ(To("abuse@one.test"), "alice@one.test");
  // An address of that name comes first, as long as it leads somewhere.
  AddAlias("abuse@one.test", {"bob@one.test", "team@elsewhere.test"});
  EXPECT_EQ(To("abuse@one.test"), "remote team@elsewhere.test");
  AddAlias("postmaster@one.test", {"bob@one.test"});
  EXPECT_EQ(To("postmaster@one.test"), "alice@one.test");
  DomainChange suspend;
  suspend.suspended = true;
  ASSERT_TRUE(SetDomain(suspend).ok());
  EXPECT_EQ(To("postmaster@one.test"), "alice@one.test");
  EXPECT_EQ(To("alice@one.test"), "suspended");
  EXPECT_EQ(FailureOf(Postmaster("missing@one.test")), Failure::kNotFound);
}

TEST_F(AddressesTest, SuspendedAccountsAndDomainsAreToldApart) {
  ASSERT_TRUE(loop.Run(admin.SetPassword("alice@one.test", "secret word")).ok());
  ASSERT_TRUE(loop.Run(admin.AddDomainAlias("alias.test", "one.test")).ok());
  AddAlias("only@one.test", {"alice@one.test"});
  AddAlias("both@one.test", {"alice@one.test", "bob@one.test"});
  // A session that began before the suspension sends nothing more.
  const auto sends = [&](AccountId account, const std::string& address) {
    return FailureOf(loop.Run(directory.AuthorizeSender(Account(alice.tenant, account), address)));
  };
  ASSERT_TRUE(loop.Run(directory.AuthorizeSender(alice, "alice@alias.test")).ok());
  ASSERT_TRUE(Suspend("alice@one.test", true).ok());
  EXPECT_EQ(sends(alice.account, "alice@one.test"), Failure::kAccountDisabled);
  EXPECT_EQ(To("alice@one.test"), "disabled");
  EXPECT_EQ(To("only@one.test"), "disabled");
  EXPECT_EQ(To("both@one.test"), "bob@one.test");
  EXPECT_FALSE(loop.Run(directory.Authenticate("alice@one.test", "secret word", "imap")).ok());
  ASSERT_TRUE(Suspend("alice@one.test", false).ok());
  EXPECT_EQ(To("alice@one.test"), "alice@one.test");
  EXPECT_TRUE(loop.Run(directory.Authenticate("alice@one.test", "secret word", "imap")).ok());

  DomainChange change;
  change.suspended = true;
  ASSERT_TRUE(SetDomain(change).ok());
  for (const char* address : {"alice@one.test", "nobody@one.test", "alice@alias.test"}) {
    EXPECT_EQ(To(address), "suspended") << address;
  }
  EXPECT_EQ(sends(alice.account, "alice@alias.test"), Failure::kDomainSuspended);
  EXPECT_EQ(sends(AccountId(), "any@one.test"), Failure::kDomainSuspended) << "with an API key";
  EXPECT_FALSE(loop.Run(directory.Authenticate("alice@one.test", "secret word", "imap")).ok());
  change.suspended = false;
  ASSERT_TRUE(SetDomain(change).ok());
  EXPECT_TRUE(loop.Run(directory.Authenticate("alice@alias.test", "secret word", "imap")).ok());
}

TEST_F(AddressesTest, TellsHowMuchRoomIsLeft) {
  EXPECT_FALSE(Resolve("alice@one.test").targets.at(0).room.has_value());
  AccountChange change;
  change.quota_bytes = 1000;
  ASSERT_TRUE(loop.Run(admin.SetAccount("alice@one.test", change)).ok());
  EXPECT_EQ(Resolve("alice@one.test").targets.at(0).room, 1000u);
  DeliverTo(alice, std::string(300, 'x'));
  const std::uint64_t used = loop.Run(admin.GetAccount("alice@one.test"))->used_bytes;
  EXPECT_EQ(Resolve("alice@one.test").targets.at(0).room, 1000 - used);
  change.quota_bytes = 100;
  ASSERT_TRUE(loop.Run(admin.SetAccount("alice@one.test", change)).ok());
  EXPECT_EQ(Resolve("alice@one.test").targets.at(0).room, 0u);
}

TEST_F(AddressesTest, AliasesThatLeadBackAreRefused) {
  const auto add = [&](const std::string& address, std::vector<std::string> targets) {
    return FailureOf(loop.Run(admin.AddAlias(address, std::move(targets))).status());
  };
  EXPECT_EQ(add("self@one.test", {"bob@one.test", "SELF@one.test"}), Failure::kInvalidArgument);
  AddAlias("a@one.test", {"b@one.test"});
  AddAlias("b@one.test", {"c@one.test"});
  EXPECT_EQ(add("c@one.test", {"a@one.test"}), Failure::kInvalidArgument);
  EXPECT_EQ(To("a@one.test"), "unknown");
  AddAlias("c@one.test", {"bob@one.test", "Dave@Elsewhere.test"});
  EXPECT_EQ(To("a@one.test"), "bob@one.test remote Dave@elsewhere.test");
  const auto set = [&](const std::string& address, std::vector<std::string> targets) {
    return FailureOf(loop.Run(admin.SetAlias(address, std::move(targets))).status());
  };
  EXPECT_EQ(set("c@one.test", {"alice@one.test", "a@one.test"}), Failure::kInvalidArgument);
  ASSERT_TRUE(loop.Run(admin.SetAlias("c@one.test", {"alice@one.test"})).ok());
  EXPECT_EQ(To("a@one.test"), "alice@one.test");
  EXPECT_EQ(set("c@one.test", {}), Failure::kInvalidArgument);
  EXPECT_EQ(set("missing@one.test", {"alice@one.test"}), Failure::kNotFound);
  EXPECT_EQ(set("bob@one.test", {"alice@one.test"}), Failure::kNotFound) << "an account is none";
}

TEST_F(AddressesTest, WideAliasesAreFollowedInBatches) {
  std::vector<std::string> targets;
  for (int i = 0; i < 900; ++i) targets.push_back(absl::StrCat("r", i, "@elsewhere.test"));
  targets.push_back("bob@one.test");
  AddAlias("wide@one.test", targets);
  EXPECT_EQ(Resolve("wide@one.test").targets.size(), 901u);
  AddAlias("wider@one.test", [&] {
    std::vector<std::string> more = {"wide@one.test"};
    for (int i = 0; i < 200; ++i) more.push_back(absl::StrCat("s", i, "@elsewhere.test"));
    return more;
  }());
  EXPECT_EQ(FailureOf(loop.Run(directory.Resolve("wider@one.test")).status()),
            Failure::kTooManyRecipients);
}

// The mailbox a tag leads to, "" for INBOX.
TEST_F(AddressesTest, TagsNameMailboxesWhereTheAccountWantsIt) {
  const auto mailbox = [&](const std::string& address) -> std::string {
    absl::StatusOr<MailboxId> id = loop.Run(tags.Find(alice, address));
    EXPECT_TRUE(id.ok()) << id.status();
    if (!id.ok() || !*id) return "";
    absl::StatusOr<MailboxList> list = loop.Run(store.List(alice));
    for (const MailboxInfo& info : list->mailboxes) {
      if (info.id == *id) return info.name;
    }
    return "?";
  };
  ASSERT_TRUE(loop.Run(store.Create(alice, "Lists", "")).ok());
  EXPECT_EQ(mailbox("alice+lists@one.test"), "") << "ignored by default";
  ASSERT_TRUE(Tags("alice@one.test", TagMode::kExisting).ok());
  EXPECT_EQ(mailbox("alice+lists@one.test"), "Lists");
  EXPECT_EQ(mailbox("alice+LISTS@one.test"), "Lists");
  EXPECT_EQ(mailbox("alice+other@one.test"), "");
  EXPECT_EQ(mailbox("alice@one.test"), "");
  EXPECT_EQ(mailbox("alice+@one.test"), "");
  EXPECT_EQ(mailbox("alice+inbox@one.test"), "INBOX");
  // Senders do not file into Sent or Trash.
  for (const char* special : {"sent", "trash", "drafts", "junk", "archive"}) {
    EXPECT_EQ(mailbox(absl::StrCat("alice+", special, "@one.test")), "") << special;
  }
  ASSERT_TRUE(Tags("alice@one.test", TagMode::kCreate).ok());
  EXPECT_EQ(mailbox("alice+other@one.test"), "other");
  EXPECT_EQ(mailbox("alice+a/b@one.test"), "a/b");
  EXPECT_EQ(mailbox("alice+/a@one.test"), "");
  EXPECT_EQ(mailbox("alice+a//b@one.test"), "");
  EXPECT_EQ(mailbox("alice+sent@one.test"), "");
  // Not this account's address: a catch-all or an alias led here.
  EXPECT_EQ(mailbox("bob+new@one.test"), "");
  EXPECT_EQ(loop.Run(admin.GetAccount("alice@one.test"))->tag_mode, TagMode::kCreate);
}

TEST_F(AddressesTest, ATagThatIsPartOfAnAddressIsNone) {
  TagMailboxes dashes(*database, store, "+-");
  AddAlias("team-red@one.test", {"alice@one.test"});
  ASSERT_TRUE(loop.Run(admin.AddAccount(NewAccount("mary-ann@one.test", "", 0))).ok())
      << "fine while only + begins a tag";
  AccountChange create;
  create.tag_mode = TagMode::kCreate;
  absl::StatusOr<AccountRecord> mary = loop.Run(admin.SetAccount("mary-ann@one.test", create));
  ASSERT_TRUE(mary.ok()) << mary.status();
  EXPECT_FALSE(*loop.Run(dashes.Find(mary->account, "mary-ann@one.test")));
  EXPECT_TRUE(*loop.Run(dashes.Find(mary->account, "mary-ann-tag@one.test")));
  EXPECT_TRUE(*loop.Run(dashes.Find(mary->account, "mary-ann+tag@one.test")));
  AdminStore strict(*database, passwords, "+-");
  EXPECT_EQ(FailureOf(loop.Run(strict.AddAccount(NewAccount("joe-x@one.test", "", 0))).status()),
            Failure::kBadAddress);
}

TEST_F(AddressesTest, ATaggedDeliveryIsStoredOnceWhateverTheMailbox) {
  ASSERT_TRUE(Tags("alice@one.test", TagMode::kCreate).ok());
  absl::StatusOr<MailboxId> box = loop.Run(tags.Find(alice, "alice+lists@one.test"));
  ASSERT_TRUE(box.ok() && *box);
  NewMessage message = Message(alice, "Subject: x\r\n\r\nx\r\n");
  message.mailbox = *box;
  ASSERT_TRUE(Deliver(message).ok());
  EXPECT_EQ(Info(alice, "lists").messages, 1u);
  // The same message again, now for INBOX.
  message.mailbox = MailboxId();
  absl::StatusOr<StoredMessage> again = Deliver(message);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(Info(alice, "INBOX").messages, 0u);
}

TEST_F(AddressesTest, ADomainNamesItsSmartHosts) {
  ASSERT_TRUE(loop.Run(admin.AddDomainAlias("alias.test", "one.test")).ok());
  const auto hosts = [&](TenantId tenant, const std::string& domain) {
    return loop.Run(directory.FindSmartHosts(tenant, domain))->hosts;
  };
  EXPECT_TRUE(hosts(alice.tenant, "one.test").empty());
  DomainChange change;
  change.smart_hosts =
      std::vector<std::string>{"Relay.Example:587", "192.0.2.1", "[2001:db8::1]:25"};
  ASSERT_TRUE(SetDomain(change).ok());
  const std::vector<std::string> want = {"relay.example:587", "192.0.2.1", "[2001:db8::1]:25"};
  EXPECT_EQ(hosts(alice.tenant, "One.test"), want);
  EXPECT_EQ(hosts(alice.tenant, "alias.test"), want);
  EXPECT_EQ(loop.Run(admin.GetDomain("one.test"))->smart_hosts, want);
  // Another tenant's is not there, nor is what is nobody's.
  EXPECT_TRUE(hosts(TenantId(424242), "one.test").empty());
  EXPECT_TRUE(hosts(alice.tenant, "elsewhere.test").empty());
  ASSERT_TRUE(CatchAll("alice@one.test").ok());
  EXPECT_EQ(hosts(alice.tenant, "one.test"), want) << "what is not named stays";
  for (const char* bad : {"", "a b", "host:", "host:0", "host:65536", "host:x", "[::1", "[x]:25",
                          "http://relay.example"}) {
    change.smart_hosts = std::vector<std::string>{bad};
    EXPECT_FALSE(SetDomain(change).ok()) << bad;
  }
  change.smart_hosts = std::vector<std::string>();
  ASSERT_TRUE(SetDomain(change).ok());
  EXPECT_TRUE(hosts(alice.tenant, "one.test").empty());
}

TEST_F(AddressesTest, TheLoginAtASmartHostIsTheDeliverysAlone) {
  DomainChange change;
  change.smart_hosts = std::vector<std::string>{"smtps://Relay.Example:465"};
  change.smart_host_username = "relay-user";
  change.smart_host_password = "relay-secret";
  change.smart_host_tls = "required";
  ASSERT_TRUE(SetDomain(change).ok());
  const auto found = loop.Run(directory.FindSmartHosts(alice.tenant, "one.test"));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->hosts, std::vector<std::string>{"smtps://relay.example:465"});
  EXPECT_EQ(found->username, "relay-user");
  EXPECT_EQ(found->password, "relay-secret");
  EXPECT_EQ(found->tls, "required");
  EXPECT_EQ(loop.Run(admin.GetDomain("one.test"))->smart_host_username, "relay-user");
  ASSERT_TRUE(CatchAll("alice@one.test").ok());
  EXPECT_EQ(loop.Run(directory.FindSmartHosts(alice.tenant, "one.test"))->password, "relay-secret")
      << "what is not named stays";
  DomainChange bad = change;
  bad.smart_host_password.clear();
  EXPECT_FALSE(SetDomain(bad).ok()) << "a name without a password";
  bad = change;
  bad.smart_host_tls = "off";
  EXPECT_FALSE(SetDomain(bad).ok()) << "a password in clear";
  change.smart_host_username = change.smart_host_password = change.smart_host_tls = "";
  ASSERT_TRUE(SetDomain(change).ok());
  EXPECT_EQ(loop.Run(directory.FindSmartHosts(alice.tenant, "one.test"))->password, "");
}

TEST_F(AddressesTest, AnotherTenantsSettingsReadAsNotFound) {
  AddAccount("two", "two.test", "carol@two.test");
  // What belongs to another tenant is a remote address to this one, and its names are not checked.
  AddAlias("out@one.test", {"carol@two.test", "nobody@two.test"});
  EXPECT_EQ(To("out@one.test"), "remote carol@two.test remote nobody@two.test");
  ASSERT_TRUE(CatchAll("carol@two.test").ok());
  EXPECT_EQ(To("x@one.test"), "remote carol@two.test");
  EXPECT_EQ(FailureOf(loop.Run(admin.SetDomain("three.test", DomainChange())).status()),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(admin.SetAccount("x@three.test", AccountChange())).status()),
            Failure::kNotFound);
}

}  // namespace
}  // namespace posthorn::mailbox
