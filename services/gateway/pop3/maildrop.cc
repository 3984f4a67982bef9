#include "services/gateway/pop3/maildrop.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/mime/structure.h"

namespace posthorn::gateway {
namespace {

// Does the message end without CRLF? For those without a stored structure of this version.
Task<absl::StatusOr<bool>> LacksLineEnd(MailStore& store, TenantId tenant, AccountId account,
                                        MailboxId mailbox, Uid uid, std::uint64_t size) {
  if (size == 0) co_return false;
  const std::uint64_t tail = std::min<std::uint64_t>(size, 2);
  const std::unique_ptr<Reader<std::string>> reader =
      store.ReadMessage(tenant, account, mailbox, uid, size - tail, tail);
  std::string end;
  for (;;) {
    absl::StatusOr<std::optional<std::string>> piece = co_await reader->Next();
    if (!piece.ok()) co_return piece.status();
    if (!piece->has_value()) co_return end != "\r\n";
    end += **piece;
  }
}

}  // namespace

Task<absl::StatusOr<Maildrop>> Maildrop::Load(MailStore& store, TenantId tenant,
                                              AccountId account) {
  Maildrop drop;
  const std::unique_ptr<Reader<MailboxBatch>> snapshot =
      store.OpenMailbox(tenant, account, "INBOX", false);
  for (;;) {
    absl::StatusOr<std::optional<MailboxBatch>> batch = co_await snapshot->Next();
    if (!batch.ok()) co_return batch.status();
    if (!batch->has_value()) break;
    if ((*batch)->info) {
      drop.mailbox_ = (*batch)->info->id;
      drop.uid_validity_ = (*batch)->info->uid_validity;
    }
    for (const MailEntry& entry : (*batch)->entries) {
      Message message;
      message.uid = entry.uid;
      message.size = entry.size;
      drop.messages_.push_back(message);
    }
  }

  // RETR ends every message with CRLF, and the size says so.
  if (!drop.messages_.empty()) {
    FetchParts parts;
    parts.structure = true;
    std::vector<UidRange> all;
    all.emplace_back(drop.messages_.front().uid, drop.messages_.back().uid);
    const std::unique_ptr<Reader<std::vector<MessageData>>> structures =
        store.Fetch(tenant, account, drop.mailbox_, std::move(all), parts);
    std::size_t next = 0;
    for (;;) {
      absl::StatusOr<std::optional<std::vector<MessageData>>> batch = co_await structures->Next();
      if (!batch.ok()) co_return batch.status();
      if (!batch->has_value()) break;
      for (const MessageData& data : **batch) {
        while (next < drop.messages_.size() && drop.messages_[next].uid < data.uid) ++next;
        if (next == drop.messages_.size() || drop.messages_[next].uid != data.uid) continue;
        Message& message = drop.messages_[next];
        const absl::StatusOr<mime::Structure> structure = mime::ParseStructure(data.structure);
        bool lacks = structure.ok() && structure->lacks_final_line_end;
        if (!structure.ok()) {
          const absl::StatusOr<bool> looked = co_await LacksLineEnd(
              store, tenant, account, drop.mailbox_, message.uid, message.size);
          if (!looked.ok() && FailureOf(looked.status()) != Failure::kNotFound) {
            co_return looked.status();
          }
          lacks = looked.ok() && *looked;
        }
        if (lacks) message.size += 2;
      }
    }
  }
  drop.Reset();
  co_return std::move(drop);
}

absl::StatusOr<const Maildrop::Message*> Maildrop::Find(pop3::MessageNumber number) const {
  if (number == 0 || number > messages_.size()) {
    return MakeFailure(Failure::kNotFound, "No such message");
  }
  const Message& message = messages_[number - 1];
  if (message.deleted) return MakeFailure(Failure::kNotFound, "Message is deleted");
  return &message;
}

absl::Status Maildrop::Delete(pop3::MessageNumber number) {
  const absl::StatusOr<const Message*> found = Find(number);
  if (!found.ok()) return found.status();
  Message& message = messages_[number - 1];
  message.deleted = true;
  --count_;
  octets_ -= message.size;
  return absl::OkStatus();
}

void Maildrop::Reset() {
  count_ = messages_.size();
  octets_ = 0;
  for (Message& message : messages_) {
    message.deleted = false;
    octets_ += message.size;
  }
}

std::string Maildrop::UniqueId(const Message& message) const {
  char text[17];
  std::snprintf(text, sizeof(text), "%08x%08x", uid_validity_, message.uid);
  return text;
}

std::vector<UidRange> Maildrop::Deleted() const {
  std::vector<UidRange> ranges;
  bool open = false;  // the last range goes on
  for (const Message& message : messages_) {
    // Only UIDs seen at login are named: others between them are not ours to delete.
    if (message.deleted && open && ranges.back().last + 1 == message.uid) {
      ranges.back().last = message.uid;
    } else if (message.deleted) {
      ranges.emplace_back(message.uid, message.uid);
    }
    open = message.deleted;
  }
  return ranges;
}

}  // namespace posthorn::gateway
