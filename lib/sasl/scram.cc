// RFC 5802 section 7:
//   client-first  = gs2-header [reserved-mext ","] username "," nonce ["," extensions]
//   gs2-header    = ("p=" cb-name / "n" / "y") "," ["a=" saslname] ","
//   username      = "n=" saslname            "=2C" stands for ",", "=3D" for "="
//   nonce         = "r=" printable           %x21-2B / %x2D-7E
//   server-first  = nonce ",s=" base64 ",i=" number
//   client-final  = "c=" base64 "," nonce ["," extensions] ",p=" base64
//   server-final  = "v=" base64
// cb-name = 1*(ALPHA / DIGIT / "." / "-"); c= is base64 of the gs2-header and the binding's data.

#include "lib/sasl/scram.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/sasl/base64.h"
#include "lib/sasl/mechanisms.h"

namespace posthorn::sasl {
namespace {

constexpr std::size_t kMaxNonce = 256;

// Takes what comes before the next comma, and the comma; without one all of `text`.
std::string_view TakeItem(std::string_view& text) {
  const std::size_t comma = text.find(',');
  const std::string_view item = text.substr(0, comma);
  text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  return item;
}

// The value of `item` if it is "<key>=value" with a value.
std::optional<std::string_view> ValueOf(std::string_view item, char key) {
  if (item.size() < 3 || item[0] != key || item[1] != '=') return std::nullopt;
  return item.substr(2);
}

std::optional<std::string> Saslname(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    if (text.front() == '\0') return std::nullopt;
    if (text.front() != '=') {
      name += text.front();
      text.remove_prefix(1);
      continue;
    }
    if (text.starts_with("=2C")) {
      name += ',';
    } else if (text.starts_with("=3D")) {
      name += '=';
    } else {
      return std::nullopt;
    }
    text.remove_prefix(3);
  }
  if (name.empty() || name.size() > kMaxField) return std::nullopt;
  return name;
}

bool IsNonce(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNonce &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

bool IsBindingName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
  });
}

class Scram final : public Exchange {
 public:
  Scram(bool plus, ServerSide server) : plus_(plus), server_(std::move(server)) {}

  Step Supply(Answer answer) override {
    if (const auto* parameters = std::get_if<ScramParameters>(&answer)) {
      server_first_ = absl::StrCat("r=", nonce_, ",s=", EncodeBase64(parameters->salt),
                                   ",i=", parameters->iterations);
      phase_ = Phase::kFinal;
      return Challenge(server_first_);
    }
    if (const auto* signature = std::get_if<ScramSignature>(&answer)) {
      // None of the three protocols has a place for data in its success: it travels as a challenge,
      // to which the client has nothing to say (RFC 4422 section 5).
      phase_ = Phase::kAcknowledgement;
      return Challenge("v=" + EncodeBase64(signature->signature));
    }
    return Refuse();
  }

 protected:
  Step Respond(std::string response) override {
    switch (phase_) {
      case Phase::kFirst: return OnFirst(response);
      case Phase::kFinal: return OnFinal(response);
      case Phase::kAcknowledgement: break;
    }
    return response.empty() ? Step(Done{}) : Malformed("Expected an empty response");
  }

 private:
  enum class Phase { kFirst, kFinal, kAcknowledgement };

  Step OnFirst(std::string_view message) {
    std::string_view rest = message;
    const std::string_view flag = TakeItem(rest);
    if (flag.starts_with("p=")) {
      const std::string_view type = flag.substr(2);
      if (!IsBindingName(type)) return Malformed("Invalid channel binding");
      if (!plus_) return Malformed("Channel binding needs the -PLUS mechanism");
      for (const ChannelBinding& binding : server_.bindings) {
        if (binding.type == type) binding_ = binding.data;
      }
      if (!binding_.has_value()) return Malformed("Channel binding type not supported");
    } else if (flag == "n" || flag == "y") {
      if (plus_) return Malformed("The -PLUS mechanism needs channel binding");
      // The client could bind and saw no -PLUS, though it was offered: somebody has removed it
      // from the list on the way.
      if (flag == "y" && !server_.bindings.empty()) return Refuse();
    } else {
      return Malformed("Invalid GS2 header");
    }
    const std::string_view authzid = TakeItem(rest);
    gs2_header_ = std::string(message.substr(0, message.size() - rest.size()));
    if (gs2_header_.back() != ',') return Malformed("Invalid GS2 header");
    client_first_bare_ = std::string(rest);

    const std::string_view user_item = TakeItem(rest);
    if (user_item.starts_with("m=")) return Malformed("Mandatory extension not supported");
    const std::optional<std::string_view> user = ValueOf(user_item, 'n');
    const std::optional<std::string> name = user ? Saslname(*user) : std::nullopt;
    if (!name.has_value()) return Malformed("Invalid user name");
    const std::optional<std::string_view> nonce = ValueOf(TakeItem(rest), 'r');
    if (!nonce || !IsNonce(*nonce)) return Malformed("Invalid nonce");
    nonce_ = absl::StrCat(std::string(*nonce), server_.nonce);

    std::optional<std::string> prepared = Saslprep(*name);
    if (!prepared.has_value() || prepared->empty()) return Malformed("Invalid user name");
    name_ = *std::move(prepared);
    if (!authzid.empty()) {
      const std::optional<std::string_view> other = ValueOf(authzid, 'a');
      const std::optional<std::string> other_name = other ? Saslname(*other) : std::nullopt;
      if (!other_name.has_value()) return Malformed("Invalid authorisation identity");
      // Nobody acts as somebody else.
      if (!absl::EqualsIgnoreCase(*other_name, *name)) return Refuse();
    }
    return NeedVerifier(name_);
  }

  Step OnFinal(std::string_view message) {
    // The proof is last, so that what it covers can be cut off before it.
    const std::size_t last = message.rfind(",p=");
    if (last == std::string_view::npos) return Malformed("Proof missing");
    const std::string_view without_proof = message.substr(0, last);
    const std::optional<std::string> proof = DecodeBase64(message.substr(last + 3));
    if (!proof.has_value() || proof->size() != kScramKeySize) return Malformed("Invalid proof");

    std::string_view rest = without_proof;
    const std::optional<std::string_view> encoded = ValueOf(TakeItem(rest), 'c');
    const std::optional<std::string> input = encoded ? DecodeBase64(*encoded) : std::nullopt;
    if (!input.has_value()) return Malformed("Invalid channel binding");
    const std::optional<std::string_view> nonce = ValueOf(TakeItem(rest), 'r');
    if (!nonce.has_value()) return Malformed("Nonce missing");
    if (rest.starts_with("m=")) return Malformed("Mandatory extension not supported");
    // What was said at first must be what is sealed by the proof now, and the channel the same.
    if (*input != gs2_header_ + binding_.value_or(std::string()) || *nonce != nonce_) {
      return Refuse();
    }
    NeedProofCheck check;
    check.name = name_;
    check.auth_message =
        absl::StrCat(client_first_bare_, ",", server_first_, ",", std::string(without_proof));
    check.proof = *proof;
    return check;
  }

  const bool plus_;
  const ServerSide server_;
  Phase phase_ = Phase::kFirst;
  std::optional<std::string> binding_;  // data, if the client binds
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
  std::string nonce_;  // the client's and ours
  std::string name_;
};

}  // namespace

std::unique_ptr<Exchange> MakeScram(bool plus, ServerSide server) {
  return std::make_unique<Scram>(plus, std::move(server));
}

}  // namespace posthorn::sasl
