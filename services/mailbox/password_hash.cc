#include "services/mailbox/password_hash.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::mailbox {
namespace {

constexpr std::size_t kMaxHash = 512;
constexpr int kMaxBcryptCost = 14;
constexpr int kMaxShaRounds = 1000000;
constexpr int kMaxArgonPasses = 16;
constexpr int kMaxArgonKib = 256 * 1024;
constexpr std::size_t kSha1 = 20;
constexpr std::string_view kSsha = "{SSHA}";

absl::Status Refuse(std::string_view why) { return MakeFailure(Failure::kInvalidArgument, why); }

bool IsCryptText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '/' || c == '$' ||
           c == '=' || c == ',' || c == '+' || c == '-';
  });
}

// "$2y$10$" and 53 characters.
absl::Status CheckBcrypt(std::string_view hash) {
  int cost = 0;
  if (hash.size() != 60 || hash[6] != '$' ||
      !absl::SimpleAtoi(absl::string_view(hash.data() + 4, 2), &cost) || cost < 4) {
    return Refuse("a malformed bcrypt hash");
  }
  return cost <= kMaxBcryptCost ? absl::OkStatus() : Refuse("a bcrypt hash that costs too much");
}

// "$6$[rounds=N$]salt$hash", the hash of 43 characters for $5$ and 86 for $6$.
absl::Status CheckShaCrypt(std::string_view hash) {
  const std::size_t digest = hash[1] == '6' ? 86 : 43;
  std::string_view rest = hash.substr(3);
  if (rest.starts_with("rounds=")) {
    const std::size_t end = rest.find('$');
    int rounds = 0;
    if (end == std::string_view::npos ||
        !absl::SimpleAtoi(absl::string_view(rest.data() + 7, end - 7), &rounds)) {
      return Refuse("a malformed SHA-crypt hash");
    }
    if (rounds > kMaxShaRounds) return Refuse("a SHA-crypt hash that costs too much");
    rest.remove_prefix(end + 1);
  }
  const std::size_t dollar = rest.find('$');
  if (dollar == std::string_view::npos || dollar > 16 || rest.size() - dollar - 1 != digest) {
    return Refuse("a malformed SHA-crypt hash");
  }
  return absl::OkStatus();
}

// "$y$j9T$salt$hash": the letters after "j" are the logarithm of the memory and the block size.
absl::Status CheckYescrypt(std::string_view hash) {
  constexpr std::string_view kDigits =
      "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  if (hash.size() < 20 || hash[3] != 'j' || hash[6] != '$' ||
      std::count(hash.begin() + 7, hash.end(), '$') != 1) {
    return Refuse("a malformed yescrypt hash");
  }
  const std::size_t memory = kDigits.find(hash[4]);
  const std::size_t block = kDigits.find(hash[5]);
  // At most 64 MiB.
  if (memory > 13 || block > 31) return Refuse("a yescrypt hash that costs too much");
  return absl::OkStatus();
}

absl::Status CheckArgon(const std::string& hash) {
  int version = 0;
  int memory = 0;
  int passes = 0;
  int lanes = 0;
  int read = 0;
  if (std::sscanf(hash.c_str(), "$argon2id$v=%3d$m=%9d,t=%9d,p=%4d$%n", &version, &memory, &passes,
                  &lanes, &read) != 4 ||
      read == 0 || version != 19 || memory < 8 || passes < 1 || lanes < 1) {
    return Refuse("a malformed Argon2id hash");
  }
  if (memory > kMaxArgonKib || passes > kMaxArgonPasses || lanes > 16) {
    return Refuse("an Argon2id hash that costs too much");
  }
  return absl::OkStatus();
}

// Digest and salt of "{SSHA}...".
std::optional<std::string> SshaOctets(std::string_view hash) {
  std::string octets;
  hash.remove_prefix(kSsha.size());
  if (!absl::Base64Unescape(absl::string_view(hash.data(), hash.size()), &octets) ||
      octets.size() <= kSha1) {
    return std::nullopt;
  }
  return octets;
}

bool VerifySsha(const std::string& hash, const std::string& password) {
  const std::optional<std::string> octets = SshaOctets(hash);
  if (!octets.has_value()) return false;
  const std::string salted = absl::StrCat(password, octets->substr(kSha1));
  unsigned char digest[EVP_MAX_MD_SIZE];
  EVP_Digest(salted.data(), salted.size(), digest, nullptr, EVP_sha1(), nullptr);
  return CRYPTO_memcmp(digest, octets->data(), kSha1) == 0;
}

bool VerifyCrypt(const std::string& hash, const std::string& password) {
  if (password.find('\0') != std::string::npos) return false;
  const auto data = std::make_unique<crypt_data>();
  const char* made = crypt_r(password.c_str(), hash.c_str(), data.get());
  return made != nullptr && std::strlen(made) == hash.size() &&
         CRYPTO_memcmp(made, hash.data(), hash.size()) == 0;
}

}  // namespace

absl::StatusOr<std::string> ParsePasswordHash(std::string_view text) {
  if (text.size() > kMaxHash) return Refuse("a hash that is too long");
  if (text.starts_with('{')) {
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) return Refuse("a password scheme that is not closed by }");
    const std::string scheme = absl::AsciiStrToUpper(absl::string_view(text.data() + 1, end - 1));
    text.remove_prefix(end + 1);
    if (scheme == "SSHA") {
      std::string hash = absl::StrCat(kSsha.data(), std::string(text));
      if (!SshaOctets(hash).has_value()) return Refuse("a malformed SSHA hash");
      return hash;
    }
    if (scheme != "BLF-CRYPT" && scheme != "SHA512-CRYPT" && scheme != "SHA256-CRYPT" &&
        scheme != "CRYPT" && scheme != "ARGON2ID") {
      return Refuse(absl::StrCat("a password scheme that is not known: ", scheme));
    }
  }
  std::string hash(text);
  absl::Status status = Refuse("a password hash of a kind that is not known");
  if (text.starts_with("$2a$") || text.starts_with("$2b$") || text.starts_with("$2y$")) {
    status = CheckBcrypt(text);
  } else if (text.starts_with("$6$") || text.starts_with("$5$")) {
    status = CheckShaCrypt(text);
  } else if (text.starts_with("$y$")) {
    status = CheckYescrypt(text);
  } else if (text.starts_with("$argon2id$")) {
    status = CheckArgon(hash);
  }
  if (status.ok() && !IsCryptText(text)) status = Refuse("a malformed password hash");
  if (!status.ok()) return status;
  return hash;
}

bool IsOwnHash(std::string_view hash) { return hash.starts_with("$argon2id$"); }

bool VerifyPasswordHash(const std::string& hash, const std::string& password) {
  if (IsOwnHash(hash)) {
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
  }
  return hash.starts_with(kSsha) ? VerifySsha(hash, password) : VerifyCrypt(hash, password);
}

}  // namespace posthorn::mailbox
