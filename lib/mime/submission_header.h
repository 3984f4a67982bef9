#ifndef POSTHORN_LIB_MIME_SUBMISSION_HEADER_H_
#define POSTHORN_LIB_MIME_SUBMISSION_HEADER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lib/mime/envelope.h"
#include "lib/mime/header_editor.h"
#include "lib/mime/header_walker.h"

namespace posthorn::mime {

// What a submission server has to know of a message's header (RFC 6409 sections 6 and 8), found
// while the message arrives in pieces of any size. Keeps at most kMaxKeptOctets. Not thread-safe;
// used for one message.
class SubmissionHeader final : private HeaderWalker::Visitor {
 public:
  // Of all From and Sender fields together.
  static constexpr std::size_t kMaxKeptOctets = 64 * 1024;
  static constexpr std::size_t kMaxMailboxes = 100;  // of From, and of Sender

  // A field that the message has, perhaps more than once, with or without anything in it.
  struct Presence {
    bool there = false;
    bool filled = false;  // one of them has a value
  };
  // Who a field names.
  struct Authors {
    Presence presence;
    // Every mailbox, group members included; nullopt: it cannot be read without doubt.
    std::optional<AddressList> mailboxes;
  };

  SubmissionHeader() = default;
  SubmissionHeader(const SubmissionHeader&) = delete;
  SubmissionHeader& operator=(const SubmissionHeader&) = delete;

  void Feed(std::string_view bytes);
  // The message is complete; what follows may be asked from now on.
  void Finish();

  const Presence& date() const { return date_; }
  const Presence& message_id() const { return message_id_; }
  bool has_bcc() const { return bcc_; }
  bool has_resent_bcc() const { return resent_bcc_; }
  bool has_field() const { return any_field_; }
  Authors from() const { return AuthorsOf(from_); }
  Authors sender() const { return AuthorsOf(sender_); }

 private:
  struct Kept {
    Presence presence;
    std::string values;  // one after another, with commas between them; folds as received
  };

  void OnField(std::string_view name) override;
  void OnOctets(std::string_view bytes) override;
  Authors AuthorsOf(const Kept& kept) const;

  HeaderWalker walker_{*this};
  Presence date_;
  Presence message_id_;
  bool bcc_ = false;
  bool resent_bcc_ = false;
  bool any_field_ = false;
  Kept from_;
  Kept sender_;
  bool too_long_ = false;         // not all was kept
  Presence* presence_ = nullptr;  // of the current field
  std::string* values_ = nullptr;
  bool in_value_ = false;         // behind the colon
};

// What completes a message that lacks what RFC 5322 section 3.6 asks for, and takes out what only
// its author may see.
struct Completion {
  std::string date;        // value
  std::string message_id;  // value, with angle brackets
  std::string from;        // addr-spec
};
HeaderEdits EditsFor(const SubmissionHeader& header, const Completion& completion);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_SUBMISSION_HEADER_H_
