#ifndef POSTHORN_SERVICES_GATEWAY_TESTING_SCRAM_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_TESTING_SCRAM_CLIENT_H_

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/sasl/base64.h"

namespace posthorn::gateway {

// The client's side of SCRAM-SHA-256 (RFC 5802), for tests. Messages are not encoded.
class ScramClient {
 public:
  // `gs2_header`: "n,,", "y,,", "p=tls-exporter,,"; `binding`: the channel's data after it.
  ScramClient(std::string name, std::string password, std::string gs2_header = "n,,",
              std::string binding = "")
      : password_(std::move(password)),
        gs2_header_(std::move(gs2_header)),
        binding_(std::move(binding)),
        bare_(absl::StrCat("n=", name, ",r=client-nonce")) {}

  std::string First() const { return gs2_header_ + bare_; }

  std::string Final(const std::string& server_first) {
    const std::string nonce = Field(server_first, "r=");
    const std::string salt = sasl::DecodeBase64(Field(server_first, "s=")).value_or("");
    const int count = std::atoi(Field(server_first, "i=").c_str());
    std::string salted(32, '\0');
    PKCS5_PBKDF2_HMAC(password_.data(), static_cast<int>(password_.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()),
                      static_cast<int>(salt.size()), count, EVP_sha256(), 32,
                      reinterpret_cast<unsigned char*>(salted.data()));
    const std::string without_proof =
        absl::StrCat("c=", sasl::EncodeBase64(gs2_header_ + binding_), ",r=", nonce);
    const std::string auth_message = absl::StrCat(bare_, ",", server_first, ",", without_proof);
    std::string proof = Hmac(salted, "Client Key");
    std::string stored(32, '\0');
    EVP_Digest(proof.data(), proof.size(), reinterpret_cast<unsigned char*>(stored.data()),
               nullptr, EVP_sha256(), nullptr);
    const std::string signature = Hmac(stored, auth_message);
    for (std::size_t i = 0; i < 32; ++i) proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    server_final_ =
        "v=" + sasl::EncodeBase64(Hmac(Hmac(salted, "Server Key"), auth_message));
    return absl::StrCat(without_proof, ",p=", sasl::EncodeBase64(proof));
  }

  // What a server that knows the password answers to Final.
  const std::string& server_final() const { return server_final_; }

 private:
  static std::string Field(const std::string& message, const std::string& key) {
    const std::size_t begin = message.find(key);
    if (begin == std::string::npos) return "";
    const std::size_t end = message.find(',', begin);
    return message.substr(begin + 2, end == std::string::npos ? end : end - begin - 2);
  }
  static std::string Hmac(const std::string& key, const std::string& text) {
    unsigned char out[32];
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, nullptr);
    return std::string(reinterpret_cast<char*>(out), 32);
  }

  const std::string password_;
  const std::string gs2_header_;
  const std::string binding_;
  const std::string bare_;
  std::string server_final_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_TESTING_SCRAM_CLIENT_H_
