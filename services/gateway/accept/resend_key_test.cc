#include "services/gateway/accept/resend_key.h"

#include <stdlib.h>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "lib/base/manual_executor.h"

namespace posthorn::gateway {
namespace {

class ResendKeyTest : public testing::Test {
 protected:
  std::string Key(std::string from, std::string id, const std::string& text) {
    auto body = std::make_shared<net::StagedBody>(*area_);
    EXPECT_TRUE(body->Append(text).ok());
    return executor_.Run(ResendKey(std::move(from), std::move(id), std::move(body)))->value();
  }
  ManualExecutor executor_;
  std::unique_ptr<net::StagingArea> area_ =
      net::StagingArea::Open(testing::TempDir() + "/resend_key", 100 << 20).value();
};

TEST_F(ResendKeyTest, IsTheHashOfItsParts) {
  // printf 'a@b.example\0<1@x>\0body' | sha256sum
  EXPECT_EQ(absl::BytesToHexString(Key("a@b.example", "<1@x>", "body")),
            "05e4d8f8cd0d5faacdfb9e4d3ff8938506f9c56ed030ceb150d3e8d5cf5a66f9");
  EXPECT_EQ(Key("a@b.example", "", "body"), "");
}

TEST_F(ResendKeyTest, DiffersWithEveryPart) {
  const std::string key = Key("a@b.example", "<1@x>", "body");
  EXPECT_EQ(Key("a@b.example", "<1@x>", "body"), key);
  EXPECT_NE(Key("c@b.example", "<1@x>", "body"), key);
  EXPECT_NE(Key("a@b.example", "<2@x>", "body"), key);
  EXPECT_NE(Key("a@b.example", "<1@x>", "bodY"), key);
  EXPECT_NE(Key("", "<1@x>", "body"), key);
}

// Bodies in memory and in a file hash alike: the first differs from the second by one octet only
// in length, so both ways must read to the end.
TEST_F(ResendKeyTest, ReadsLargeBodiesToTheEnd) {
  const std::string large(3 << 20, 'x');
  const std::string key = Key("", "<1@x>", large);
  EXPECT_EQ(Key("", "<1@x>", large), key);
  EXPECT_NE(Key("", "<1@x>", large + "y"), key);
  EXPECT_NE(Key("", "<1@x>", "y" + large), key);
}

TEST_F(ResendKeyTest, EnvelopeKeyCoversRecipientsInAnyOrder) {
  const std::string key = EnvelopeResendKey("k", {"a@b.example", "c@d.example"});
  EXPECT_EQ(EnvelopeResendKey("k", {"c@d.example", "a@b.example"}), key);
  EXPECT_NE(EnvelopeResendKey("k", {"a@b.example"}), key);
  EXPECT_NE(EnvelopeResendKey("k2", {"a@b.example", "c@d.example"}), key);
  EXPECT_EQ(EnvelopeResendKey("", {"a@b.example"}), "");
}

}  // namespace
}  // namespace posthorn::gateway
