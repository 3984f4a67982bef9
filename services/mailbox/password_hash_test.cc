#include "services/mailbox/password_hash.h"

#include <crypt.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include <memory>

#include "lib/base/failure.h"

namespace posthorn::mailbox {
namespace {

std::string Crypt(const char* setting) {
  const auto data = std::make_unique<crypt_data>();
  const char* made = crypt_r("secret", setting, data.get());
  return made == nullptr ? "" : made;
}

TEST(PasswordHashTest, TakesTheSchemesOfOtherSystems) {
  ASSERT_GE(sodium_init(), 0);
  const std::string bcrypt = Crypt("$2y$04$abcdefghijklmnopqrstuu");
  const std::string sha512 = Crypt("$6$rounds=1000$saltsalt");
  const std::string sha256 = Crypt("$5$saltsalt");
  const std::string yescrypt = Crypt("$y$j75$saltsaltsaltsalt$");
  // SHA-1("secretsalt") and "salt".
  const std::string ssha = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
  char argon[crypto_pwhash_STRBYTES];
  ASSERT_EQ(crypto_pwhash_str_alg(argon, "secret", 6, 1, 8 * 1024 * 1024,
                                  crypto_pwhash_ALG_ARGON2ID13), 0);
  for (const std::string& given :
       {bcrypt, "{BLF-CRYPT}" + bcrypt, "{CRYPT}" + bcrypt, sha512, "{SHA512-CRYPT}" + sha512,
        "{crypt}" + sha512, sha256, "{SHA256-CRYPT}" + sha256, yescrypt, "{CRYPT}" + yescrypt,
        ssha, "{ssha}" + ssha.substr(6), std::string(argon), "{ARGON2ID}" + std::string(argon)}) {
    const absl::StatusOr<std::string> hash = ParsePasswordHash(given);
    ASSERT_TRUE(hash.ok()) << given << ": " << hash.status();
    EXPECT_TRUE(VerifyPasswordHash(*hash, "secret")) << given;
    EXPECT_FALSE(VerifyPasswordHash(*hash, "secret ")) << given;
    EXPECT_FALSE(VerifyPasswordHash(*hash, "")) << given;
    EXPECT_FALSE(VerifyPasswordHash(*hash, std::string("secret\0", 7))) << given;
    EXPECT_EQ(IsOwnHash(*hash), given.find("argon") != std::string::npos) << given;
  }
}

TEST(PasswordHashTest, RefusesWhatIsUnknownMalformedOrTooCostly) {
  const std::string tail(53, 'a');
  for (const std::string& bad :
       {std::string(), std::string("secret"), std::string("{PLAIN}secret"), std::string("{SSHA"),
        std::string("{MD5-CRYPT}$1$salt$hash"), std::string("$1$salt$hash"),
        std::string("{SSHA}"), std::string("{SSHA}AAAA"), std::string("{SSHA}***"),
        "$2y$15$" + tail, "$2y$xx$" + tail, std::string("$2y$10$short"),
        std::string("$2y$10$") + std::string(52, 'a') + "\n",
        "$6$rounds=99999999$salt$" + std::string(86, 'a'),
        "$6$rounds=x$salt$" + std::string(86, 'a'), std::string("$6$salt$short"),
        "$5$salt$" + std::string(86, 'a'), std::string("$6$nosalt"),
        std::string("$y$jFT$saltsalt$hashhashhash"), std::string("$y$j9T$saltsalthashhashhash"),
        std::string("$argon2id$v=19$m=9999999,t=3,p=1$c2FsdHNhbHQ$aGFzaA"),
        std::string("$argon2id$nonsense"), std::string("$argon2i$v=19$m=65536,t=3,p=1$c2F$aGFz"),
        std::string(1000, 'a')}) {
    const absl::StatusOr<std::string> hash = ParsePasswordHash(bad);
    EXPECT_EQ(FailureOf(hash.status()), Failure::kInvalidArgument) << bad;
    EXPECT_FALSE(VerifyPasswordHash(bad, "secret")) << bad;
  }
}

}  // namespace
}  // namespace posthorn::mailbox
