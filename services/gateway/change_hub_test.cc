#include "services/gateway/change_hub.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_mail_store.h"

namespace posthorn::gateway {
namespace {

constexpr TenantId kTenant(3);
constexpr AccountId kAccount(7);

class ChangeHubTest : public testing::Test {
 protected:
  ChangeHubTest() {
    store_.AddAccount(kTenant, kAccount);
    hub_.Start();
  }
  ~ChangeHubTest() override {
    hub_.Stop();
    executor_.Advance(absl::Minutes(2));
  }

  ChangeHub::Watch Register(ModSeq seen) {
    ChangeHub::Watch watch;
    executor_.Post([&] { watch = hub_.Register(kTenant, kAccount, seen, [this] { ++woken_; }); });
    executor_.RunUntilIdle();
    return watch;
  }
  void Hint(std::string_view payload) {
    hub_.OnHint(payload);
    executor_.RunUntilIdle();
  }

  ManualExecutor executor_;
  FakeMailStore store_;
  ChangeHub hub_{store_, executor_};
  int woken_ = 0;
};

TEST_F(ChangeHubTest, WakesOnANewerModseqOfItsAccountOnly) {
  const ChangeHub::Watch watch = Register(10);
  Hint("3 7 10");
  Hint("3 8 11");
  Hint("4 7 11");
  EXPECT_EQ(woken_, 0);
  Hint("3 7 11");
  EXPECT_EQ(woken_, 1);
  Hint("3 7 11");
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeHubTest, IgnoresMalformedHints) {
  const ChangeHub::Watch watch = Register(0);
  for (const char* hint :
       {"", "3 7", "3 7 x", "3 7 1 1", "a b c", "3  7", "99999999999999999999 7 1"}) {
    Hint(hint);
  }
  EXPECT_EQ(woken_, 0);
}

TEST_F(ChangeHubTest, DoesNotCallAReleasedWatchEvenIfTheHintIsUnderWay) {
  {
    const ChangeHub::Watch watch = Register(0);
    hub_.OnHint("3 7 5");
  }
  executor_.RunUntilIdle();
  EXPECT_EQ(woken_, 0);
  EXPECT_EQ(hub_.watched(), 0u);
}

TEST_F(ChangeHubTest, SeenRaisesTheMark) {
  ChangeHub::Watch watch = Register(0);
  watch.Seen(20);
  Hint("3 7 15");
  EXPECT_EQ(woken_, 0);
  Hint("3 7 21");
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeHubTest, PollingFindsALostHintWithinAMinute) {
  const ChangeHub::Watch watch = Register(2);
  store_.Deliver(kTenant, kAccount, "INBOX", "", "Subject: x\r\n\r\n", absl::UnixEpoch());
  executor_.Advance(absl::Seconds(59));
  EXPECT_EQ(woken_, 0);
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(woken_, 1);
  executor_.Advance(absl::Minutes(5));
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeHubTest, PollsAtOnceAfterTheSubscriptionCameBack) {
  const ChangeHub::Watch watch = Register(2);
  store_.Deliver(kTenant, kAccount, "INBOX", "", "Subject: x\r\n\r\n", absl::UnixEpoch());
  hub_.OnResubscribed();
  executor_.RunUntilIdle();
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeHubTest, SurvivesAStoreThatIsAway) {
  const ChangeHub::Watch watch = Register(2);
  store_.Deliver(kTenant, kAccount, "INBOX", "", "Subject: x\r\n\r\n", absl::UnixEpoch());
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  executor_.Advance(absl::Minutes(2));
  EXPECT_EQ(woken_, 0);
  store_.FailWith(std::nullopt);
  executor_.Advance(absl::Minutes(2));
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeHubTest, WakesEverySessionOfAnAccount) {
  const ChangeHub::Watch first = Register(0);
  const ChangeHub::Watch second = Register(0);
  Hint("3 7 1");
  EXPECT_EQ(woken_, 2);
  EXPECT_EQ(hub_.watched(), 1u);
}

}  // namespace
}  // namespace posthorn::gateway
