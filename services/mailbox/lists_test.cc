// Distribution lists: who may post, whom they reach, who sees the members.
#include <gtest/gtest.h>

#include <algorithm>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class ListsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    carol = AddAccount("two", "two.test", "carol@two.test");
    dora = AddAccount("one", "one.test", "dora@one.test");
    AddList("team@one.test", ListPosting::kMembers);
  }

  void AddList(const std::string& address, ListPosting posting,
               ListVisibility visibility = ListVisibility::kOwners) {
    ListChange settings;
    settings.owners.emplace(1, "alice@one.test");
    settings.posting = posting;
    settings.visibility = visibility;
    absl::StatusOr<ListRecord> r = loop.Run(admin.AddList(address, settings));
    ASSERT_TRUE(r.ok()) << r.status();
  }
  absl::StatusOr<std::int64_t> Join(const std::string& list, std::vector<std::string> members) {
    return loop.Run(admin.AddListMembers(list, std::move(members)));
  }
  bool MayPost(const std::string& list, const std::string& sender, TenantId proven) {
    const absl::Status status = loop.Run(directory.AuthorizePost(list, sender, proven));
    if (!status.ok()) {
      EXPECT_EQ(FailureOf(status), Failure::kPostNotAllowed) << sender;
    }
    return status.ok();
  }
  std::vector<std::string> Reach(const std::string& list) {
    absl::StatusOr<ListExpansion> expansion = loop.Run(directory.ExpandList(list));
    EXPECT_TRUE(expansion.ok()) << expansion.status();
    std::vector<std::string> addresses;
    if (!expansion.ok()) return addresses;
    for (const Resolution::Target& target : expansion->targets) addresses.push_back(target.address);
    std::sort(addresses.begin(), addresses.end());
    return addresses;
  }

  Account carol;
  Account dora;
};

TEST_F(ListsTest, AListIsATargetOfItsOwnKind) {
  absl::StatusOr<Resolution> r = loop.Run(directory.Resolve("Team@one.test"));
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->kind, Resolution::Kind::kList);
  ASSERT_EQ(r->targets.size(), 1u);
  EXPECT_TRUE(r->targets[0].is_list);
  EXPECT_EQ(r->targets[0].address, "team@one.test");
  ASSERT_TRUE(loop.Run(admin.AddAlias("all@one.test", {"bob@one.test", "team@one.test"})).ok());
  r = loop.Run(directory.Resolve("all@one.test"));
  EXPECT_EQ(r->kind, Resolution::Kind::kList);
  EXPECT_EQ(r->targets.size(), 2u);
  // It is no alias to administrators.
  EXPECT_EQ(loop.Run(admin.ListAliases("one.test", Page()))->size(), 1u);
  EXPECT_EQ(FailureOf(loop.Run(admin.GetAlias("team@one.test")).status()), Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddAccount(NewAccount("team@one.test", "", 0))).status()),
            Failure::kAlreadyExists);
}

TEST_F(ListsTest, HasAWholeLife) {
  ListChange change;
  change.description = "The team";
  change.owners = std::vector<std::string>{"Owner.X@Elsewhere.test", "bob@one.test"};
  change.posting = ListPosting::kSenders;
  change.senders = std::vector<std::string>{"@Partner.test", "Someone@else.test"};
  absl::StatusOr<ListRecord> list = loop.Run(admin.SetList("team@one.test", change));
  ASSERT_TRUE(list.ok()) << list.status();
  list = loop.Run(admin.GetList("TEAM@one.test"));
  EXPECT_EQ(list->description, "The team");
  EXPECT_EQ(list->bounces, "Owner.X@elsewhere.test");
  EXPECT_EQ(list->owners, (std::vector<std::string>{"owner.x@elsewhere.test", "bob@one.test"}));
  EXPECT_EQ(list->senders, (std::vector<std::string>{"@partner.test", "someone@else.test"}));
  EXPECT_EQ(*Join("team@one.test", {"bob@one.test", "X.Y@elsewhere.test", "BOB@one.test"}), 2);
  EXPECT_EQ(*Join("team@one.test", {"x.y@Elsewhere.test"}), 0) << "the same to us";
  EXPECT_EQ(loop.Run(admin.GetList("team@one.test"))->members, 2);
  EXPECT_EQ(*loop.Run(admin.ListMembers("team@one.test", Page())),
            (std::vector<std::string>{"bob@one.test", "X.Y@elsewhere.test"}));
  EXPECT_EQ(*loop.Run(admin.ListMembers("team@one.test", Page(10, "bob@one.test"))),
            (std::vector<std::string>{"X.Y@elsewhere.test"}));
  EXPECT_EQ(*loop.Run(admin.RemoveListMembers("team@one.test",
                                              {"x.y@elsewhere.test", "no@one.test"})), 1);
  EXPECT_EQ(loop.Run(admin.ListLists("one.test", Page()))->size(), 1u);
  EXPECT_EQ(FailureOf(loop.Run(admin.RemoveDomain("one.test"))), Failure::kInvalidArgument);
  ASSERT_TRUE(loop.Run(admin.RemoveList("team@one.test")).ok());
  EXPECT_EQ(FailureOf(loop.Run(admin.GetList("team@one.test")).status()), Failure::kNotFound);
  EXPECT_EQ(Superuser("SELECT count(*) FROM directory.list_member").Int(0, 0), 0);
  EXPECT_EQ(loop.Run(directory.Resolve("team@one.test"))->kind,
            Resolution::Kind::kNoSuchRecipient);
}

TEST_F(ListsTest, WhatIsWrongIsNotStored) {
  ListChange settings;
  EXPECT_EQ(FailureOf(loop.Run(admin.AddList("x@one.test", settings)).status()),
            Failure::kInvalidArgument) << "no owner";
  settings.owners = std::vector<std::string>{"missing@one.test"};
  EXPECT_EQ(FailureOf(loop.Run(admin.AddList("x@one.test", settings)).status()),
            Failure::kNotFound);
  settings.owners = std::vector<std::string>{"bob@one.test"};
  EXPECT_EQ(FailureOf(loop.Run(admin.AddList("bob@one.test", settings)).status()),
            Failure::kAlreadyExists);
  EXPECT_EQ(FailureOf(loop.Run(admin.AddList("x@nowhere.test", settings)).status()),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(Join("team@one.test", {"bob@one.test", "missing@one.test"}).status()),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(Join("team@one.test", {"bob@one.test", "broken"}).status()),
            Failure::kBadAddress);
  EXPECT_EQ(loop.Run(admin.GetList("team@one.test"))->members, 0) << "all or none";
  // Lists may be members of lists, not of themselves.
  AddList("inner@one.test", ListPosting::kOwners);
  ASSERT_TRUE(Join("team@one.test", {"inner@one.test"}).ok());
  EXPECT_EQ(FailureOf(Join("team@one.test", {"team@one.test"}).status()),
            Failure::kInvalidArgument);
  EXPECT_EQ(FailureOf(Join("inner@one.test", {"team@one.test"}).status()),
            Failure::kInvalidArgument);
}

TEST_F(ListsTest, WhoMayPostIsTheListsRule) {
  ASSERT_TRUE(
      Join("team@one.test", {"bob@one.test", "carol@two.test", "Xaver@elsewhere.test"}).ok());
  ASSERT_TRUE(loop.Run(admin.AddAlias("sales@one.test", {"bob@one.test"})).ok());
  ASSERT_TRUE(loop.Run(admin.AddDomainAlias("alias.test", "one.test")).ok());
  const TenantId one = alice.tenant;
  const TenantId two = carol.tenant;
  const TenantId none;
  struct Row {
    const char* name;
    const char* sender;
    TenantId proven;
    // In the order of ListPosting.
    bool anyone, tenant, members, owners, senders;
  };
  const Row rows[] = {
      {"the owner", "alice@one.test", one, true, true, true, true, true},
      {"the owner with a tag", "Alice+x@one.test", one, true, true, true, true, true},
      {"the owner in an alias of the domain", "alice@alias.test", one, true, true, true, true,
       true},
      {"the owner's name from outside", "alice@one.test", none, true, false, false, false, false},
      {"the owner's name by another tenant", "alice@one.test", two, true, false, false, false,
       false},
      {"a member", "bob@one.test", one, true, true, true, false, false},
      {"a member's name from outside", "bob@one.test", none, true, false, false, false, false},
      {"an account that is none", "dora@one.test", one, true, true, false, false, false},
      {"a name of the tenant's without account", "nobody@one.test", one, true, true, false, false,
       false},
      {"a member of another tenant", "carol@two.test", two, true, false, true, false, false},
      {"the same from outside", "carol@two.test", none, true, false, false, false, false},
      {"a remote member", "xaver@elsewhere.test", none, true, false, true, false, false},
      {"a remote member through a login", "xaver@elsewhere.test", one, true, false, true, false,
       false},
      {"a stranger", "x@elsewhere.test", none, true, false, false, false, false},
      {"a named sender", "news@partner.test", none, true, false, false, false, true},
      {"nobody", "", one, false, false, false, false, false},
  };
  const ListPosting postings[] = {ListPosting::kAnyone, ListPosting::kTenant, ListPosting::kMembers,
                                  ListPosting::kOwners, ListPosting::kSenders};
  for (const ListPosting posting : postings) {
    ListChange change;
    change.posting = posting;
    change.senders = std::vector<std::string>{"@partner.test"};
    ASSERT_TRUE(loop.Run(admin.SetList("team@one.test", change)).ok());
    for (const Row& row : rows) {
      const bool wants[] = {row.anyone, row.tenant, row.members, row.owners, row.senders};
      const bool want = wants[static_cast<int>(posting)];
      EXPECT_EQ(MayPost("team@one.test", row.sender, row.proven), want)
          << row.name << ", posting " << static_cast<int>(posting);
      EXPECT_EQ(MayPost("Team@Alias.test", row.sender, row.proven), want) << row.name;
    }
  }
  EXPECT_EQ(FailureOf(loop.Run(directory.AuthorizePost("no@one.test", "a@b.test", none))),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(directory.AuthorizePost("bob@one.test", "a@b.test", none))),
            Failure::kNotFound);
}

TEST_F(ListsTest, MembersOfAListThatIsAMemberAreMembers) {
  AddList("inner@one.test", ListPosting::kOwners);
  AddList("innermost@one.test", ListPosting::kOwners);
  ASSERT_TRUE(Join("innermost@one.test", {"dora@one.test"}).ok());
  ASSERT_TRUE(Join("inner@one.test", {"innermost@one.test", "bob@one.test"}).ok());
  ASSERT_TRUE(Join("team@one.test", {"inner@one.test", "alice@one.test"}).ok());
  EXPECT_TRUE(MayPost("team@one.test", "dora@one.test", alice.tenant));
  EXPECT_FALSE(MayPost("innermost@one.test", "bob@one.test", alice.tenant));
  EXPECT_EQ(Reach("team@one.test"),
            (std::vector<std::string>{"alice@one.test", "bob@one.test", "dora@one.test"}));
}

TEST_F(ListsTest, ReachesEachOnceThroughAliasesListsAndTags) {
  AddList("inner@one.test", ListPosting::kOwners);
  ASSERT_TRUE(loop.Run(admin.AddAlias("crew@one.test", {"bob@one.test", "x@elsewhere.test"})).ok());
  ASSERT_TRUE(Join("inner@one.test", {"alice@one.test", "Y@elsewhere.test"}).ok());
  ASSERT_TRUE(Join("team@one.test", {"crew@one.test", "inner@one.test", "bob+lists@one.test",
                                     "carol@two.test", "y@elsewhere.test"}).ok());
  // Two written down as a loop, as two administrators at once could.
  Superuser("INSERT INTO directory.list_member (tenant_id, list, member, address)"
            " SELECT tenant_id, 'inner@one.test', 'team@one.test', 'team@one.test'"
            " FROM directory.list WHERE address = 'inner@one.test'");
  const std::vector<std::string> reached = Reach("team@one.test");
  EXPECT_EQ(reached,
            (std::vector<std::string>{"alice@one.test", "bob+lists@one.test", "carol@two.test",
                                      "x@elsewhere.test", "y@elsewhere.test"}));
  absl::StatusOr<ListExpansion> expansion = loop.Run(directory.ExpandList("TEAM@one.test"));
  EXPECT_EQ(expansion->bounces, "alice@one.test");
  EXPECT_EQ(expansion->address, "team@one.test");
  EXPECT_EQ(expansion->tenant, alice.tenant);
  for (const Resolution::Target& target : expansion->targets) {
    EXPECT_EQ(static_cast<bool>(target.account), target.address.ends_with("@one.test"))
        << target.address;
  }
  // A member that is suspended or gone is left out.
  AccountChange suspend;
  suspend.suspended = true;
  ASSERT_TRUE(loop.Run(admin.SetAccount("alice@one.test", suspend)).ok());
  EXPECT_EQ(Reach("team@one.test").size(), 4u);
  EXPECT_EQ(FailureOf(loop.Run(directory.ExpandList("bob@one.test")).status()), Failure::kNotFound);
}

TEST_F(ListsTest, HasTensOfThousandsOfMembers) {
  for (int batch = 0; batch < 3; ++batch) {
    std::vector<std::string> members;
    for (int i = 0; i < 5000; ++i) {
      members.push_back(absl::StrCat("m", batch * 5000 + i, "@elsewhere", i % 7, ".test"));
    }
    EXPECT_EQ(*Join("team@one.test", members), 5000);
  }
  ASSERT_TRUE(Join("team@one.test", {"bob@one.test"}).ok());
  EXPECT_EQ(Reach("team@one.test").size(), 15001u);
  EXPECT_TRUE(MayPost("team@one.test", "m14999@elsewhere1.test", TenantId()));
  Superuser("INSERT INTO directory.list_member (tenant_id, list, member, address)"
            " SELECT l.tenant_id, l.address, m, m FROM directory.list l,"
            " LATERAL (SELECT 'n' || n || '@x.test' AS m FROM generate_series(1, 84998) n) g"
            " WHERE l.address = 'team@one.test'");
  EXPECT_TRUE(Join("team@one.test", {"dora@one.test"}).ok());
  EXPECT_EQ(FailureOf(Join("team@one.test", {"alice@one.test"}).status()),
            Failure::kInvalidArgument);
}

TEST_F(ListsTest, MembersAreShownToThoseWhoMaySeeThem) {
  ASSERT_TRUE(Join("team@one.test", {"bob@one.test", "X@elsewhere.test"}).ok());
  ASSERT_TRUE(loop.Run(admin.AddAlias("crew@one.test", {"bob@one.test", "X@elsewhere.test"})).ok());
  const std::pair<ListVisibility, std::vector<bool>> rows[] = {
      // alice owns the list, bob is a member, dora neither.
      {ListVisibility::kOwners, {true, false, false}},
      {ListVisibility::kMembers, {true, true, false}},
      {ListVisibility::kTenant, {true, true, true}},
  };
  const Account who[] = {alice, bob, dora};
  for (const auto& [visibility, wants] : rows) {
    ListChange change;
    change.visibility = visibility;
    ASSERT_TRUE(loop.Run(admin.SetList("team@one.test", change)).ok());
    for (int i = 0; i < 3; ++i) {
      absl::StatusOr<ShownMembers> shown = loop.Run(directory.ShowMembers(who[i], "team@one.test"));
      EXPECT_EQ(shown.ok(), wants[static_cast<std::size_t>(i)]) << i;
      if (shown.ok()) {
        EXPECT_EQ(shown->members, (std::vector<std::string>{"bob@one.test", "X@elsewhere.test"}));
        EXPECT_EQ(shown->total, 2);
      } else {
        EXPECT_EQ(FailureOf(shown.status()), Failure::kPermissionDenied);
      }
    }
    // Another tenant's list is not there.
    EXPECT_EQ(FailureOf(loop.Run(directory.ShowMembers(carol, "team@one.test")).status()),
              Failure::kNotFound);
  }
  EXPECT_EQ(loop.Run(directory.ShowMembers(dora, "crew@one.test"))->members.size(), 2u);
  EXPECT_EQ(FailureOf(loop.Run(directory.ShowMembers(carol, "crew@one.test")).status()),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(directory.ShowMembers(alice, "bob@one.test")).status()),
            Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(directory.ShowMembers(alice, "no@one.test")).status()),
            Failure::kNotFound);
}

}  // namespace
}  // namespace posthorn::mailbox
