#include "lib/sasl/jwt.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/failure.h"
#include "lib/sasl/base64.h"

namespace posthorn::sasl {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1700000000);

std::string Url(const std::string& octets) {
  std::string text;
  absl::WebSafeBase64Escape(octets, &text);
  return text;
}

std::string NumberOf(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &number), 1);
  const int octets = size > 0 ? size : BN_num_bytes(number);
  std::string out(static_cast<std::size_t>(octets), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), octets);
  BN_free(number);
  return out;
}

// A key pair that signs tokens.
class Signer {
 public:
  explicit Signer(std::string algorithm) : algorithm_(std::move(algorithm)) {
    key_ = algorithm_ == "RS256"   ? EVP_RSA_gen(2048)
           : algorithm_ == "ES256" ? EVP_EC_gen("P-256")
                                   : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  ~Signer() { EVP_PKEY_free(key_); }

  std::string Jwk(const std::string& id) const {
    const std::string common = absl::StrCat("\"kid\":\"", id, "\",\"use\":\"sig\"");
    if (algorithm_ == "RS256") {
      return absl::StrCat("{\"kty\":\"RSA\",\"n\":\"", Url(NumberOf(key_, OSSL_PKEY_PARAM_RSA_N, 0)),
                          "\",\"e\":\"", Url(NumberOf(key_, OSSL_PKEY_PARAM_RSA_E, 0)), "\",",
                          common, "}");
    }
    if (algorithm_ == "ES256") {
      return absl::StrCat("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"",
                          Url(NumberOf(key_, OSSL_PKEY_PARAM_EC_PUB_X, 32)), "\",\"y\":\"",
                          Url(NumberOf(key_, OSSL_PKEY_PARAM_EC_PUB_Y, 32)), "\",", common, "}");
    }
    std::string x(32, '\0');
    std::size_t size = x.size();
    EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(x.data()), &size);
    return absl::StrCat("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"", Url(x), "\",", common, "}");
  }

  std::string Sign(const std::string& header, const std::string& claims) const {
    const std::string input = absl::StrCat(Url(header), ".", Url(claims));
    const EVP_MD* digest = algorithm_ == "EdDSA" ? nullptr : EVP_sha256();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t size = 512;
    std::string signature(size, '\0');
    EVP_DigestSignInit(context, nullptr, digest, nullptr, key_);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                   reinterpret_cast<const unsigned char*>(input.data()), input.size());
    EVP_MD_CTX_free(context);
    signature.resize(size);
    if (algorithm_ == "ES256") {
      const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
      ECDSA_SIG* both = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(size));
      std::string flat(64, '\0');
      auto* out = reinterpret_cast<unsigned char*>(flat.data());
      BN_bn2binpad(ECDSA_SIG_get0_r(both), out, 32);
      BN_bn2binpad(ECDSA_SIG_get0_s(both), out + 32, 32);
      ECDSA_SIG_free(both);
      signature = flat;
    }
    return absl::StrCat(input, ".", Url(signature));
  }
  std::string SignClaims(const std::string& claims) const {
    return Sign(absl::StrCat("{\"alg\":\"", algorithm_, "\",\"kid\":\"k\"}"), claims);
  }

 private:
  const std::string algorithm_;
  EVP_PKEY* key_;
};

JwkSet SetOf(const Signer& signer) {
  return JwkSet::Parse(absl::StrCat("{\"keys\":[", signer.Jwk("k"), "]}")).value();
}

JwtPolicy Policy() {
  JwtPolicy policy;
  policy.issuer = "https://id.example";
  policy.audience = "mail";
  return policy;
}

std::string Claims(const std::string& more, const std::string& issuer = "https://id.example") {
  return absl::StrCat("{\"iss\":\"", issuer, "\",\"email\":\"a@b.example\"", more, "}");
}

TEST(JwtTest, TakesGoodTokensOfEveryAlgorithm) {
  for (const char* algorithm : {"RS256", "ES256", "EdDSA"}) {
    const Signer signer(algorithm);
    const JwkSet keys = SetOf(signer);
    const std::string token =
        signer.SignClaims(Claims(",\"aud\":[\"x\",\"mail\"],\"exp\":1700000100,\"nbf\":1.5e9"));
    const absl::StatusOr<std::string> account = ValidateJwt(token, keys, Policy(), kNow);
    ASSERT_TRUE(account.ok()) << algorithm << ": " << account.status();
    EXPECT_EQ(*account, "a@b.example");
    EXPECT_EQ(ClaimedIssuer(token), "https://id.example");
    // One changed octet of each part.
    for (const std::size_t at : {std::size_t{5}, token.find('.') + 5, token.rfind('.') + 5}) {
      std::string broken = token;
      broken[at] = broken[at] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(ValidateJwt(broken, keys, Policy(), kNow).ok()) << algorithm << " " << at;
    }
    EXPECT_FALSE(ValidateJwt(token, SetOf(Signer(algorithm)), Policy(), kNow).ok());
  }
}

TEST(JwtTest, RefusesWhatThePolicyDoesNotAllow) {
  const Signer signer("ES256");
  const JwkSet keys = SetOf(signer);
  const std::string good = ",\"aud\":\"mail\",\"exp\":1700000100";
  struct Row {
    std::string claims;
    const char* reason;  // empty: good
  };
  const Row rows[] = {
      {Claims(good), ""},
      {Claims(",\"aud\":\"mail\",\"exp\":1699999950"), ""},  // within the leeway
      {Claims(",\"aud\":\"mail\",\"exp\":1699999940"), "token has expired"},
      {Claims(",\"aud\":\"mail\""), "token without an expiry time"},
      {Claims(",\"aud\":\"mail\",\"exp\":\"1700000100\""), "token without an expiry time"},
      {Claims(",\"aud\":\"mail\",\"exp\":1e300"), "token without an expiry time"},
      {Claims(good + ",\"nbf\":1700000050"), ""},
      {Claims(good + ",\"nbf\":1700000061"), "token is not valid yet"},
      {Claims(good + ",\"iat\":1700000061"), "token is not valid yet"},
      {Claims(good + ",\"nbf\":\"x\""), "token with a malformed time"},
      {Claims(",\"aud\":\"other\",\"exp\":1700000100"), "token for another audience"},
      {Claims(",\"aud\":[1,\"other\"],\"exp\":1700000100"), "token for another audience"},
      {Claims(",\"exp\":1700000100"), "token for another audience"},
      {Claims(good, "https://evil.example"), "token of another issuer"},
      {"{\"iss\":\"https://id.example\"" + good + "}", "token does not name an account"},
      {"{\"email\":7,\"iss\":\"https://id.example\"" + good + "}",
       "token does not name an account"},
      {Claims(good + ",\"email_verified\":true"), ""},
      {Claims(good + ",\"email_verified\":false"), "token with an address that is not verified"},
  };
  for (const Row& row : rows) {
    const absl::StatusOr<std::string> account =
        ValidateJwt(signer.SignClaims(row.claims), keys, Policy(), kNow);
    EXPECT_EQ(account.status().message(), row.reason) << row.claims;
    if (!account.ok()) {
      EXPECT_EQ(FailureOf(account.status()), Failure::kAuthenticationFailed);
    }
  }
  JwtPolicy by_name = Policy();
  by_name.account_claim = "preferred_username";
  const absl::StatusOr<std::string> account = ValidateJwt(
      signer.SignClaims(Claims(good + ",\"preferred_username\":\"c@d.example\"")), keys, by_name,
      kNow);
  EXPECT_EQ(account.value(), "c@d.example");
}

TEST(JwtTest, RefusesOtherAlgorithmsKeysAndForms) {
  const Signer signer("RS256");
  const JwkSet keys = SetOf(signer);
  const std::string claims = Claims(",\"aud\":\"mail\",\"exp\":1700000100");
  // Unsigned, and signed with the public key as an HMAC secret (RFC 8725 section 2.1).
  const std::string none = absl::StrCat(Url("{\"alg\":\"none\"}"), ".", Url(claims), ".");
  const std::string hmac_input = absl::StrCat(Url("{\"alg\":\"HS256\"}"), ".", Url(claims));
  const std::string secret = signer.Jwk("k");
  unsigned char mac[32];
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(hmac_input.data()), hmac_input.size(), mac, nullptr);
  const std::string hmac =
      absl::StrCat(hmac_input, ".", Url(std::string(reinterpret_cast<char*>(mac), 32)));
  const std::string refused[] = {
      none,
      hmac,
      signer.Sign("{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", claims),
      signer.Sign("{\"alg\":\"RS512\"}", claims),
      signer.Sign("{\"alg\":\"ES256\"}", claims),
      signer.Sign("{\"alg\":\"RS256\",\"kid\":\"other\"}", claims),
      signer.Sign("[]", claims),
      signer.Sign("{\"alg\":\"RS256\"}", "[]"),
      signer.Sign("{\"alg\":\"RS256\"}", "nonsense"),
      signer.SignClaims(claims) + ".x",
      signer.SignClaims(claims) + "=",
      "",
      ".",
      "..",
      "...",
      std::string(20000, 'a'),
  };
  for (const std::string& token : refused) {
    EXPECT_EQ(FailureOf(ValidateJwt(token, keys, Policy(), kNow).status()),
              Failure::kAuthenticationFailed)
        << token;
  }
  // Without a key id any key may have signed.
  EXPECT_TRUE(
      ValidateJwt(signer.Sign("{\"alg\":\"RS256\"}", claims), keys, Policy(), kNow).ok());
}

TEST(JwkSetTest, TheExamplesOfTheRfcs) {
  // RFC 7515 appendix A.3.
  const JwkSet es256 = JwkSet::Parse(
      R"({"keys":[{"kty":"EC","crv":"P-256",
      "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})").value();
  EXPECT_TRUE(es256.Verify(
      "ES256", "",
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
      "mNvbS9pc19yb290Ijp0cnVlfQ",
      *DecodeBase64Url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJq"
                       "PP3-Kg6NU1Q")));
  // RFC 8037 appendix A.4.
  const JwkSet eddsa = JwkSet::Parse(
      R"({"keys":[{"kty":"OKP","crv":"Ed25519",
      "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})").value();
  EXPECT_TRUE(eddsa.Verify(
      "EdDSA", "", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
      *DecodeBase64Url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVv"
                       "pAr_MuM0KAg")));
  EXPECT_FALSE(eddsa.Verify("EdDSA", "", "x", ""));
}

TEST(JwkSetTest, LeavesOutWhatItCannotUse) {
  const Signer good("EdDSA");
  const JwkSet keys = JwkSet::Parse(absl::StrCat(
      R"({"keys":[7,{},{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"AQAB","e":"AQAB"},
      {"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"},{"kty":"EC","crv":"P-521"},
      {"kty":"OKP","crv":"Ed25519","x":"AAAA"},{"kty":"EC","crv":"P-256",
      "x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},)",
      good.Jwk("k"), "]}")).value();
  EXPECT_EQ(keys.size(), 1u);
  for (const char* bad : {"", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[{}]}"}) {
    EXPECT_EQ(FailureOf(JwkSet::Parse(bad).status()), Failure::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace posthorn::sasl
