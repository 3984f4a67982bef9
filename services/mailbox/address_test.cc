#include "services/mailbox/address.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "services/mailbox/mailbox_name.h"

namespace posthorn::mailbox {
namespace {

// Base and tag, the longest base first.
std::string TagsOf(const DirectoryAddress& address, std::string_view separators) {
  std::string result;
  for (const DirectoryAddress::Tagged& tagged : address.WithoutTag(separators)) {
    result += tagged.base + "|" + tagged.tag + " ";
  }
  return result;
}

TEST(DirectoryAddressTest, ComparesWithoutCaseAndSpelling) {
  struct Row {
    const char* input;
    const char* want;  // "" is an error
    const char* tags;
  };
  const Row rows[] = {
      {"Alice@Example.TEST", "alice@example.test", ""},
      {"Alice+Lists@example.test", "alice+lists@example.test", "alice|lists "},
      {"alice+@example.test", "alice+@example.test", "alice| "},
      {"a+b+c@example.test", "a+b+c@example.test", "a+b|c a|b+c "},
      {"a+b+c+d+e@example.test", "a+b+c+d+e@example.test", "a+b+c+d|e a+b+c|d+e a+b|c+d+e "},
      {"+x@example.test", "+x@example.test", ""},
      {"\"alice\"@example.test", "alice@example.test", ""},
      {"\"a b\"@example.test", "\"a b\"@example.test", ""},
      {"\"a +b\"@example.test", "\"a +b\"@example.test", ""},
      {"\"u@remote\"@example.test", "\"u@remote\"@example.test", ""},
      {"u%remote@example.test", "u%remote@example.test", ""},
      // Composed and decomposed, either case; U-labels and A-labels.
      {"J\xC3\x96RG@example.test", "j\xC3\xB6rg@example.test", ""},
      {"jo\xCC\x88rg@example.test", "j\xC3\xB6rg@example.test", ""},
      {"a@B\xC3\xBC" "cher.example", "a@xn--bcher-kva.example", ""},
      {"a@bu\xCC\x88" "cher.example", "a@xn--bcher-kva.example", ""},
      {"a@XN--Bcher-kva.example", "a@xn--bcher-kva.example", ""},
      {"a@\xE4\xBE\x8B\xE3\x80\x82test", "a@xn--fsq.test", ""},
      {"a@\xFF.example", "", ""},
      {"alice", "", ""},
      {"@example.test", "", ""},
      {"a..b@example.test", "", ""},
      {"a b@example.test", "", ""},
      {"a@", "", ""},
      {"a@b..c", "", ""},
      {"a@[1.2.3.4]", "", ""},
  };
  for (const Row& row : rows) {
    absl::StatusOr<DirectoryAddress> address = ParseDirectoryAddress(row.input);
    ASSERT_EQ(address.ok(), *row.want != '\0') << row.input;
    if (!address.ok()) {
      EXPECT_EQ(FailureOf(address.status()), Failure::kBadAddress);
      continue;
    }
    EXPECT_EQ(address->ToString(), row.want);
    EXPECT_EQ(TagsOf(*address, "+"), row.tags) << row.input;
    EXPECT_EQ(TagsOf(*address, ""), "");
  }
  EXPECT_EQ(TagsOf(*ParseDirectoryAddress("mary-ann+x@a.test"), "+-"), "mary-ann|x mary|ann+x ");
}

TEST(DirectoryAddressTest, RemoteAddressesKeepTheirLocalPart) {
  EXPECT_EQ(*ParseRemoteAddress("Dave.X@B\xC3\xBC" "cher.Example"), "Dave.X@xn--bcher-kva.example");
  EXPECT_EQ(*ParseRemoteAddress("\"a b\"@X.example"), "\"a b\"@x.example");
  EXPECT_FALSE(ParseRemoteAddress("a").ok());
}

TEST(MailboxNameTest, KnowsWhatCanBeAName) {
  EXPECT_EQ(*CanonicalName("inbox"), "INBOX");
  EXPECT_EQ(*CanonicalName("Inbox/a"), "INBOX/a");
  EXPECT_EQ(*CanonicalName("Inboxes"), "Inboxes");
  EXPECT_EQ(*CanonicalName("a/b/"), "a/b");
  for (const char* bad : {"", "/", "/a", "a//b", "a\x01", "\xff", "a\x7f"}) {
    EXPECT_FALSE(CanonicalName(bad).ok()) << bad;
  }
  EXPECT_FALSE(CanonicalName(std::string(1001, 'a')).ok());
  EXPECT_EQ(ParentsOf("a/b/c"), (std::vector<std::string>{"a", "a/b"}));
}

}  // namespace
}  // namespace posthorn::mailbox
