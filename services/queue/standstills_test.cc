#include "services/queue/standstills.h"

#include <gtest/gtest.h>

namespace posthorn::queue {
namespace {

constexpr TenantId kTenant(1);

class StandstillsTest : public ::testing::Test {
 protected:
  std::optional<absl::Time> PutOff(std::string_view sender = "sender.test") {
    return standstills_.PutOff(kTenant, "a.example", sender, until_, now_);
  }
  void Refuse(std::string_view site = "site.example") {
    standstills_.Refused(kTenant, "a.example", site, now_);
  }
  // As when the first job has been leased and refused, and time has passed.
  void LetThroughInVain(std::string_view sender = "sender.test") {
    Refuse();
    EXPECT_EQ(PutOff(sender), std::nullopt);
    Refuse();
    now_ += Standstills::kTrial;
  }

  Standstills standstills_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  absl::Time until_ = now_ + absl::Hours(1);
};

TEST_F(StandstillsTest, KnowsWhereMailWasRefused) {
  EXPECT_TRUE(standstills_.empty());
  EXPECT_EQ(PutOff(), std::nullopt);
  Refuse();
  EXPECT_FALSE(standstills_.empty());
  EXPECT_EQ(standstills_.SiteOf(kTenant, "a.example"), "site.example");
  EXPECT_EQ(standstills_.SiteOf(TenantId(2), "a.example"), std::nullopt);
  EXPECT_EQ(standstills_.SiteOf(kTenant, "b.example"), std::nullopt);
  standstills_.Passed(kTenant, "a.example");
  EXPECT_EQ(standstills_.SiteOf(kTenant, "a.example"), std::nullopt);
}

TEST_F(StandstillsTest, WaitsOnceTheWayIsKnown) {
  Refuse();
  EXPECT_EQ(PutOff(), std::nullopt) << "the first finds out";
  EXPECT_EQ(PutOff(), now_ + Standstills::kTrial) << "meanwhile, the others wait for it";
  Refuse();
  now_ += Standstills::kTrial;
  EXPECT_EQ(PutOff(), until_);
}

TEST_F(StandstillsTest, JobsComeBackOneAfterAnother) {
  LetThroughInVain();
  EXPECT_EQ(PutOff(), until_);
  EXPECT_EQ(PutOff(), until_ + Standstills::kPace);
  EXPECT_EQ(PutOff(), until_ + 2 * Standstills::kPace);
  for (int i = 0; i < 1'500'000; ++i) PutOff();
  EXPECT_LE(*PutOff(), until_ + absl::Hours(2) + Standstills::kPace);
}

TEST_F(StandstillsTest, EachSendersWayIsTriedByItself) {
  LetThroughInVain();
  EXPECT_EQ(PutOff("other.test"), std::nullopt);
  EXPECT_EQ(PutOff("other.test"), now_ + Standstills::kTrial);
  // It goes elsewhere.
  standstills_.Passed(kTenant, "a.example");
  EXPECT_EQ(PutOff("other.test"), std::nullopt);
}

TEST_F(StandstillsTest, AJobThatHasNoAnswerIsFollowedByAnother) {
  Refuse();
  now_ += absl::Seconds(1);
  EXPECT_EQ(PutOff(), std::nullopt);
  now_ += Standstills::kTrial;
  EXPECT_EQ(PutOff(), std::nullopt);
  EXPECT_NE(PutOff(), std::nullopt);
}

TEST_F(StandstillsTest, AnotherSiteIsAnotherStandstill) {
  LetThroughInVain();
  EXPECT_NE(PutOff(), std::nullopt);
  Refuse("elsewhere.example");
  EXPECT_EQ(PutOff(), std::nullopt);
  standstills_.Forget();
  EXPECT_TRUE(standstills_.empty());
}

}  // namespace
}  // namespace posthorn::queue
