#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SELECTED_MAILBOX_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SELECTED_MAILBOX_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/ids.h"
#include "lib/imap/sequence_set.h"
#include "services/gateway/clients/mail_store.h"
#include "services/gateway/imap/message_list.h"

namespace posthorn::gateway {

// What a session knows of its selected mailbox: the messages by sequence number, as the client was
// told. An expunged message keeps its number until ReportExpunges. Compact, because thousands of
// idle sessions hold one, and shared as far as the sessions of a mailbox know the same.
class SelectedMailbox {
 public:
  using Message = MailboxMessage;

  SelectedMailbox(const MailboxInfo& info, bool read_only);

  // The same mailbox for another session, which has been told of nothing yet: without \Recent and
  // without the messages that are expunged. Both copy only what they change from now on.
  std::unique_ptr<SelectedMailbox> Share(bool read_only);

  MailboxId id() const { return id_; }
  const std::string& name() const { return name_; }
  bool read_only() const { return read_only_; }
  std::uint32_t uid_validity() const { return uid_validity_; }
  ModSeq modseq() const { return modseq_; }  // changes up to here are in
  Uid uid_next() const { return uid_next_; }

  const MessageList& messages() const { return messages_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(messages_.size()); }
  std::uint32_t recent_count() const { return recent_; }
  Uid largest_uid() const { return messages_.empty() ? 0 : messages_.back().uid; }
  // Index of the first unseen message.
  std::optional<std::size_t> FirstUnseen() const { return messages_.FirstUnseen(); }
  std::optional<std::size_t> Find(Uid uid) const;

  // Keywords met so far, in order of appearance; never shrinks.
  const std::vector<std::string>& keywords() const { return keywords_; }
  const std::vector<std::string>& KeywordsOf(const Message& message) const {
    return keyword_sets_[message.keyword_set];
  }
  // The flag list for the client, with \Recent.
  void AppendFlagsOf(const Message& message, std::string& out) const;
  bool HasKeyword(const Message& message, const std::string& keyword) const;

  // Adds a batch of the snapshot; in UID order.
  void Append(const std::vector<MailEntry>& entries);
  void FinishSnapshot() { messages_.ShrinkToFit(); }
  // Messages from this UID on are \Recent in this session; 0: none is.
  void MarkRecent(Uid from);

  // What Apply found, for the client. Indexes into messages() after it.
  struct Difference {
    bool new_messages = false;
    bool new_keywords = false;
    std::vector<std::size_t> flags_changed;  // of messages the client knew
  };
  // Takes changes in. Expunged messages are only marked.
  Difference Apply(const MailboxChanges& changes);
  // Takes changes in before the client knows of anything.
  void CatchUp(const MailboxChanges& changes);
  // The flags of `entries` (answers to own StoreFlags); true if there are keywords not met before.
  bool ApplyFlags(const std::vector<MailEntry>& entries);
  void MarkExpunged(const std::vector<Uid>& uids);
  // No message is \Recent any more.
  void ForgetRecent();

  // Removes expunged messages and appends their EXPUNGE responses, or, if the client wants to hear
  // of UIDs, one VANISHED (RFC 7162 section 3.2.10); EXISTS never.
  void ReportExpunges(bool vanished, std::string& out);
  // The UIDs below uid_next() in `known` (none: all) that are no message here, as ranges.
  std::vector<imap::SequenceRange> Missing(const std::optional<imap::SequenceSet>& known) const;
  bool has_unreported_expunges() const { return unreported_expunges_ > 0; }

  // What "$" stands for (RFC 5182): messages() at `indexes`, ascending, as far as they are there.
  void Save(const std::vector<std::size_t>& indexes);
  const std::vector<imap::SequenceRange>& saved_uids() const { return saved_uids_; }

  // Indexes of the messages in a set of UIDs, or of sequence numbers; ascending.
  std::vector<std::size_t> Select(const imap::SequenceSet& set, bool uid) const;
  // Whether every sequence number of `set` exists; "*" does in an empty mailbox too.
  bool ContainsSequences(const imap::SequenceSet& set) const;
  // UIDs of messages at `indexes`, expunged ones left out.
  std::vector<UidRange> UidRanges(const std::vector<std::size_t>& indexes) const;

 private:
  // Index of a keyword set; sets `added` if a keyword was not met before.
  std::uint32_t Intern(const std::vector<std::string>& keywords, bool& added);
  Message ToMessage(const MailEntry& entry, bool recent, bool& new_keywords);

  const MailboxId id_;
  const std::string name_;
  const bool read_only_;
  const std::uint32_t uid_validity_;
  ModSeq modseq_;
  Uid uid_next_;
  MessageList messages_;
  std::uint32_t recent_ = 0;
  std::size_t unreported_expunges_ = 0;
  std::vector<imap::SequenceRange> saved_uids_;  // ascending
  std::vector<std::string> keywords_;
  std::vector<std::vector<std::string>> keyword_sets_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SELECTED_MAILBOX_H_
