#include "services/gateway/imap/message_list.h"

#include <algorithm>
#include <utility>

#include "lib/imap/command.h"

namespace posthorn::gateway {

MessageList MessageList::Share() {
  MessageList other;
  other.size_ = size_;
  other.blocks_.reserve(blocks_.size());
  for (Slot& slot : blocks_) {
    slot.mine = false;
    other.blocks_.push_back(slot);
  }
  return other;
}

MessageList::Block& MessageList::MutableBlock(std::size_t index) {
  Slot& slot = blocks_[index];
  if (!slot.mine) {
    auto copy = std::make_shared<Block>();
    copy->messages = slot.block->messages;
    slot.block = std::move(copy);
    slot.mine = true;
  }
  slot.block->first_unseen.store(kNotLooked, std::memory_order_relaxed);
  return *slot.block;
}

MailboxMessage& MessageList::Mutable(std::size_t index) {
  return MutableBlock(index / kBlock).messages[index % kBlock];
}

void MessageList::Append(const MailboxMessage& message) {
  if (size_ % kBlock == 0) {
    Slot& slot = blocks_.emplace_back();
    slot.block = std::make_shared<Block>();
  }
  MutableBlock(blocks_.size() - 1).messages.push_back(message);
  ++size_;
}

void MessageList::RemoveExpunged() {
  // Blocks before the first of them stay as they are.
  std::size_t kept = 0;
  while (kept < size_ && !(*this)[kept].expunged) ++kept;
  for (std::size_t i = kept; i < size_; ++i) {
    const MailboxMessage message = (*this)[i];
    if (!message.expunged) Mutable(kept++) = message;
  }
  size_ = kept;
  blocks_.resize((size_ + kBlock - 1) / kBlock);
  if (size_ % kBlock != 0) MutableBlock(blocks_.size() - 1).messages.resize(size_ % kBlock);
}

void MessageList::ShrinkToFit() {
  blocks_.shrink_to_fit();
  if (!blocks_.empty() && blocks_.back().mine) blocks_.back().block->messages.shrink_to_fit();
}

std::size_t MessageList::LowerBound(Uid uid) const {
  const auto slot = std::lower_bound(
      blocks_.begin(), blocks_.end(), uid,
      [](const Slot& s, Uid wanted) { return s.block->messages.back().uid < wanted; });
  if (slot == blocks_.end()) return size_;
  const std::vector<MailboxMessage>& messages = slot->block->messages;
  const auto it = std::lower_bound(
      messages.begin(), messages.end(), uid,
      [](const MailboxMessage& message, Uid wanted) { return message.uid < wanted; });
  return static_cast<std::size_t>(slot - blocks_.begin()) * kBlock +
         static_cast<std::size_t>(it - messages.begin());
}

std::optional<std::size_t> MessageList::FirstUnseen() const {
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = *blocks_[i].block;
    std::int32_t first = block.first_unseen.load(std::memory_order_relaxed);
    if (first == kNotLooked) {
      const auto it = std::find_if(
          block.messages.begin(), block.messages.end(),
          [](const MailboxMessage& message) { return (message.system & imap::kSeen) == 0; });
      first = it == block.messages.end() ? kNone
                                         : static_cast<std::int32_t>(it - block.messages.begin());
      block.first_unseen.store(first, std::memory_order_relaxed);
    }
    if (first != kNone) return i * kBlock + static_cast<std::size_t>(first);
  }
  return std::nullopt;
}

}  // namespace posthorn::gateway
