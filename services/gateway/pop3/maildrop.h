#ifndef POSTHORN_SERVICES_GATEWAY_POP3_MAILDROP_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_MAILDROP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/pop3/command.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/clients/mail_store.h"

namespace posthorn::gateway {

// INBOX as a POP3 session sees it: the messages there at login, numbered from 1, in UID order. What
// arrives or goes later changes nothing in it (RFC 1939 section 4).
class Maildrop {
 public:
  struct Message {
    std::uint64_t size = 0;  // octets that RETR sends before dot-stuffing
    Uid uid = 0;
    bool deleted = false;
  };

  // Reads it from the store.
  static Task<absl::StatusOr<Maildrop>> Load(MailStore& store, TenantId tenant, AccountId account);

  // kNotFound for a number that is unknown or marked as deleted.
  absl::StatusOr<const Message*> Find(pop3::MessageNumber number) const;
  absl::Status Delete(pop3::MessageNumber number);
  void Reset();

  MailboxId mailbox() const { return mailbox_; }
  const std::vector<Message>& messages() const { return messages_; }
  // Not marked as deleted.
  std::size_t count() const { return count_; }
  std::uint64_t octets() const { return octets_; }
  // RFC 1939 section 7: stays the message's for ever.
  std::string UniqueId(const Message& message) const;
  // What is marked, as ranges of marked neighbours.
  std::vector<UidRange> Deleted() const;

 private:
  std::vector<Message> messages_;
  MailboxId mailbox_;
  std::uint32_t uid_validity_ = 0;
  std::size_t count_ = 0;
  std::uint64_t octets_ = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_MAILDROP_H_
