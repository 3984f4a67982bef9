#include "lib/mime/submission_header.h"

#include <algorithm>

#include "lib/mime/ascii.h"
#include "lib/mime/header_fields.h"

namespace posthorn::mime {

void SubmissionHeader::OnField(std::string_view name) {
  presence_ = nullptr;
  values_ = nullptr;
  in_value_ = false;
  if (!name.empty()) any_field_ = true;
  if (EqualsIgnoreCase(name, "from")) {
    presence_ = &from_.presence;
    values_ = &from_.values;
  } else if (EqualsIgnoreCase(name, "sender")) {
    presence_ = &sender_.presence;
    values_ = &sender_.values;
  } else if (EqualsIgnoreCase(name, "date")) {
    presence_ = &date_;
  } else if (EqualsIgnoreCase(name, "message-id")) {
    presence_ = &message_id_;
  } else if (EqualsIgnoreCase(name, "bcc")) {
    bcc_ = true;
  } else if (EqualsIgnoreCase(name, "resent-bcc")) {
    resent_bcc_ = true;
  }
  if (presence_ != nullptr) presence_->there = true;
}

void SubmissionHeader::OnOctets(std::string_view bytes) {
  if (presence_ == nullptr) return;
  if (!in_value_) {
    const std::size_t colon = bytes.find(':');
    if (colon == std::string_view::npos) return;
    bytes.remove_prefix(colon + 1);
    in_value_ = true;
    if (values_ != nullptr && presence_->filled) *values_ += ',';
  }
  if (bytes.find_first_not_of(" \t\r\n") != std::string_view::npos) presence_->filled = true;
  if (values_ == nullptr) return;
  if (bytes.size() > kMaxKeptOctets - std::min(kMaxKeptOctets,
                                               from_.values.size() + sender_.values.size())) {
    too_long_ = true;
  } else {
    values_->append(bytes);
  }
}

void SubmissionHeader::Feed(std::string_view bytes) {
  if (!walker_.done()) walker_.Feed(bytes);
}

void SubmissionHeader::Finish() { walker_.Finish(); }

SubmissionHeader::Authors SubmissionHeader::AuthorsOf(const Kept& kept) const {
  Authors authors;
  authors.presence = kept.presence;
  if (!kept.presence.filled) {
    authors.mailboxes.emplace();
  } else if (!too_long_) {
    authors.mailboxes = ParseMailboxList(Unfold(kept.values), kMaxMailboxes);
  }
  return authors;
}

HeaderEdits EditsFor(const SubmissionHeader& header, const Completion& completion) {
  HeaderEdits edits;
  edits.no_header = !header.has_field();
  const auto complete = [&](const SubmissionHeader::Presence& presence, const char* lower,
                            const char* name, const std::string& value) {
    if (presence.filled) return;
    if (presence.there) edits.removed.emplace_back(lower);
    edits.added.append(name).append(": ").append(value).append("\r\n");
  };
  if (header.has_bcc()) edits.removed.emplace_back("bcc");
  if (header.has_resent_bcc()) edits.removed.emplace_back("resent-bcc");
  complete(header.date(), "date", "Date", completion.date);
  complete(header.from().presence, "from", "From", completion.from);
  complete(header.message_id(), "message-id", "Message-ID", completion.message_id);
  return edits;
}

}  // namespace posthorn::mime
