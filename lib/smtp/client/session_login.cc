// What comes between the greeting and the first mail: TLS that is asked for, and the login.

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/client/session.h"

namespace posthorn::smtp::client {

// STARTTLS is not there, or was refused.
void Session::WithoutTls() {
  if (!options_.require_tls) return LogIn();
  starttls_refused_ = true;
  Fail(MakeFailure(Failure::kTlsFailed, "the server does not offer STARTTLS"));
}

void Session::LogIn() {
  if (options_.authenticator == nullptr) return Become(State::kReady, Need::kReady, Stage::kMail);
  stage_ = Stage::kAuth;
  // RFC 4954 section 4: what is said in clear is said to everybody.
  if (!tls_active_) return LoginFailed("there is no TLS to log in under");
  const absl::StatusOr<std::string> begin = options_.authenticator->Begin(capabilities_.auth);
  if (!begin.ok()) return LoginFailed(std::string(begin.status().message()));
  absl::StrAppend(&output_, "AUTH ", *begin, "\r\n");
  Become(State::kAuth, Need::kReply, Stage::kAuth);
}

void Session::OnAuthReply(const Reply& reply) {
  if (reply.code == 334) {
    const absl::StatusOr<std::string> answer =
        options_.authenticator->Answer(reply.lines.empty() ? "" : reply.lines.back());
    if (!answer.ok()) return LoginFailed(std::string(answer.status().message()));
    absl::StrAppend(&output_, *answer, "\r\n");
    return Become(State::kAuth, Need::kReply, Stage::kAuth);
  }
  if (!reply.positive()) {
    return LoginFailed(absl::StrCat("the server said ", reply.code, " ", reply.text()));
  }
  if (!options_.authenticator->Done()) {
    return LoginFailed("the server has not proven that it knows the password");
  }
  Become(State::kReady, Need::kReady, Stage::kMail);
}

// Never a reason to return mail: the password is a setting of ours.
void Session::LoginFailed(std::string why) {
  login_failed_ = true;
  Fail(MakeFailure(Failure::kRemoteTemporary, absl::StrCat("login failed: ", why)));
}

}  // namespace posthorn::smtp::client
