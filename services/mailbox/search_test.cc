#include "services/mailbox/search.h"

#include <gtest/gtest.h>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class SearchTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    DeliverTo(alice,
              "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: Eve <eve@x.test>\r\n"
              "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nplain needle\r\n");
    DeliverTo(alice,
              "Subject: other\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: base64\r\n\r\nSGlkZGVuIE5lZWRsZQ==\r\n");
    DeliverTo(alice, "Subject: third\r\nDate: nonsense\r\n\r\nnothing\r\n");
    inbox = Info(alice, "INBOX").id;
  }

  std::vector<Uid> Find(SearchKey key) {
    absl::StatusOr<std::vector<Uid>> uids =
        loop.Run(Search(bodies, alice, inbox, {UidRange(1, 100)}, std::move(key)));
    EXPECT_TRUE(uids.ok()) << uids.status();
    return uids.ok() ? *uids : std::vector<Uid>();
  }
  static SearchKey Text(SearchKey::Kind kind, const std::string& value) {
    SearchKey key;
    key.kind = kind;
    key.value = value;
    return key;
  }
  static SearchKey Header(const std::string& name, const std::string& value) {
    SearchKey key = Text(SearchKey::Kind::kHeader, value);
    key.header_name = name;
    return key;
  }
  static SearchKey Sent(SearchKey::Relation relation, int day) {
    SearchKey key;
    key.kind = SearchKey::Kind::kSent;
    key.relation = relation;
    key.days_since_epoch = day;
    return key;
  }
  static SearchKey Group(SearchKey::Kind kind, std::vector<SearchKey> keys) {
    SearchKey key;
    key.kind = kind;
    key.keys = std::move(keys);
    return key;
  }

  MailboxId inbox;
};

using Uids = std::vector<Uid>;

TEST_F(SearchTest, HeadersAreDecodedAndComparedWithoutCase) {
  EXPECT_EQ(Find(Header("subject", "gr\xc3\x9c\xc3\x9f" "e")), (Uids{1}));
  EXPECT_EQ(Find(Header("Subject", "GRu\xcc\x88\xc3\x9f" "E")), (Uids{1}));
  // By i;unicode-casemap (RFC 5051): a sharp s is no two of them.
  EXPECT_EQ(Find(Header("Subject", "GR\xc3\xbcSSE")), (Uids{}));
  EXPECT_EQ(Find(Header("From", "EVE@")), (Uids{1}));
  EXPECT_EQ(Find(Header("From", "")), (Uids{1}));
  EXPECT_EQ(Find(Header("Subject", "")), (Uids{1, 2, 3}));
  EXPECT_EQ(Find(Header("Return-Path", "<>")), (Uids{1, 2, 3}));
}

TEST_F(SearchTest, BodiesAreDecoded) {
  EXPECT_EQ(Find(Text(SearchKey::Kind::kBody, "NEEDLE")), (Uids{1, 2}));
  EXPECT_EQ(Find(Text(SearchKey::Kind::kBody, "eve")), (Uids{}));
  EXPECT_EQ(Find(Text(SearchKey::Kind::kText, "eve")), (Uids{1}));
  EXPECT_EQ(Find(Text(SearchKey::Kind::kText, "third")), (Uids{3}));
  EXPECT_EQ(Find(Text(SearchKey::Kind::kText, "return-path")), (Uids{1, 2, 3}));
}

TEST_F(SearchTest, DatesAndCombinations) {
  EXPECT_EQ(Find(Sent(SearchKey::Relation::kOn, 19675)), (Uids{1}));
  EXPECT_EQ(Find(Sent(SearchKey::Relation::kSince, 19676)), (Uids{}));
  EXPECT_EQ(Find(Sent(SearchKey::Relation::kBefore, 19676)), (Uids{1}));
  const SearchKey needle = Text(SearchKey::Kind::kBody, "needle");
  EXPECT_EQ(Find(Group(SearchKey::Kind::kNone, {needle})), (Uids{3}));
  EXPECT_EQ(Find(Group(SearchKey::Kind::kAll, {needle, Header("Subject", "other")})), (Uids{2}));
  EXPECT_EQ(Find(Group(SearchKey::Kind::kAny, {Header("Subject", "third"), needle})),
            (Uids{1, 2, 3}));
  SearchKey uids;
  uids.kind = SearchKey::Kind::kUids;
  uids.uids = {UidRange(2, 3)};
  EXPECT_EQ(Find(Group(SearchKey::Kind::kAll, {uids, needle})), (Uids{2}));
}

}  // namespace
}  // namespace posthorn::mailbox
