#include "services/mailbox/message_places.h"

#include <gtest/gtest.h>

#include <random>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

using Places = std::vector<std::pair<Uid, std::int64_t>>;

class MessagePlacesTest : public StoreTest {
 protected:
  Places Find(Account account, const std::string& name, std::int64_t after,
              std::optional<std::vector<std::int64_t>> emails) {
    absl::StatusOr<std::vector<MessagePlace>> found = loop.Run(
        FindPlaces(*database, account, Info(alice, name).id, after, std::move(emails)));
    EXPECT_TRUE(found.ok()) << found.status();
    Places places;
    for (const MessagePlace& place : *found) places.emplace_back(place.uid, place.email_id);
    return places;
  }
  // From the table itself.
  Places Scan(const std::string& name, std::int64_t after,
              const std::optional<std::vector<std::int64_t>>& emails) {
    const postgres::Result rows = Superuser(
        absl::StrCat("SELECT uid, email_id FROM mailbox.entry WHERE mailbox_id = ",
                     Info(alice, name).id.value(), " ORDER BY uid"));
    Places places;
    for (int i = 0; i < rows.rows(); ++i) {
      const std::int64_t id = rows.Int(i, 1);
      const bool named = !emails.has_value() || id > after ||
                         std::binary_search(emails->begin(), emails->end(), id);
      if (named) places.emplace_back(static_cast<Uid>(rows.Int(i, 0)), id);
    }
    return places;
  }
};

TEST_F(MessagePlacesTest, AreFoundWhereverAMessageCameFrom) {
  std::mt19937 random(11);
  ASSERT_TRUE(loop.Run(store.Create(alice, "other", "")).ok());
  for (int i = 0; i < 40; ++i) DeliverTo(alice, absl::StrCat("Subject: n\r\n\r\nbefore", i));
  // As it is with what was delivered before there were homes.
  Superuser("UPDATE mailbox.email SET home_id = NULL, home_uid = NULL");
  Superuser("UPDATE mailbox.entry SET moved = true");
  for (int round = 0; round < 30; ++round) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < 12; ++i) {
      messages.push_back(Message(alice, absl::StrCat("Subject: n\r\n\r\nround", round, "x", i)));
    }
    for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
    const bool away = random() % 2 == 0;
    const MailboxInfo from = Info(alice, away ? "INBOX" : "other");
    const Uid first = static_cast<Uid>(random() % from.uid_next);
    std::vector<UidRange> some(1, UidRange(first, first + 5));
    ASSERT_TRUE(loop.Run(store.Copy(alice, from.id, some, away ? "other" : "INBOX",
                                    random() % 2 == 0)).ok());
    some[0] = UidRange(first + 7, first + 8);
    ASSERT_TRUE(loop.Run(store.Expunge(alice, from.id, some, false)).ok());
    some[0] = UidRange(first, first + 20);
    ASSERT_TRUE(
        loop.Run(store.StoreFlags(alice, from.id, some, FlagMode::kAdd, kFlagSeen, {})).ok());
    const std::int64_t newest = Info(alice, "INBOX").highest_modseq;
    std::vector<std::int64_t> emails;
    for (std::int64_t id = 0; id <= newest + 3; ++id) {
      if (random() % 10 == 0) emails.push_back(id);
    }
    const std::int64_t after = newest - static_cast<std::int64_t>(random() % 30);
    for (const char* name : {"INBOX", "other"}) {
      EXPECT_EQ(Find(alice, name, after, emails), Scan(name, after, emails));
      EXPECT_EQ(Find(alice, name, newest, std::vector<std::int64_t>()), Places());
    }
    std::erase_if(emails, [&](std::int64_t id) { return id > after; });
    EXPECT_EQ(Find(alice, "INBOX", after, emails), Scan("INBOX", after, emails));
  }
  // So many that all of the mailbox is gone through; and all of it.
  std::vector<std::int64_t> all(10000);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  EXPECT_EQ(Find(alice, "other", 100000, all), Scan("other", 100000, all));
  EXPECT_EQ(Find(alice, "other", 0, std::nullopt), Scan("other", 0, std::nullopt));
  EXPECT_FALSE(Find(alice, "other", 0, std::nullopt).empty());
  for (const auto& emails : {std::optional(all), std::optional(std::vector<std::int64_t>(1, 5)),
                             std::optional<std::vector<std::int64_t>>()}) {
    EXPECT_EQ(Find(bob, "INBOX", 0, emails), Places());  // alice's
  }
}

}  // namespace
}  // namespace posthorn::mailbox
