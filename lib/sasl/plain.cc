// RFC 4616 section 2:
//   message   = [authzid] UTF8NUL authcid UTF8NUL passwd
//   authcid   = 1*SAFE ; passwd = 1*SAFE    any character but NUL, at most 255 octets expected
// and LOGIN, which was never standardised: the name and the password, each asked for.

#include <string>

#include "absl/strings/match.h"
#include "lib/sasl/mechanisms.h"

namespace posthorn::sasl {
namespace {

class Plain final : public Exchange {
 public:
  Step Supply(Answer answer) override {
    return std::holds_alternative<Accepted>(answer) ? Step(Done{}) : Refuse();
  }

 protected:
  Step Respond(std::string message) override {
    constexpr std::string_view kWrong = "Invalid PLAIN message";
    const std::size_t first = message.find('\0');
    if (first == std::string::npos) return Malformed(kWrong);
    const std::size_t second = message.find('\0', first + 1);
    if (second == std::string::npos || message.find('\0', second + 1) != std::string::npos) {
      return Malformed(kWrong);
    }
    const std::string authzid = message.substr(0, first);
    std::string name = message.substr(first + 1, second - first - 1);
    std::string password = message.substr(second + 1);
    if (name.empty() || password.empty() || name.size() > kMaxField ||
        password.size() > kMaxField) {
      return Malformed(kWrong);
    }
    // Nobody acts as somebody else.
    if (!authzid.empty() && !absl::EqualsIgnoreCase(authzid, name)) return Refuse();
    return NeedPasswordCheck(std::move(name), std::move(password));
  }
};

class LoginMechanism final : public Exchange {
 public:
  Step Supply(Answer answer) override {
    return std::holds_alternative<Accepted>(answer) ? Step(Done{}) : Refuse();
  }

 protected:
  std::string FirstChallenge() const override { return "Username:"; }

  Step Respond(std::string text) override {
    if (text.empty() || text.size() > kMaxField || text.find('\0') != std::string::npos) {
      return Malformed("Invalid LOGIN response");
    }
    if (name_.empty()) {
      name_ = std::move(text);
      return Challenge("Password:");
    }
    return NeedPasswordCheck(std::move(name_), std::move(text));
  }

 private:
  std::string name_;
};

}  // namespace

std::unique_ptr<Exchange> MakePlain() { return std::make_unique<Plain>(); }
std::unique_ptr<Exchange> MakeLogin() { return std::make_unique<LoginMechanism>(); }

}  // namespace posthorn::sasl
