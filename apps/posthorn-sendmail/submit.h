#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_SUBMIT_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_SUBMIT_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "apps/posthorn-sendmail/exit_codes.h"
#include "apps/posthorn-sendmail/message.h"
#include "apps/posthorn-sendmail/settings.h"
#include "lib/maildrop/envelope.h"
#include "lib/smtp/client/session.h"

namespace posthorn::sendmail {

// What the platform said to an envelope.
struct Answer {
  // It is away, or wants it later: nothing of the message was taken, or it will know it again.
  bool later = false;
  std::string reason;  // of that
  std::vector<smtp::client::RecipientOutcome> outcomes;  // else; one a recipient
};

// The dialogue about one envelope: moves octets by the two functions, which fail when the platform
// is gone. `own_name`: who sends it, where the envelope does not say.
struct Transport {
  std::function<absl::Status(std::string_view)> write;
  std::function<absl::StatusOr<std::string>()> read;  // empty: closed
};
Answer Talk(const maildrop::Envelope& envelope, const std::string& own_name, const Store& body,
            const Transport& transport);

// Hands one envelope to the platform, or into the maildrop while it is away. Tells standard error
// what went wrong.
ExitCode Submit(const maildrop::Envelope& envelope, const std::string& own_name, const Store& body,
                const Settings& settings, bool verbose);

// In the maildrop, durably, when it is kOk.
ExitCode Spool(const maildrop::Envelope& envelope, const Store& body, const Settings& settings);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_SUBMIT_H_
