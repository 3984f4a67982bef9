#include "services/gateway/session/login_guard.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "lib/base/manual_executor.h"

namespace posthorn::gateway {
namespace {

class LoginGuardTest : public testing::Test {
 protected:
  LoginGuardTest() {
    options_.failures_per_login = 3;
    options_.failures_per_address = 6;
    options_.failures_per_network = 9;
    options_.failures_per_account = 5;
    options_.exempt_networks.push_back(net::IpNetwork::Parse("198.51.100.0/24").value());
    guard_ = std::make_unique<LoginGuard>(lockouts_, clock_, options_);
  }

  LoginGuard::Attempt Begin(const std::string& name, const std::string& ip) {
    return *executor_.Run(guard_->Begin(name, ip));
  }
  bool IsLockedOut(const std::string& name, const std::string& ip) {
    return Begin(name, ip).locked_out;
  }
  // A failed login; how long its answer took.
  absl::Duration Fail(const std::string& name, const std::string& ip) {
    LoginGuard::Attempt attempt = Begin(name, ip);
    bool answered = false;
    Spawn(executor_, Note(guard_->Failed(std::move(attempt)), answered));
    executor_.RunUntilIdle();
    absl::Duration took = absl::ZeroDuration();
    for (; !answered; took += absl::Milliseconds(500)) Advance(absl::Milliseconds(500));
    return took;
  }
  void Succeed(const std::string& name, const std::string& ip) {
    executor_.RunVoid(guard_->Succeeded(Begin(name, ip)));
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    executor_.Advance(by);
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  redis::Lockouts lockouts_{nullptr, clock_, redis::LockoutsOptions()};
  LoginGuardOptions options_;
  std::unique_ptr<LoginGuard> guard_;

 private:
  static Task<void> Note(Task<void> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
};

TEST_F(LoginGuardTest, DelaysGrowAndALockOutTakesAsLong) {
  EXPECT_EQ(Fail("a@b.example", "192.0.2.1"), absl::Seconds(1));
  EXPECT_EQ(Fail("a@b.example", "192.0.2.1"), absl::Seconds(2));
  EXPECT_EQ(Fail("A@B.example", "192.0.2.200"), absl::Seconds(4)) << "the same login";
  EXPECT_TRUE(IsLockedOut("a@b.example", "192.0.2.1"));
  // Locked out now; the count stands, and so does the time.
  EXPECT_EQ(Fail("a@b.example", "192.0.2.200"), absl::Seconds(8));
  EXPECT_EQ(Fail("a@b.example", "192.0.2.200"), absl::Seconds(8));
}

TEST_F(LoginGuardTest, ALockOutEndsAndASuccessForgets) {
  for (int i = 0; i < 3; ++i) Fail("a@b.example", "192.0.2.1");
  EXPECT_TRUE(IsLockedOut("a@b.example", "192.0.2.1"));
  Advance(absl::Minutes(15));
  EXPECT_FALSE(IsLockedOut("a@b.example", "192.0.2.1"));
  Succeed("a@b.example", "192.0.2.1");
  EXPECT_EQ(Fail("a@b.example", "192.0.2.9"), absl::Seconds(1));
}

TEST_F(LoginGuardTest, OthersFailuresDoNotHoldUpAKnownLogin) {
  Succeed("a@b.example", "203.0.113.7");
  // From many networks: the account is locked for those that it was never used from.
  for (int i = 0; i < 5; ++i) Fail("a@b.example", "10.0." + std::to_string(i) + ".1");
  EXPECT_TRUE(IsLockedOut("a@b.example", "192.0.2.1"));
  EXPECT_FALSE(IsLockedOut("a@b.example", "203.0.113.7"));
  EXPECT_FALSE(IsLockedOut("a@b.example", "203.0.113.99")) << "the same network";
  EXPECT_FALSE(IsLockedOut("other@b.example", "192.0.2.1"));
  // From the same address to other accounts: the address is locked, but not for him.
  for (int i = 0; i < 6; ++i) Fail("x" + std::to_string(i) + "@b.example", "203.0.113.7");
  EXPECT_TRUE(IsLockedOut("other@b.example", "203.0.113.7"));
  EXPECT_FALSE(IsLockedOut("a@b.example", "203.0.113.7"));
  // His own failures count.
  for (int i = 0; i < 3; ++i) Fail("a@b.example", "203.0.113.7");
  EXPECT_TRUE(IsLockedOut("a@b.example", "203.0.113.7"));
}

TEST_F(LoginGuardTest, NetworksAreLockedWithTheirAddresses) {
  for (int i = 0; i < 9; ++i) {
    Fail("x" + std::to_string(i) + "@b.example", "2001:db8::" + std::to_string(i + 1));
  }
  EXPECT_TRUE(IsLockedOut("new@b.example", "2001:db8::ffff"));
  EXPECT_FALSE(IsLockedOut("new@b.example", "2001:db8:0:1::1"));
}

TEST_F(LoginGuardTest, ExemptNetworksAndSocketsCountByAccountOnly) {
  for (const std::string ip : {"198.51.100.1", ""}) {
    for (int i = 0; i < 20; ++i) Fail("x" + std::to_string(i) + "@b.example", ip);
    EXPECT_FALSE(IsLockedOut("new@b.example", ip));
    for (int i = 0; i < 3; ++i) Fail("own@b.example", ip);
    EXPECT_TRUE(IsLockedOut("own@b.example", ip));
  }
}

TEST_F(LoginGuardTest, OddNamesAreCountedToo) {
  for (const std::string& name : {std::string(5000, 'a'), std::string("\xff{}\n"), std::string()}) {
    for (int i = 0; i < 3; ++i) Fail(name, "192.0.2.1");
    EXPECT_TRUE(IsLockedOut(name, "192.0.2.1"));
    executor_.RunVoid(lockouts_.Clear("address:192.0.2.1"));
  }
  const auto list = executor_.Run(lockouts_.List(100));
  for (const redis::Lockout& lockout : **list) EXPECT_LT(lockout.subject.size(), 100u);
}

}  // namespace
}  // namespace posthorn::gateway
