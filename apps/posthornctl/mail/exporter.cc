#include "apps/posthornctl/mail/exporter.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace posthorn::ctl {
namespace {

constexpr absl::Duration kCall = absl::Minutes(5);
constexpr std::size_t kReadOctets = 1024 * 1024;  // of the API
constexpr char kSpool[] = "temporary file";

}  // namespace

absl::Status SpooledMessage::Append(std::string_view piece) {
  size_ += piece.size();
  if (file_ == nullptr && data_.size() + piece.size() > kInMemory) {
    file_.reset(std::tmpfile());
    if (file_ == nullptr) return FileError(kSpool);
    if (absl::Status s = WritePiece(file_.get(), kSpool, data_); !s.ok()) return s;
    data_.clear();
  }
  if (file_ != nullptr) return WritePiece(file_.get(), kSpool, piece);
  data_ += piece;
  return absl::OkStatus();
}

absl::Status SpooledMessage::ForEachPiece(
    const std::function<absl::Status(std::string_view)>& take) {
  if (file_ == nullptr) return take(data_);
  std::rewind(file_.get());
  for (;;) {
    absl::StatusOr<std::string> piece = ReadPiece(file_.get(), kSpool);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return absl::OkStatus();
    if (absl::Status s = take(*piece); !s.ok()) return s;
  }
}

Exporter::Exporter(Session& session, std::string account)
    : session_(session), account_(std::move(account)) {}

absl::StatusOr<std::vector<admin::v1::AccountMailbox>> Exporter::Mailboxes(
    const std::vector<std::string>& names) {
  admin::v1::ListAccountMailboxesRequest request;
  request.set_account(account_);
  const auto response = session_.Call(&Session::Stub::ListAccountMailboxes, request);
  if (!response.ok()) return response.status();
  std::vector<admin::v1::AccountMailbox> mailboxes;
  for (const admin::v1::AccountMailbox& mailbox : response->mailboxes()) {
    if (names.empty() || std::find(names.begin(), names.end(), mailbox.name()) != names.end()) {
      mailboxes.push_back(mailbox);
    }
  }
  if (!names.empty() && mailboxes.size() < names.size()) {
    for (const std::string& name : names) {
      const bool found = std::any_of(mailboxes.begin(), mailboxes.end(),
                                     [&](const auto& m) { return m.name() == name; });
      if (!found) return absl::NotFoundError(absl::StrCat("no mailbox ", name));
    }
  }
  return mailboxes;
}

absl::Status Exporter::Fetch(std::int64_t mailbox, const admin::v1::ExportedMessage& message,
                             SpooledMessage& out) {
  if (message.complete()) return out.Append(message.data());
  admin::v1::ReadExportedRequest request;
  request.set_account(account_);
  request.set_mailbox_id(mailbox);
  request.set_uid(message.uid());
  for (;;) {
    request.set_offset(out.size());
    const auto response = session_.Call(&Session::Stub::ReadExported, request, kCall);
    if (!response.ok()) return response.status();
    if (absl::Status s = out.Append(response->data()); !s.ok()) return s;
    if (response->data().size() < kReadOctets) return absl::OkStatus();
  }
}

absl::Status Exporter::Run(const admin::v1::AccountMailbox& mailbox, ExportTarget& target) {
  const absl::StatusOr<std::uint32_t> last = target.Open();
  if (!last.ok()) return last.status();
  ++mailboxes_;
  progress_.Start(mailbox.name(), mailbox.messages());
  admin::v1::ExportMessagesRequest request;
  request.set_account(account_);
  request.set_mailbox_id(mailbox.mailbox_id());
  request.set_after_uid(*last);
  for (;;) {
    const auto response = session_.Call(&Session::Stub::ExportMessages, request, kCall);
    if (!response.ok()) return response.status();
    if (response->messages().empty()) return target.Close();
    for (const admin::v1::ExportedMessage& message : response->messages()) {
      request.set_after_uid(message.uid());
      SpooledMessage spooled;
      absl::Status fetched = Fetch(mailbox.mailbox_id(), message, spooled);
      if (absl::IsNotFound(fetched)) continue;  // expunged meanwhile
      if (!fetched.ok()) return fetched;
      ExportItem item;
      item.uid = message.uid();
      item.flags = message.flags();
      item.keywords.assign(message.keywords().begin(), message.keywords().end());
      item.received_micros = message.received_at_micros();
      item.size = spooled.size();
      if (absl::Status s = target.Write(item, spooled); !s.ok()) return s;
      ++messages_;
      progress_.Advance(1, item.size);
    }
    if (absl::Status s = target.Checkpoint(request.after_uid()); !s.ok()) return s;
  }
}

void Exporter::Summary() {
  progress_.Clear();
  if (session_.json()) {
    std::cout << "{\"exported\": " << messages_ << ", \"mailboxes\": " << mailboxes_ << "}\n";
  } else {
    std::cout << "exported " << messages_ << " messages of " << mailboxes_ << " mailboxes\n";
  }
}

}  // namespace posthorn::ctl
