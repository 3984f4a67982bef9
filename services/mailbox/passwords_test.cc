#include "services/mailbox/passwords.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "tests/support/test_loop.h"

namespace posthorn::mailbox {
namespace {

class PasswordsTest : public ::testing::Test {
 protected:
  absl::Status Check(AccountId account, std::int64_t version, const std::string& hash,
                     const std::string& password) {
    return loop_.Run(passwords_.Check(account, version, hash, password));
  }
  std::string HashOf(const std::string& password) {
    absl::StatusOr<PasswordRecord> made =
        loop_.Run(passwords_.Make(password, ScramParameters("0123456789abcdef", 4096)));
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->hash : std::string();
  }

  testing::TestLoop loop_;
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  Passwords passwords_{1, clock_};
};

// What is remembered needs no hash any more: one of another password shows what was not looked at.
TEST_F(PasswordsTest, RemembersASuccessForItsAccountVersionAndFiveMinutes) {
  const AccountId account(7);
  const std::string hash = HashOf("secret");
  const std::string other = HashOf("other");
  EXPECT_FALSE(Check(account, 1, other, "secret").ok());
  EXPECT_TRUE(Check(account, 1, hash, "secret").ok());
  EXPECT_TRUE(Check(account, 1, other, "secret").ok());
  EXPECT_FALSE(Check(account, 1, other, "secret2").ok());
  EXPECT_FALSE(Check(account, 2, other, "secret").ok()) << "the password was changed";
  EXPECT_FALSE(Check(AccountId(8), 1, other, "secret").ok());
  EXPECT_FALSE(Check(account, 1, "", "secret").ok()) << "it has no password any more";
  clock_.Advance(absl::Minutes(5) - absl::Seconds(1));
  EXPECT_TRUE(Check(account, 1, other, "secret").ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(FailureOf(Check(account, 1, other, "secret")), Failure::kAuthenticationFailed);
}

TEST_F(PasswordsTest, RefusesWhatIsNoPassword) {
  for (const std::string& bad : {std::string(), std::string(1025, 'x')}) {
    EXPECT_EQ(FailureOf(loop_.Run(passwords_.Make(bad, ScramParameters("salt", 4096))).status()),
              Failure::kInvalidArgument);
  }
  EXPECT_FALSE(Check(AccountId(1), 1, HashOf("x"), std::string(1025, 'x')).ok());
}

TEST(AppPasswordTest, AreRandomAndRecognised) {
  const SystemClock clock;
  const Passwords sodium_is_ready(1, clock);
  const std::string one = NewAppPassword();
  EXPECT_EQ(one.size(), 29u);
  EXPECT_TRUE(LooksLikeAppPassword(one)) << one;
  EXPECT_NE(one, NewAppPassword());
  for (const std::string& bad : {std::string(), one + "x", one.substr(1), "X" + one.substr(1),
                                 std::string(29, 'a'), std::string(29, '-')}) {
    EXPECT_FALSE(LooksLikeAppPassword(bad)) << bad;
  }
}

}  // namespace
}  // namespace posthorn::mailbox
