#include "services/gateway/accept/resend_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes) {
    EVP_DigestUpdate(context_, bytes.data(), bytes.size());
  }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_, digest, &length);
    return std::string(reinterpret_cast<const char*>(digest), length);
  }

 private:
  EVP_MD_CTX* context_;
};

}  // namespace

Task<absl::StatusOr<std::string>> ResendKey(std::string reverse_path, std::string message_id,
                                            std::shared_ptr<const net::StagedBody> body) {
  if (message_id.empty()) co_return std::string();
  Sha256 hash;
  // c_str(): with its NUL.
  hash.Update(std::string_view(reverse_path.c_str(), reverse_path.size() + 1));
  hash.Update(std::string_view(message_id.c_str(), message_id.size() + 1));
  if (body->in_memory()) {
    hash.Update(body->memory());
    co_return hash.Finish();
  }
  for (std::uint64_t offset = 0; offset < body->size();) {
    const absl::StatusOr<std::string> piece = body->Read(offset, kPiece);
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return absl::DataLossError("staged body is shorter than its size");
    hash.Update(*piece);
    offset += piece->size();
    co_await YieldNow();
  }
  co_return hash.Finish();
}

std::string EnvelopeResendKey(const std::string& resend_key, std::vector<std::string> recipients) {
  if (resend_key.empty()) return "";
  std::sort(recipients.begin(), recipients.end());
  Sha256 hash;
  hash.Update(resend_key);
  for (const std::string& recipient : recipients) {
    hash.Update(std::string_view(recipient.c_str(), recipient.size() + 1));
  }
  return hash.Finish();
}

std::string ForeignIdempotencyKey(TenantId sender, const std::string& key) {
  Sha256 hash;
  hash.Update(key);
  return absl::StrCat("t", sender.value(), ":", absl::BytesToHexString(hash.Finish()));
}

}  // namespace posthorn::gateway
