#include "services/gateway/pop3/maildrop.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_mail_store.h"

namespace posthorn::gateway {
namespace {

const TenantId kTenant(1);
const AccountId kAccount(2);

class MaildropTest : public testing::Test {
 protected:
  MaildropTest() { store_.AddAccount(kTenant, kAccount); }

  Uid Deliver(std::string body) {
    return store_.Deliver(kTenant, kAccount, "INBOX", "Received: x\r\n", std::move(body),
                          absl::UnixEpoch());
  }
  Maildrop Load() {
    absl::StatusOr<Maildrop> drop =
        *executor_.Run(Maildrop::Load(store_, kTenant, kAccount));
    EXPECT_TRUE(drop.ok()) << drop.status();
    return *std::move(drop);
  }

  ManualExecutor executor_;
  FakeMailStore store_;
};

TEST_F(MaildropTest, SizesCountTheFinalLineEnd) {
  Deliver("Subject: a\r\n\r\nbody\r\n");
  Deliver("Subject: a\r\n\r\nbody");
  Deliver("Subject: a\n\nbody\n");
  Deliver("");
  for (const bool stored_structures : {true, false}) {
    if (!stored_structures) store_.ForgetStructures();
    const Maildrop drop = Load();
    ASSERT_EQ(drop.messages().size(), 4u);
    EXPECT_EQ(drop.messages()[0].size, 13u + 20u);
    EXPECT_EQ(drop.messages()[1].size, 13u + 18u + 2u);
    EXPECT_EQ(drop.messages()[2].size, 13u + 17u + 2u);
    EXPECT_EQ(drop.messages()[3].size, 13u);
    EXPECT_EQ(drop.octets(), 33u + 33u + 32u + 13u);
  }
}

TEST_F(MaildropTest, DeletesOnlyWhatItShowed) {
  for (int i = 0; i < 7; ++i) Deliver("x\r\n\r\n");
  Maildrop drop = Load();
  Deliver("later\r\n\r\n");
  for (const pop3::MessageNumber number : {2, 3, 5, 7}) EXPECT_TRUE(drop.Delete(number).ok());
  EXPECT_EQ(FailureOf(drop.Delete(3)), Failure::kNotFound);
  EXPECT_EQ(FailureOf(drop.Delete(0)), Failure::kNotFound);
  EXPECT_EQ(FailureOf(drop.Delete(8)), Failure::kNotFound);
  EXPECT_EQ(drop.count(), 3u);
  const std::vector<UidRange> expected = {UidRange(2, 3), UidRange(5, 5), UidRange(7, 7)};
  EXPECT_EQ(drop.Deleted(), expected);
  drop.Reset();
  EXPECT_EQ(drop.count(), 7u);
  EXPECT_TRUE(drop.Deleted().empty());
}

TEST_F(MaildropTest, UniqueIdsStay) {
  Deliver("x\r\n\r\n");
  Deliver("y\r\n\r\n");
  const Maildrop first = Load();
  const Maildrop second = Load();
  EXPECT_EQ(first.UniqueId(first.messages()[0]), second.UniqueId(second.messages()[0]));
  EXPECT_NE(first.UniqueId(first.messages()[0]), first.UniqueId(first.messages()[1]));
}

}  // namespace
}  // namespace posthorn::gateway
