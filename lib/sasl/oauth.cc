// OAUTHBEARER, RFC 7628 section 3.1:
//   client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep      kvsep = %x01
//   gs2-header  = ("n" / "y") "," ["a=" saslname] ","
//   kvpair      = key "=" value kvsep                           auth=Bearer <token>
// XOAUTH2, as Google describes it:
//   client-resp = "user=" name kvsep "auth=Bearer " token kvsep kvsep
// A token that is refused is answered by a challenge in JSON (RFC 7628 section 3.2.2), which the
// client acknowledges before it is told of the failure.

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/sasl/mechanisms.h"

namespace posthorn::sasl {
namespace {

constexpr char kSeparator = '\x01';

// Both forms end in "auth=Bearer token" among pairs; takes pairs up to the empty one at the end.
struct Pairs {
  bool valid = false;
  std::string user;
  std::string token;
};

Pairs ReadPairs(std::string_view text) {
  Pairs pairs;
  for (;;) {
    const std::size_t end = text.find(kSeparator);
    if (end == std::string_view::npos) return pairs;
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (pair.empty()) {
      pairs.valid = text.empty();
      return pairs;
    }
    const std::size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string_view::npos) return pairs;
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (key == "user") {
      pairs.user = std::string(value);
    } else if (key == "auth") {
      constexpr std::string_view kScheme = "bearer ";
      const absl::string_view given(value.data(), value.size());
      if (!absl::StartsWithIgnoreCase(given, kScheme.data())) return pairs;
      std::string_view token = value.substr(kScheme.size());
      while (token.starts_with(' ')) token.remove_prefix(1);
      pairs.token = std::string(token);
    }
  }
}

bool IsToken(const std::string& token) {
  if (token.empty()) return false;
  for (const char c : token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

bool IsName(const std::string& name) {
  return name.size() <= kMaxField && name.find('\0') == std::string::npos;
}

class Oauth : public Exchange {
 public:
  Step Supply(Answer answer) override {
    if (std::holds_alternative<Accepted>(answer)) return Done{};
    refused_ = true;
    return Challenge(Complaint());
  }

 protected:
  Step Respond(std::string response) override {
    // Whatever the client says to the complaint, the exchange is over.
    if (refused_) return Refuse();
    return OnToken(response);
  }

  virtual std::string Complaint() const = 0;
  virtual Step OnToken(std::string_view response) = 0;

 private:
  bool refused_ = false;
};

class OauthBearer final : public Oauth {
 protected:
  std::string Complaint() const override { return R"({"status":"invalid_token"})"; }

  Step OnToken(std::string_view response) override {
    constexpr std::string_view kWrong = "Invalid OAUTHBEARER message";
    const std::size_t separator = response.find(kSeparator);
    if (separator == std::string_view::npos) return Malformed(kWrong);
    std::string_view header = response.substr(0, separator);
    // Channel binding is not defined for it here: there is no -PLUS form.
    if (!header.starts_with("n,") && !header.starts_with("y,")) return Malformed(kWrong);
    header.remove_prefix(2);
    if (!header.ends_with(',')) return Malformed(kWrong);
    header.remove_suffix(1);
    std::string name;
    if (!header.empty()) {
      if (!header.starts_with("a=") || header.size() == 2) return Malformed(kWrong);
      header.remove_prefix(2);
      while (!header.empty()) {
        if (header.starts_with("=2C")) {
          name += ',';
          header.remove_prefix(3);
        } else if (header.starts_with("=3D")) {
          name += '=';
          header.remove_prefix(3);
        } else if (header.front() == '=' || header.front() == ',') {
          return Malformed(kWrong);
        } else {
          name += header.front();
          header.remove_prefix(1);
        }
      }
    }
    Pairs pairs = ReadPairs(response.substr(separator + 1));
    if (!pairs.valid || !IsToken(pairs.token) || !IsName(name)) return Malformed(kWrong);
    return NeedToken(std::move(name), std::move(pairs.token));
  }
};

class Xoauth2 final : public Oauth {
 protected:
  std::string Complaint() const override {
    return R"({"status":"401","schemes":"bearer","scope":"mail"})";
  }

  Step OnToken(std::string_view response) override {
    Pairs pairs = ReadPairs(response);
    if (!pairs.valid || !IsToken(pairs.token) || pairs.user.empty() || !IsName(pairs.user)) {
      return Malformed("Invalid XOAUTH2 message");
    }
    return NeedToken(std::move(pairs.user), std::move(pairs.token));
  }
};

}  // namespace

std::unique_ptr<Exchange> MakeOauthBearer() { return std::make_unique<OauthBearer>(); }
std::unique_ptr<Exchange> MakeXoauth2() { return std::make_unique<Xoauth2>(); }

}  // namespace posthorn::sasl
