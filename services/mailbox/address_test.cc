#include "services/mailbox/address.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "services/mailbox/mailbox_name.h"

namespace posthorn::mailbox {
namespace {

TEST(DirectoryAddressTest, ComparesWithoutCaseAndTag) {
  struct Row {
    const char* input;
    const char* want;         // "" is an error
    const char* without_tag;
  };
  const Row rows[] = {
      {"Alice@Example.TEST", "alice@example.test", "alice@example.test"},
      {"alice+lists@example.test", "alice+lists@example.test", "alice@example.test"},
      {"alice+@example.test", "alice+@example.test", "alice@example.test"},
      {"+x@example.test", "+x@example.test", "+x@example.test"},
      {"\"alice\"@example.test", "alice@example.test", "alice@example.test"},
      {"\"a b\"@example.test", "\"a b\"@example.test", "\"a b\"@example.test"},
      {"\"u@remote\"@example.test", "\"u@remote\"@example.test", "\"u@remote\"@example.test"},
      {"u%remote@example.test", "u%remote@example.test", "u%remote@example.test"},
      {"D\xc3\x96mi+x@B\xc3\xbc" "cher.Test", "d\xc3\xb6mi+x@xn--bcher-kva.test",
       "d\xc3\xb6mi@xn--bcher-kva.test"},
      {"DO\xcc\x88mi@XN--Bcher-KVA.test", "d\xc3\xb6mi@xn--bcher-kva.test",
       "d\xc3\xb6mi@xn--bcher-kva.test"},
      {"\xff@example.test", "", ""},
      {"a@\xe2\x80\x8b.test", "", ""},
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
    EXPECT_EQ(address->WithoutTag(), row.without_tag);
  }
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
