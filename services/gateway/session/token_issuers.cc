#include "services/gateway/session/token_issuers.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::gateway {
namespace {

constexpr absl::Duration kLookAgain = absl::Seconds(5);
constexpr std::streamsize kMaxFile = 1 << 20;

// Changes when the file is written or replaced; empty if it is not there.
std::string StampOf(const std::string& file) {
  struct stat info{};
  if (stat(file.c_str(), &info) != 0) return {};
  return absl::StrCat(info.st_ino, "/", info.st_size, "/", info.st_mtim.tv_sec, ".",
                      info.st_mtim.tv_nsec);
}

}  // namespace

TokenIssuers::TokenIssuers(std::vector<TokenIssuerOptions> issuers, const Clock& clock)
    : clock_(clock) {
  for (TokenIssuerOptions& options : issuers) issuers_.emplace_back(std::move(options));
}

absl::StatusOr<std::unique_ptr<TokenIssuers>> TokenIssuers::Load(
    std::vector<TokenIssuerOptions> issuers, const Clock& clock) {
  std::unique_ptr<TokenIssuers> loaded(new TokenIssuers(std::move(issuers), clock));
  for (Issuer& issuer : loaded->issuers_) {
    if (absl::Status status = Read(issuer); !status.ok()) return status;
    issuer.looked_at = clock.Now();
  }
  return loaded;
}

absl::Status TokenIssuers::Read(Issuer& issuer) {
  const std::string& file = issuer.options.jwks_file;
  const auto complain = [&file](absl::string_view why) {
    return MakeFailure(Failure::kInvalidArgument, absl::StrCat(file, ": ", why));
  };
  std::string stamp = StampOf(file);
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return complain("cannot be read");
  std::string text(static_cast<std::size_t>(kMaxFile), '\0');
  stream.read(text.data(), kMaxFile);
  if (stream.gcount() == kMaxFile) return complain("is larger than 1 MiB");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  absl::StatusOr<sasl::JwkSet> keys = sasl::JwkSet::Parse(text);
  if (!keys.ok()) return complain(keys.status().message());
  issuer.keys = std::make_shared<const sasl::JwkSet>(*std::move(keys));
  issuer.stamp = std::move(stamp);
  return absl::OkStatus();
}

std::shared_ptr<const sasl::JwkSet> TokenIssuers::KeysOf(std::size_t index) {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  Issuer& issuer = issuers_[index];
  if (now - issuer.looked_at >= kLookAgain) {
    issuer.looked_at = now;
    if (StampOf(issuer.options.jwks_file) != issuer.stamp) {
      const absl::Status status = Read(issuer);
      if (status.ok()) {
        log::Info("login", "token keys read",
                  {{"file", issuer.options.jwks_file}, {"keys", issuer.keys->size()}});
      } else {
        log::Warn("login", "token keys not read, the old ones stay in force", {{"error", status}});
      }
    }
  }
  return issuer.keys;
}

absl::StatusOr<std::string> TokenIssuers::Validate(const std::string& token) {
  const std::string issuer = sasl::ClaimedIssuer(token);
  for (std::size_t i = 0; i < issuers_.size(); ++i) {
    if (issuers_[i].options.policy.issuer != issuer) continue;
    const std::shared_ptr<const sasl::JwkSet> keys = KeysOf(i);
    return sasl::ValidateJwt(token, *keys, issuers_[i].options.policy, clock_.Now());
  }
  return MakeFailure(Failure::kAuthenticationFailed, "token of an unknown issuer");
}

}  // namespace posthorn::gateway
