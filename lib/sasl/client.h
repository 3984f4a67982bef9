#ifndef POSTHORN_LIB_SASL_CLIENT_H_
#define POSTHORN_LIB_SASL_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::sasl {

// The client's side of one login with a name and a password, by the best mechanism that both sides
// have: SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616), LOGIN. Belongs to one thread. Challenges and
// responses are base64, as SMTP carries them.
class ClientLogin {
 public:
  // kAuthenticationFailed: none of `offered` is known here, or the name or password cannot be sent.
  static absl::StatusOr<std::unique_ptr<ClientLogin>> Start(const std::vector<std::string>& offered,
                                                            std::string_view username,
                                                            std::string_view password);
  ~ClientLogin();
  ClientLogin(const ClientLogin&) = delete;
  ClientLogin& operator=(const ClientLogin&) = delete;

  const std::string& mechanism() const { return mechanism_; }
  // To be sent with the mechanism's name ("=" if it is there and empty); empty: there is none, and
  // the server speaks first.
  const std::string& initial_response() const { return initial_response_; }
  // kAuthenticationFailed: the challenge is malformed, or the server has not proven that it knows
  // the password either: cancel.
  absl::StatusOr<std::string> Answer(std::string_view challenge);
  // The mechanism has nothing more to say: only now a success of the server means one.
  bool done() const { return done_; }

 private:
  struct Session;
  ClientLogin();
  std::unique_ptr<Session> session_;
  std::string mechanism_;
  std::string initial_response_;
  bool done_ = false;
};

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_CLIENT_H_
