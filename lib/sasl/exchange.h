#ifndef POSTHORN_LIB_SASL_EXCHANGE_H_
#define POSTHORN_LIB_SASL_EXCHANGE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"

// The server's side of SASL (RFC 4422), without a socket, a clock or a store. Every mechanism is an
// Exchange: it takes what the client says, decoded, and answers with a Step. A step either speaks
// to the client, or names what somebody else has to find out; the caller finds out, tells it with
// Supply, and gets the next step. SMTP AUTH (RFC 4954), IMAP AUTHENTICATE (RFC 3501, RFC 4959) and
// POP3 AUTH (RFC 5034) differ only in how they carry the octets.
namespace posthorn::sasl {

enum class Mechanism {
  kPlain,            // RFC 4616
  kLogin,            // two prompts; what old clients speak
  kScramSha256,      // RFC 5802, RFC 7677
  kScramSha256Plus,  // the same, bound to the TLS channel
  kOauthBearer,      // RFC 7628
  kXoauth2,          // the older form of the same
};

// "SCRAM-SHA-256-PLUS"; in any case.
std::optional<Mechanism> MechanismByName(std::string_view name);
std::string_view NameOf(Mechanism mechanism);

// What the client is told and asked for next, decoded; its response goes to OnResponse.
struct Challenge {
  explicit Challenge(std::string data_in) : data(std::move(data_in)) {}
  std::string data;
};
// Is this the password? Answer: Accepted or Refused.
struct NeedPasswordCheck {
  NeedPasswordCheck(std::string name_in, std::string password_in)
      : name(std::move(name_in)), password(std::move(password_in)) {}
  std::string name;
  std::string password;
};
// With which salt and count are the keys of this name made? Answer: ScramParameters, for a name
// that nobody has too.
struct NeedVerifier {
  explicit NeedVerifier(std::string name_in) : name(std::move(name_in)) {}
  std::string name;
};
// Does the proof fit a key of this name (scram.h: CheckProof)? Answer: ScramSignature or Refused.
struct NeedProofCheck {
  std::string name;
  std::string auth_message;  // RFC 5802 section 3
  std::string proof;         // 32 octets
};
// Whose token is it? `name` is what the client claims, empty if it leaves that to the token.
// Answer: Accepted or Refused.
struct NeedToken {
  NeedToken(std::string name_in, std::string token_in)
      : name(std::move(name_in)), token(std::move(token_in)) {}
  std::string name;
  std::string token;
};
struct Done {};
// kSyntax: cannot be read as this mechanism. kAuthenticationFailed: all that is wrong otherwise.
struct Failed {
  explicit Failed(absl::Status status_in) : status(std::move(status_in)) {}
  absl::Status status;
};
using Step = std::variant<Challenge, NeedPasswordCheck, NeedVerifier, NeedProofCheck, NeedToken,
                          Done, Failed>;

struct Accepted {};
struct Refused {};
struct ScramParameters {
  ScramParameters(std::string salt_in, int iterations_in)
      : salt(std::move(salt_in)), iterations(iterations_in) {}
  std::string salt;
  int iterations;
};
struct ScramSignature {
  explicit ScramSignature(std::string signature_in) : signature(std::move(signature_in)) {}
  std::string signature;  // ServerSignature, 32 octets
};
using Answer = std::variant<Accepted, Refused, ScramParameters, ScramSignature>;

// What ties an exchange to the TLS connection below it.
struct ChannelBinding {
  ChannelBinding(std::string type_in, std::string data_in)
      : type(std::move(type_in)), data(std::move(data_in)) {}
  std::string type;  // "tls-exporter" (RFC 9266), "tls-server-end-point" (RFC 5929)
  std::string data;
};

// What the server brings along.
struct ServerSide {
  std::string nonce;  // random, printable without a comma; for SCRAM
  // Channel bindings of this connection. Not empty means that -PLUS was offered, so a client that
  // says it was not has been lied to (RFC 5802 section 6).
  std::vector<ChannelBinding> bindings;
};

// One authentication, from the mechanism's name to Done or Failed; nothing is called after these.
class Exchange {
 public:
  // Longer responses are malformed; a token is the longest of them.
  static constexpr std::size_t kMaxResponse = 16 * 1024;

  virtual ~Exchange() = default;

  // The first step. `initial` is the client's initial response, decoded; without one a mechanism
  // in which the client speaks first answers an empty challenge.
  Step Start(std::optional<std::string> initial);
  // The client's answer to a Challenge.
  Step OnResponse(std::string response);
  // What a Need step asked for; of its kind, or Refused.
  virtual Step Supply(Answer answer) = 0;

 protected:
  // LOGIN's server speaks first.
  virtual std::string FirstChallenge() const { return {}; }
  virtual Step Respond(std::string response) = 0;
};

std::unique_ptr<Exchange> MakeExchange(Mechanism mechanism, ServerSide server);

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_EXCHANGE_H_
