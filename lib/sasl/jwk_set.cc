#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <nlohmann/json.hpp>

#include "absl/strings/string_view.h"
#include "lib/base/failure.h"
#include "lib/sasl/base64.h"
#include "lib/sasl/json.h"
#include "lib/sasl/jwt.h"

namespace posthorn::sasl {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr std::size_t kEcCoordinate = 32;  // octets, P-256
constexpr std::size_t kMaxKeys = 64;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using BuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

NumberPtr Number(std::string_view octets) {
  return NumberPtr(BN_bin2bn(Octets(octets), static_cast<int>(octets.size()), nullptr));
}

PkeyPtr FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return PkeyPtr(key);
}

PkeyPtr RsaKey(const nlohmann::json& jwk) {
  const std::optional<std::string> n = DecodeBase64Url(json::String(jwk, "n"));
  const std::optional<std::string> e = DecodeBase64Url(json::String(jwk, "e"));
  if (!n || !e || n->empty() || e->empty() || n->size() > 2048 || e->size() > 8) return nullptr;
  const NumberPtr modulus = Number(*n);
  const NumberPtr exponent = Number(*e);
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  PkeyPtr key = FromParams("RSA", builder.get());
  if (key == nullptr || EVP_PKEY_get_bits(key.get()) < kMinRsaBits) return nullptr;
  return key;
}

PkeyPtr EcKey(const nlohmann::json& jwk) {
  if (json::String(jwk, "crv") != "P-256") return nullptr;
  const std::optional<std::string> x = DecodeBase64Url(json::String(jwk, "x"));
  const std::optional<std::string> y = DecodeBase64Url(json::String(jwk, "y"));
  if (!x || !y || x->size() != kEcCoordinate || y->size() != kEcCoordinate) return nullptr;
  const std::string point = "\x04" + *x + *y;  // uncompressed (SEC 1 section 2.3.3)
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return FromParams("EC", builder.get());
}

PkeyPtr EdKey(const nlohmann::json& jwk) {
  if (json::String(jwk, "crv") != "Ed25519") return nullptr;
  const std::optional<std::string> x = DecodeBase64Url(json::String(jwk, "x"));
  if (!x || x->size() != 32) return nullptr;
  PkeyPtr key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Octets(*x), x->size()));
  if (key == nullptr) ERR_clear_error();
  return key;
}

// RFC 7518 section 3.4 has r and s side by side, OpenSSL wants them in DER.
std::string EcdsaToDer(std::string_view signature) {
  if (signature.size() != 2 * kEcCoordinate) return {};
  NumberPtr r = Number(signature.substr(0, kEcCoordinate));
  NumberPtr s = Number(signature.substr(kEcCoordinate));
  const SignaturePtr both(ECDSA_SIG_new());
  if (both == nullptr || ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  unsigned char* out = nullptr;
  const int size = i2d_ECDSA_SIG(both.get(), &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

}  // namespace

struct JwkSet::Key {
  std::string id;
  std::string algorithm;
  PkeyPtr pkey;
};

JwkSet::JwkSet() = default;
JwkSet::JwkSet(JwkSet&&) noexcept = default;
JwkSet& JwkSet::operator=(JwkSet&&) noexcept = default;
JwkSet::~JwkSet() = default;

absl::StatusOr<JwkSet> JwkSet::Parse(std::string_view text) {
  const nlohmann::json document = json::Parse(text);
  const auto keys = document.is_object() ? document.find("keys") : document.end();
  if (!document.is_object() || keys == document.end() || !keys->is_array()) {
    return MakeFailure(Failure::kInvalidArgument, "not a JWK set");
  }
  JwkSet set;
  for (const nlohmann::json& jwk : *keys) {
    if (!jwk.is_object() || set.keys_.size() == kMaxKeys) continue;
    const std::string use = json::String(jwk, "use");
    if (!use.empty() && use != "sig") continue;
    const std::string type = json::String(jwk, "kty");
    auto key = std::make_unique<Key>();
    if (type == "RSA") {
      key->algorithm = "RS256";
      key->pkey = RsaKey(jwk);
    } else if (type == "EC") {
      key->algorithm = "ES256";
      key->pkey = EcKey(jwk);
    } else if (type == "OKP") {
      key->algorithm = "EdDSA";
      key->pkey = EdKey(jwk);
    }
    const std::string algorithm = json::String(jwk, "alg");
    const bool fits = algorithm.empty() || algorithm == key->algorithm;
    if (key->pkey == nullptr || !fits) continue;
    key->id = json::String(jwk, "kid");
    set.keys_.push_back(std::move(key));
  }
  if (set.keys_.empty()) {
    return MakeFailure(Failure::kInvalidArgument, "no RS256, ES256 or EdDSA key in the JWK set");
  }
  return set;
}

bool JwkSet::Verify(std::string_view algorithm, std::string_view key_id, std::string_view input,
                    std::string_view signature) const {
  for (const std::unique_ptr<Key>& key : keys_) {
    if (key->algorithm != algorithm || (!key_id.empty() && key->id != key_id)) continue;
    const std::string sealed =
        key->algorithm == "ES256" ? EcdsaToDer(signature) : std::string(signature);
    const EVP_MD* digest = key->algorithm == "EdDSA" ? nullptr : EVP_sha256();
    const DigestPtr context(EVP_MD_CTX_new());
    const bool good =
        EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key->pkey.get()) == 1 &&
        EVP_DigestVerify(context.get(), Octets(sealed), sealed.size(), Octets(input),
                         input.size()) == 1;
    ERR_clear_error();
    if (good) return true;
  }
  return false;
}

}  // namespace posthorn::sasl
