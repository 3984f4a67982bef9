#include "services/gateway/pop3/read_ahead.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_mail_store.h"

namespace posthorn::gateway {
namespace {

const TenantId kTenant(1);
const AccountId kAccount(2);

class ReadAheadTest : public testing::Test {
 protected:
  ReadAheadTest() { store_.AddAccount(kTenant, kAccount); }

  // `count` messages, each another one of about `octets`.
  void Deliver(int count, std::size_t octets) {
    for (int i = 0; i < count; ++i) {
      std::string body = "Subject: " + std::to_string(bodies_.size()) + "\r\n\r\n";
      body.append(octets + bodies_.size() % 7, 'x');
      body += "\r\n";
      bodies_.push_back(body);
      store_.Deliver(kTenant, kAccount, "INBOX", "", std::move(body), absl::UnixEpoch());
    }
  }
  void Load() {
    absl::StatusOr<Maildrop> drop = *executor_.Run(Maildrop::Load(store_, kTenant, kAccount));
    ASSERT_TRUE(drop.ok()) << drop.status();
    drop_ = *std::move(drop);
    fetches_before_ = store_.fetches();
  }
  void Expunge(std::size_t index) {
    const Uid uid = drop_.messages()[index].uid;
    std::vector<UidRange> uids;
    uids.emplace_back(uid, uid);
    const absl::StatusOr<ExpungeResult> expunged = *executor_.Run(
        store_.Expunge(kTenant, kAccount, drop_.mailbox(), std::move(uids), false));
    ASSERT_TRUE(expunged.ok());
  }
  // The message as it was delivered is there.
  testing::AssertionResult Has(std::size_t index) {
    const std::string* const found =
        *executor_.Run(ahead_.Find(kTenant, kAccount, drop_, index));
    if (found == nullptr) return testing::AssertionFailure() << "nothing for " << index;
    if (*found != bodies_[index]) {
      return testing::AssertionFailure() << "for " << index << ": " << found->substr(0, 40);
    }
    return testing::AssertionSuccess();
  }
  bool HasNot(std::size_t index) {
    return *executor_.Run(ahead_.Find(kTenant, kAccount, drop_, index)) == nullptr;
  }
  int fetches() const { return store_.fetches() - fetches_before_; }

  ManualExecutor executor_;
  FakeClock clock_{absl::UnixEpoch()};
  FakeMailStore store_;
  std::vector<std::string> bodies_;
  Maildrop drop_;
  ReadAhead ahead_{store_, clock_};
  int fetches_before_ = 0;
};

TEST_F(ReadAheadTest, OneMessageAloneIsNoReasonToReadMore) {
  Deliver(5, 1000);
  Load();
  EXPECT_TRUE(HasNot(2));
  EXPECT_TRUE(HasNot(2));  // TOP and RETR
  EXPECT_TRUE(HasNot(0));
  EXPECT_EQ(fetches(), 0);
}

TEST_F(ReadAheadTest, InOrderEachIsItself) {
  Deliver(100, 4000);
  Deliver(200, 10);
  Deliver(5, 60000);
  Deliver(20, 9000);
  Load();
  EXPECT_TRUE(HasNot(0));
  for (std::size_t i = 1; i < bodies_.size(); ++i) {
    ASSERT_TRUE(Has(i));
    if (i % 3 == 0) {
      ASSERT_TRUE(Has(i));
    }
    ASSERT_LE(ahead_.octets(), ReadAhead::kOctets);
    ASSERT_LE(store_.fetching(), 1);
  }
  EXPECT_LE(store_.largest_fetch(), ReadAhead::kOctets / 2);
  EXPECT_LT(fetches(), 50);
  EXPECT_EQ(store_.reads(), 0);
  EXPECT_EQ(store_.fetching(), 0);
}

TEST_F(ReadAheadTest, TinyMessagesAreCountedAsMoreThanTheirOctets) {
  Deliver(2000, 1);
  Load();
  HasNot(0);
  for (std::size_t i = 1; i < 500; ++i) ASSERT_TRUE(Has(i));
  EXPECT_LE(store_.largest_fetch(), std::size_t{256} * 40);
}

TEST_F(ReadAheadTest, TheNextBatchIsUnderWayWhileOneIsSent) {
  Deliver(100, 4000);
  Load();
  HasNot(0);
  EXPECT_TRUE(Has(1));
  EXPECT_EQ(store_.fetching(), 1);
}

TEST_F(ReadAheadTest, OutOfOrderNothingIsKept) {
  Deliver(100, 4000);
  Load();
  HasNot(0);
  for (std::size_t i = 1; i < 10; ++i) ASSERT_TRUE(Has(i));
  EXPECT_GT(ahead_.octets(), 0u);
  EXPECT_TRUE(HasNot(50));
  EXPECT_EQ(ahead_.octets(), 0u);
  EXPECT_EQ(store_.fetching(), 0);
  EXPECT_TRUE(Has(51));
  EXPECT_TRUE(HasNot(49));
  EXPECT_TRUE(HasNot(48));
  EXPECT_TRUE(Has(49));
  EXPECT_TRUE(Has(50));
  EXPECT_TRUE(HasNot(99));
  EXPECT_TRUE(HasNot(0));
  EXPECT_TRUE(Has(1));
}

TEST_F(ReadAheadTest, LargeMessagesAreNotReadAheadButPassed) {
  Deliver(3, 4000);
  Deliver(2, 200000);
  Deliver(10, 4000);
  Deliver(1, 64 * 1024);
  Deliver(2, 4000);
  Load();
  HasNot(0);
  for (std::size_t i = 1; i < bodies_.size(); ++i) {
    if (i == 3 || i == 4 || i == 15) {
      EXPECT_TRUE(HasNot(i)) << i;
    } else {
      EXPECT_TRUE(Has(i)) << i;
    }
  }
  EXPECT_LE(store_.largest_fetch(), ReadAhead::kOctets / 2);
}

TEST_F(ReadAheadTest, WhatIsExpungedMeanwhileIsSoonNotThereAnyMore) {
  Deliver(40, 1000);
  Load();
  HasNot(0);
  EXPECT_TRUE(Has(1));
  for (const std::size_t index : {2, 3, 5, 30}) Expunge(index);
  EXPECT_TRUE(Has(2));  // read before
  clock_.Advance(ReadAhead::kFresh + absl::Seconds(1));
  EXPECT_TRUE(HasNot(3));
  EXPECT_TRUE(Has(4));
  EXPECT_TRUE(HasNot(5));
  for (std::size_t i = 6; i < 40; ++i) {
    EXPECT_EQ(HasNot(i), i == 30) << i;
  }
}

TEST_F(ReadAheadTest, AfterAnErrorItBeginsAnew) {
  Deliver(60, 4000);
  Load();
  HasNot(0);
  EXPECT_TRUE(Has(1));
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  std::size_t i = 2;
  while (i < 20 && Has(i)) ++i;
  ASSERT_LT(i, 20u);
  EXPECT_EQ(ahead_.octets(), 0u);
  EXPECT_EQ(store_.fetching(), 0);
  EXPECT_TRUE(HasNot(++i));
  store_.FailWith(std::nullopt);
  for (++i; i < 60; ++i) ASSERT_TRUE(Has(i));
}

TEST_F(ReadAheadTest, ForgetsWhenTold) {
  Deliver(60, 4000);
  Load();
  HasNot(0);
  EXPECT_TRUE(Has(1));
  ahead_.Clear();
  EXPECT_EQ(ahead_.octets(), 0u);
  EXPECT_EQ(store_.fetching(), 0);
  EXPECT_TRUE(HasNot(2));
  EXPECT_TRUE(Has(3));
}

}  // namespace
}  // namespace posthorn::gateway
