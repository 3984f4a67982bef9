#include "lib/net/staged_body.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "lib/base/failure.h"

namespace posthorn::net {
namespace {

class StagedBodyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "/staging-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<StagingArea> Open(std::uint64_t max_octets) {
    auto area = StagingArea::Open(directory_ + "/area", max_octets);
    EXPECT_TRUE(area.ok()) << area.status();
    return *std::move(area);
  }
  bool DirectoryIsEmpty() { return std::filesystem::is_empty(directory_ + "/area"); }

  std::string directory_;
};

std::string Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST_F(StagedBodyTest, StaysInMemoryUpToTheLimit) {
  const auto area = Open(0);
  StagedBody body(*area);
  const std::string bytes = Pattern(StagedBody::kMemoryOctets);
  for (std::size_t i = 0; i < bytes.size(); i += 1000) {
    ASSERT_TRUE(body.Append(std::string_view(bytes).substr(i, 1000)).ok());
  }
  EXPECT_TRUE(body.in_memory());
  EXPECT_EQ(body.memory(), bytes);
  EXPECT_EQ(body.size(), bytes.size());
  EXPECT_EQ(*body.Read(5, 7), bytes.substr(5, 7));
  EXPECT_EQ(*body.Read(bytes.size() - 3, 100), bytes.substr(bytes.size() - 3));
  EXPECT_EQ(*body.Read(bytes.size(), 100), "");
}

TEST_F(StagedBodyTest, LargerBodiesGoToAnUnlinkedFile) {
  const auto area = Open(1 << 20);
  const std::string bytes = Pattern(StagedBody::kMemoryOctets * 2 + 17);
  {
    StagedBody body(*area);
    for (std::size_t i = 0; i < bytes.size(); i += 9999) {
      ASSERT_TRUE(body.Append(std::string_view(bytes).substr(i, 9999)).ok());
    }
    EXPECT_FALSE(body.in_memory());
    EXPECT_TRUE(DirectoryIsEmpty());
    EXPECT_EQ(area->used_octets(), bytes.size());
    EXPECT_EQ(*body.Read(0, bytes.size() + 5), bytes);
    EXPECT_EQ(*body.Read(StagedBody::kMemoryOctets - 2, 4),
              bytes.substr(StagedBody::kMemoryOctets - 2, 4));
    // Reading does not move where the next piece goes.
    ASSERT_TRUE(body.Append("end").ok());
    EXPECT_EQ(*body.Read(bytes.size(), 10), "end");
  }
  EXPECT_EQ(area->used_octets(), 0u);
}

TEST_F(StagedBodyTest, AFullAreaIsATemporaryFailure) {
  const auto area = Open(StagedBody::kMemoryOctets * 2);
  StagedBody first(*area);
  ASSERT_TRUE(first.Append(Pattern(StagedBody::kMemoryOctets + 1)).ok());
  {
    StagedBody second(*area);
    ASSERT_TRUE(second.Append(Pattern(StagedBody::kMemoryOctets)).ok());
    const absl::Status status = second.Append("x");
    EXPECT_EQ(FailureOf(status), Failure::kInsufficientStorage);
    EXPECT_FALSE(IsPermanent(status));
    EXPECT_EQ(second.size(), StagedBody::kMemoryOctets);
  }
  EXPECT_EQ(area->used_octets(), StagedBody::kMemoryOctets + 1);
}

TEST_F(StagedBodyTest, AnUnusableDirectoryIsAnErrorThatNamesIt) {
  const auto area = StagingArea::Open("/proc/posthorn", 1);
  ASSERT_FALSE(area.ok());
  EXPECT_NE(area.status().message().find("/proc/posthorn"), absl::string_view::npos);
}

}  // namespace
}  // namespace posthorn::net
