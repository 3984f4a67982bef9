#include "services/delivery/login.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/sasl/client.h"

namespace posthorn::delivery {
namespace {

class PasswordLogin final : public smtp::client::Authenticator {
 public:
  PasswordLogin(std::string username, std::string password)
      : username_(std::move(username)), password_(std::move(password)) {}

  absl::StatusOr<std::string> Begin(const std::vector<std::string>& mechanisms) override {
    absl::StatusOr<std::unique_ptr<sasl::ClientLogin>> login =
        sasl::ClientLogin::Start(mechanisms, username_, password_);
    if (!login.ok()) return login.status();
    login_ = *std::move(login);
    const std::string& first = login_->initial_response();
    return absl::StrCat(login_->mechanism(), first.empty() ? "" : " ", first);
  }
  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    return login_->Answer(challenge);
  }
  bool Done() const override { return login_->done(); }

 private:
  const std::string username_;
  const std::string password_;
  std::unique_ptr<sasl::ClientLogin> login_;
};

}  // namespace

std::optional<TlsLevel> TlsLevelFrom(std::string_view text) {
  if (text == "off") return TlsLevel::kOff;
  if (text == "opportunistic") return TlsLevel::kOpportunistic;
  if (text == "required") return TlsLevel::kEncrypted;
  if (text == "verified") return TlsLevel::kVerified;
  return std::nullopt;
}

std::unique_ptr<smtp::client::Authenticator> MakeLogin(const HostAccess* access) {
  if (access == nullptr || access->username.empty()) return nullptr;
  return std::make_unique<PasswordLogin>(access->username, access->password);
}

}  // namespace posthorn::delivery
