#include "lib/sasl/client.h"

#include <gsasl.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/sasl/base64.h"

namespace posthorn::sasl {
namespace {

struct Mechanism {
  const char* name;
  bool client_first;
};
// The best first. LOGIN was never specified: not every server takes a response before its question.
constexpr Mechanism kMechanisms[] = {
    {"SCRAM-SHA-256", true}, {"PLAIN", true}, {"LOGIN", false}};

absl::Status Failed(absl::string_view why) {
  return MakeFailure(Failure::kAuthenticationFailed, std::string(why));
}

}  // namespace

struct ClientLogin::Session {
  ~Session() {
    if (session != nullptr) gsasl_finish(session);
    if (context != nullptr) gsasl_done(context);
  }
  Gsasl* context = nullptr;
  Gsasl_session* session = nullptr;
};

ClientLogin::ClientLogin() : session_(std::make_unique<Session>()) {}
ClientLogin::~ClientLogin() = default;

absl::StatusOr<std::unique_ptr<ClientLogin>> ClientLogin::Start(
    const std::vector<std::string>& offered, std::string_view username,
    std::string_view password) {
  const std::string_view nul("\0", 1);
  if (username.find(nul) != std::string_view::npos ||
      password.find(nul) != std::string_view::npos) {
    return Failed("name or password has an octet 0");
  }
  const Mechanism* chosen = nullptr;
  for (const Mechanism& mechanism : kMechanisms) {
    for (const std::string& name : offered) {
      if (chosen == nullptr && absl::EqualsIgnoreCase(name, mechanism.name)) chosen = &mechanism;
    }
  }
  if (chosen == nullptr) return Failed("the server offers no mechanism for a password");
  std::unique_ptr<ClientLogin> login(new ClientLogin());
  login->mechanism_ = chosen->name;
  Session& session = *login->session_;
  if (gsasl_init(&session.context) != GSASL_OK ||
      gsasl_client_start(session.context, chosen->name, &session.session) != GSASL_OK) {
    return Failed("the mechanism can't be started");
  }
  gsasl_property_set(session.session, GSASL_AUTHID, std::string(username).c_str());
  gsasl_property_set(session.session, GSASL_PASSWORD, std::string(password).c_str());
  if (!chosen->client_first) return login;
  absl::StatusOr<std::string> first = login->Answer("");
  if (!first.ok()) return first.status();
  login->initial_response_ = first->empty() ? "=" : *std::move(first);
  return login;
}

absl::StatusOr<std::string> ClientLogin::Answer(std::string_view challenge) {
  if (done_) {
    // Once over there is nothing to ask for; what a server may still send is the empty challenge.
    if (challenge.empty()) return std::string();
    return Failed("the server asks for more than the mechanism has");
  }
  char* output = nullptr;
  const int result =
      gsasl_step64(session_->session, std::string(challenge).c_str(), &output);
  if (result != GSASL_OK && result != GSASL_NEEDS_MORE) {
    return Failed(absl::StrCat(mechanism_, ": ", gsasl_strerror(result)));
  }
  std::string response = output != nullptr ? output : "";
  gsasl_free(output);
  done_ = result == GSASL_OK;
  return response;
}

}  // namespace posthorn::sasl
