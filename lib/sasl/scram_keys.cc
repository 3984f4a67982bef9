#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

#include "lib/sasl/scram.h"

namespace posthorn::sasl {
namespace {

const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Hmac(std::string_view key, std::string_view text) {
  std::string out(kScramKeySize, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Octets(text), text.size(),
       reinterpret_cast<unsigned char*>(out.data()), &size);
  return out;
}

std::string Hash(std::string_view text) {
  std::string out(kScramKeySize, '\0');
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()), &size,
             EVP_sha256(), nullptr);
  return out;
}

}  // namespace

ScramKeys MakeScramKeys(std::string_view password, std::string_view salt, int iterations) {
  const std::string prepared = PreparePassword(password);
  std::string salted(kScramKeySize, '\0');
  // Hi() is PBKDF2 with HMAC and one block of output (RFC 5802 section 2.2).
  PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), Octets(salt),
                    static_cast<int>(salt.size()), iterations, EVP_sha256(),
                    static_cast<int>(salted.size()),
                    reinterpret_cast<unsigned char*>(salted.data()));
  ScramKeys keys;
  keys.stored_key = Hash(Hmac(salted, "Client Key"));
  keys.server_key = Hmac(salted, "Server Key");
  OPENSSL_cleanse(salted.data(), salted.size());
  return keys;
}

std::optional<std::string> CheckProof(const ScramKeys& keys, std::string_view auth_message,
                                      std::string_view proof) {
  if (proof.size() != kScramKeySize || keys.stored_key.size() != kScramKeySize) {
    return std::nullopt;
  }
  std::string client_key = Hmac(keys.stored_key, auth_message);  // ClientSignature, so far
  for (std::size_t i = 0; i < kScramKeySize; ++i) {
    client_key[i] = static_cast<char>(client_key[i] ^ proof[i]);
  }
  const std::string stored_key = Hash(client_key);
  if (CRYPTO_memcmp(stored_key.data(), keys.stored_key.data(), kScramKeySize) != 0) {
    return std::nullopt;
  }
  return Hmac(keys.server_key, auth_message);
}

std::optional<std::string> Saslprep(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  char* out = nullptr;
  const int result = gsasl_saslprep(terminated.c_str(), GSASL_ALLOW_UNASSIGNED, &out, nullptr);
  if (result != GSASL_OK || out == nullptr) return std::nullopt;
  std::string prepared(out);
  std::free(out);  // allocated by the library with malloc
  return prepared;
}

std::string PreparePassword(std::string_view password) {
  std::optional<std::string> prepared = Saslprep(password);
  if (!prepared.has_value() || prepared->empty()) return std::string(password);
  return *std::move(prepared);
}

}  // namespace posthorn::sasl
