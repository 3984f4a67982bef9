#include "services/gateway/session/token_issuers.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

std::string Url(const std::string& octets) {
  std::string text;
  absl::WebSafeBase64Escape(octets, &text);
  return text;
}

// An Ed25519 key pair.
class Signer {
 public:
  Signer() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {}
  ~Signer() { EVP_PKEY_free(key_); }

  std::string KeySet() const {
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(x.data()), &size);
    return absl::StrCat(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":")", Url(x), "\"}]}");
  }
  std::string Token(const std::string& issuer, const std::string& email) const {
    const std::string input = absl::StrCat(
        Url("{\"alg\":\"EdDSA\"}"), ".",
        Url(absl::StrCat("{\"iss\":\"", issuer, "\",\"aud\":\"mail\",\"exp\":1800000000,\"email\":\"",
                         email, "\"}")));
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key_);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                   reinterpret_cast<const unsigned char*>(input.data()), input.size());
    EVP_MD_CTX_free(context);
    return absl::StrCat(input, ".", Url(signature));
  }

 private:
  EVP_PKEY* key_;
};

class TokenIssuersTest : public testing::Test {
 protected:
  ~TokenIssuersTest() override {
    std::remove(File("one").c_str());
    std::remove(File("two").c_str());
  }
  static std::string File(const std::string& name) {
    return absl::StrCat(testing::TempDir(), "/token_issuers_", name, ".json");
  }
  static void Write(const std::string& name, const std::string& text) {
    const std::string fresh = File(name) + ".new";
    std::ofstream(fresh) << text;
    std::rename(fresh.c_str(), File(name).c_str());
  }
  static TokenIssuerOptions Issuer(const std::string& name) {
    TokenIssuerOptions options;
    options.policy.issuer = name;
    options.policy.audience = "mail";
    options.jwks_file = File(name);
    return options;
  }

  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
};

TEST_F(TokenIssuersTest, EachIssuerSpeaksForItselfOnly) {
  const Signer one;
  const Signer two;
  Write("one", one.KeySet());
  Write("two", two.KeySet());
  std::unique_ptr<TokenIssuers> issuers =
      TokenIssuers::Load({Issuer("one"), Issuer("two")}, clock_).value();
  EXPECT_EQ(issuers->Validate(one.Token("one", "a@b.example")).value(), "a@b.example");
  EXPECT_EQ(issuers->Validate(two.Token("two", "a@b.example")).value(), "a@b.example");
  for (const std::string& bad : {two.Token("one", "a@b.example"), one.Token("two", "a@b.example"),
                                 one.Token("three", "a@b.example"), std::string("nonsense")}) {
    EXPECT_EQ(FailureOf(issuers->Validate(bad).status()), Failure::kAuthenticationFailed);
  }
}

TEST_F(TokenIssuersTest, KeysAreReadAgainWhenTheyChange) {
  const Signer old_key;
  const Signer new_key;
  Write("one", old_key.KeySet());
  std::unique_ptr<TokenIssuers> issuers = TokenIssuers::Load({Issuer("one")}, clock_).value();
  const auto takes = [&](const Signer& signer) {
    return issuers->Validate(signer.Token("one", "a@b.example")).ok();
  };
  EXPECT_TRUE(takes(old_key));
  Write("one", new_key.KeySet());
  clock_.Advance(absl::Seconds(6));
  EXPECT_TRUE(takes(new_key));
  EXPECT_FALSE(takes(old_key));
  // What cannot be read changes nothing.
  Write("one", "{}");
  clock_.Advance(absl::Seconds(6));
  EXPECT_TRUE(takes(new_key));
  std::remove(File("one").c_str());
  clock_.Advance(absl::Seconds(6));
  EXPECT_TRUE(takes(new_key));
}

TEST_F(TokenIssuersTest, AFileWithoutKeysIsAnErrorThatNamesIt) {
  const absl::StatusOr<std::unique_ptr<TokenIssuers>> none =
      TokenIssuers::Load({Issuer("one")}, clock_);
  EXPECT_EQ(none.status().message(), File("one") + ": cannot be read");
  Write("one", "{\"keys\":[]}");
  EXPECT_FALSE(TokenIssuers::Load({Issuer("one")}, clock_).ok());
}

}  // namespace
}  // namespace posthorn::gateway
