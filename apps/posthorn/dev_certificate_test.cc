#include "apps/posthorn/dev_certificate.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/process.h"

namespace posthorn::app {
namespace {

class DevCertificateTest : public ::testing::Test {
 protected:
  DevCertificateTest() {
    char name[] = "/tmp/posthorn-certificate-XXXXXX";
    directory_ = mkdtemp(name);
    files_ = DevCertificateIn(directory_);
  }
  ~DevCertificateTest() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  absl::Status Verify(const std::string& option, const std::string& name) {
    return RunToEnd({"/usr/bin/openssl", "verify", "-CAfile", files_.ca_file, option, name,
                     "-purpose", "sslserver", "-x509_strict", files_.certificate_file});
  }
  std::string Content(const std::string& file) { return ReadFile(file).value_or("missing"); }

  const absl::Time now_ = absl::Now();
  std::string directory_;
  DevCertificate files_;
};

TEST_F(DevCertificateTest, MakesWhatAnIndependentToolVerifies) {
  ASSERT_TRUE(EnsureDevCertificate(files_, "mail.example.test", now_).ok());
  const absl::Status by_name = Verify("-verify_hostname", "mail.example.test");
  EXPECT_TRUE(by_name.ok()) << by_name;
  EXPECT_TRUE(Verify("-verify_hostname", "localhost").ok());
  EXPECT_TRUE(Verify("-verify_ip", "127.0.0.1").ok());
  EXPECT_TRUE(Verify("-verify_ip", "::1").ok());
  EXPECT_FALSE(Verify("-verify_hostname", "other.example").ok());
}

TEST_F(DevCertificateTest, KeepsPrivateKeysToTheirOwner) {
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());
  for (const std::string& file : {files_.ca_key_file, files_.key_file}) {
    struct stat info;
    ASSERT_EQ(stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file;
  }
}

TEST_F(DevCertificateTest, KeepsWhatIsStillGood) {
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());
  const std::string ca = Content(files_.ca_file);
  const std::string server = Content(files_.certificate_file);
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_ + absl::Hours(24)).ok());
  EXPECT_EQ(Content(files_.ca_file), ca);
  EXPECT_EQ(Content(files_.certificate_file), server);
}

TEST_F(DevCertificateTest, RenewsTheServersAndKeepsTheAuthority) {
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_ - absl::Hours(24 * 340)).ok());
  const std::string ca = Content(files_.ca_file);
  const std::string old = Content(files_.certificate_file);
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());  // 25 days are left
  EXPECT_EQ(Content(files_.ca_file), ca);
  const std::string renewed = Content(files_.certificate_file);
  EXPECT_NE(renewed, old);
  ASSERT_TRUE(EnsureDevCertificate(files_, "mail.example", now_).ok());
  EXPECT_NE(Content(files_.certificate_file), renewed);
  EXPECT_TRUE(Verify("-verify_hostname", "mail.example").ok());
}

TEST_F(DevCertificateTest, ReplacesWhatIsBroken) {
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());
  ASSERT_TRUE(WriteFile(files_.key_file, "not a key", 0600).ok());
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());
  EXPECT_TRUE(Verify("-verify_hostname", "localhost").ok());
  ASSERT_TRUE(WriteFile(files_.ca_file, "not a certificate", 0644).ok());
  ASSERT_TRUE(EnsureDevCertificate(files_, "localhost", now_).ok());
  EXPECT_TRUE(Verify("-verify_hostname", "localhost").ok());
}

}  // namespace
}  // namespace posthorn::app
