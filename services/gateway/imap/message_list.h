#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_MESSAGE_LIST_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_MESSAGE_LIST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/ids.h"

namespace posthorn::gateway {

// What a session keeps of one message of its mailbox.
struct MailboxMessage {
  // As many different sets of keywords as a mailbox may have; messages with others show none.
  static constexpr std::uint32_t kMaxKeywordSets = (1u << 22) - 1;

  ModSeq modseq = 0;
  Uid uid = 0;
  std::uint32_t size = 0;                // octets, at most 2^32 - 1
  std::int64_t received_seconds : 34 = 0;  // since the epoch: the years 1697 to 2242
  std::uint64_t keyword_set : 22 = 0;      // index; 0: none
  std::uint64_t system : 6 = 0;            // flag bits of imap::kSeen and so on
  std::uint64_t recent : 1 = 0;
  std::uint64_t expunged : 1 = 0;  // gone, but the client has not been told
};

// Messages in UID order, by index. Sessions share what none of them has changed since the list was
// shared: a list is a row of blocks, and a change copies the block it is in. One list is for one
// thread at a time; lists that share blocks may be on different ones.
class MessageList {
 public:
  static constexpr std::size_t kBlock = 1024;

  MessageList() = default;
  MessageList(MessageList&&) = default;
  MessageList& operator=(MessageList&&) = default;

  // Another list of the same messages. From now on both copy what they change.
  MessageList Share();

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  const MailboxMessage& operator[](std::size_t index) const {
    return blocks_[index / kBlock].block->messages[index % kBlock];
  }
  const MailboxMessage& back() const { return (*this)[size_ - 1]; }
  // For changes. Valid until the next call of a function that is not const.
  MailboxMessage& Mutable(std::size_t index);
  void Append(const MailboxMessage& message);
  // Removes the messages that are marked as expunged.
  void RemoveExpunged();
  // Nothing will be appended for a while.
  void ShrinkToFit();

  // Index of the first message with this UID or a higher one; size(): there is none.
  std::size_t LowerBound(Uid uid) const;
  // Index of the first message without \Seen. Remembered by block.
  std::optional<std::size_t> FirstUnseen() const;

 private:
  static constexpr std::int32_t kNotLooked = -2;
  static constexpr std::int32_t kNone = -1;

  struct Block {
    std::vector<MailboxMessage> messages;
    // Index of the first unseen one, or one of the above. Several threads may find it at once.
    mutable std::atomic<std::int32_t> first_unseen{kNotLooked};
  };
  struct Slot {
    std::shared_ptr<Block> block;
    bool mine = true;  // no other list has it
  };

  Block& MutableBlock(std::size_t slot);

  std::vector<Slot> blocks_;  // all full but the last
  std::size_t size_ = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_MESSAGE_LIST_H_
