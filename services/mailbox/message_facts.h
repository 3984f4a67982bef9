#ifndef POSTHORN_SERVICES_MAILBOX_MESSAGE_FACTS_H_
#define POSTHORN_SERVICES_MAILBOX_MESSAGE_FACTS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace posthorn::mime {
struct Message;
}

namespace posthorn::mailbox {

// What the email row keeps of a body, serialised by lib/mime.
struct MessageFacts {
  std::string envelope;
  std::string structure;
};

MessageFacts FactsOf(const mime::Message& message);
MessageFacts FactsOf(std::string_view body);

// Both in one value, for the column `info` of a body that is stored ahead of its messages.
std::string PackFacts(const MessageFacts& facts);
absl::StatusOr<MessageFacts> UnpackFacts(std::string_view info);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MESSAGE_FACTS_H_
