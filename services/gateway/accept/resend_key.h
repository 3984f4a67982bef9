#ifndef POSTHORN_SERVICES_GATEWAY_ACCEPT_RESEND_KEY_H_
#define POSTHORN_SERVICES_GATEWAY_ACCEPT_RESEND_KEY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"

namespace posthorn::gateway {

// How a message that is sent again after a lost reply is recognised: SHA-256 of reverse-path, NUL,
// Message-ID, NUL, body as received; empty without a Message-ID. Yields between the pieces of a
// large body.
Task<absl::StatusOr<std::string>> ResendKey(std::string reverse_path, std::string message_id,
                                            std::shared_ptr<const net::StagedBody> body);

// The key of a message with these recipients, in any order: who sends one message to several sets
// of recipients, one after the other, sends different things. Empty if `resend_key` is.
std::string EnvelopeResendKey(const std::string& resend_key, std::vector<std::string> recipients);

// `key` of `sender`, as it is known in the envelopes of another tenant: no other sender's key there
// is the same. At most 85 characters.
std::string ForeignIdempotencyKey(TenantId sender, const std::string& key);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_ACCEPT_RESEND_KEY_H_
