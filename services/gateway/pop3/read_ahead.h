#ifndef POSTHORN_SERVICES_GATEWAY_POP3_READ_AHEAD_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_READ_AHEAD_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/gateway/clients/mail_store.h"
#include "services/gateway/pop3/maildrop.h"

namespace posthorn::gateway {

// Small messages that a POP3 client is about to ask for, read before it does: nearly all clients
// take one after the other, and a call of the store for each costs several times what the message
// does. From the second message asked for in order, the following come in batches that double, and
// the next batch is under way while the last one is being sent. Nothing is kept of what was read
// before, or of messages asked for out of order.
//
// At most kOctets are in memory or under way. What was read more than kFresh ago is read again: a
// message that somebody expunges meanwhile is sent for that long at most.
// Belongs to one session, on its executor. Destroying it ends what is under way.
class ReadAhead {
 public:
  static constexpr std::size_t kOctets = 256 * 1024;
  static constexpr absl::Duration kFresh = absl::Seconds(10);

  // Both outlive it.
  ReadAhead(MailStore& store, const Clock& clock);

  // BODY[] of message `index` of `drop`, which is always the same drop; valid until the next call.
  // nullptr: it is not here, because it is large, out of order, gone or cannot be read. Reading it
  // alone tells which.
  Task<const std::string*> Find(TenantId tenant, AccountId account, const Maildrop& drop,
                                std::size_t index);

  // Forgets all, for a client that pauses.
  void Clear();

  // Octets of messages in memory, those under way not counted.
  std::size_t octets() const { return octets_; }

 private:
  struct Message {
    Message(Uid uid_in, std::string body_in, absl::Time read_at_in)
        : uid(uid_in), body(std::move(body_in)), read_at(read_at_in) {}
    Uid uid;
    std::string body;
    absl::Time read_at;
  };

  // Asks for the messages from `end_` on.
  void Start(TenantId tenant, AccountId account, const Maildrop& drop);
  // Waits for what is under way.
  Task<void> Receive();
  void DropBefore(Uid uid);
  bool HasExpired() const;

  MailStore& store_;
  const Clock& clock_;
  std::optional<std::size_t> last_;  // asked for by the client
  std::size_t end_ = 0;              // after the last message that a batch was to have
  std::size_t batch_octets_ = 0;     // of the last batch; 0: none since the client went out of order
  std::deque<Message> ready_;        // ascending
  std::size_t octets_ = 0;           // of ready_
  std::unique_ptr<Reader<std::vector<MessageData>>> under_way_;
  absl::Time started_;               // under_way_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_READ_AHEAD_H_
