#include "services/gateway/api/admin_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace posthorn::gateway {
namespace {

using ::testing::HasSubstr;

class AdminTokenTest : public testing::Test {
 protected:
  void SetUp() override {
    const int fd = mkstemp(file_.data());
    ASSERT_GE(fd, 0);
    close(fd);
  }
  void TearDown() override { unlink(file_.c_str()); }
  std::string file_ = testing::TempDir() + "/admin-token-XXXXXX";
};

TEST_F(AdminTokenTest, IsTheFirstLine) {
  std::ofstream(file_) << "secret\nmore\n";
  const auto token = ReadAdminToken(file_);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(*token, "secret");
}

TEST_F(AdminTokenTest, AFileThatOthersCanReadIsRefused) {
  std::ofstream(file_) << "secret\n";
  chmod(file_.c_str(), 0644);
  const auto token = ReadAdminToken(file_);
  ASSERT_FALSE(token.ok());
  EXPECT_THAT(std::string(token.status().message()), HasSubstr(file_));
}

TEST_F(AdminTokenTest, AnEmptyOrMissingFileIsRefused) {
  EXPECT_FALSE(ReadAdminToken(file_).ok());
  EXPECT_FALSE(ReadAdminToken(file_ + "-missing").ok());
}

}  // namespace
}  // namespace posthorn::gateway
