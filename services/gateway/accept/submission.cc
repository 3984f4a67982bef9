#include "services/gateway/accept/submission.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"
#include "lib/base/failure.h"
#include "lib/smtp/address.h"
#include "lib/smtp/international.h"
#include "services/gateway/accept/resend_key.h"
#include "services/gateway/accept/trace_header.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

// Who From names where nobody said, and Sender where From names somebody else.
std::string AddressOf(const Submitter& submitter, const std::string& reverse_path,
                      const std::string& hostname) {
  if (!reverse_path.empty()) return reverse_path;
  if (!submitter.address.empty()) return submitter.address;
  return absl::StrCat("MAILER-DAEMON@", hostname);
}

}  // namespace

Task<absl::Status> SubmissionPolicy::CheckAddress(const Submitter& submitter,
                                                  const std::string& reverse_path,
                                                  std::string address) {
  // Both were checked when they were given.
  if (absl::EqualsIgnoreCase(address, submitter.address) ||
      (submitter.kind != Submitter::Kind::kTrustedNetwork &&
       absl::EqualsIgnoreCase(address, reverse_path))) {
    co_return absl::OkStatus();
  }
  if (submitter.kind == Submitter::Kind::kLocalUser) {
    co_return MakeFailure(Failure::kSenderNotAllowed);
  }
  if (submitter.kind != Submitter::Kind::kTrustedNetwork) {
    co_return co_await directory_.AuthorizeSender(submitter.tenant, submitter.account,
                                                  std::move(address));
  }
  const absl::StatusOr<Resolution> owner = co_await directory_.Resolve(std::move(address));
  if (!owner.ok()) co_return owner.status();
  if (owner->kind == AddressKind::kRemote || owner->tenant == submitter.tenant) {
    co_return absl::OkStatus();
  }
  co_return MakeFailure(Failure::kSenderNotAllowed);
}

Task<absl::Status> SubmissionPolicy::CheckAuthors(const Submitter& submitter,
                                                  const std::string& reverse_path,
                                                  const char* field,
                                                  mime::SubmissionHeader::Authors authors) {
  if (!authors.presence.filled) co_return absl::OkStatus();
  if (!authors.mailboxes.has_value()) {
    co_return MakeFailure(Failure::kSenderNotAllowed,
                          absl::StrCat(field, " cannot be read as a list of addresses"));
  }
  // A group may be empty (RFC 6854); somebody has to be named all the same.
  if (authors.mailboxes->empty()) {
    co_return MakeFailure(Failure::kSenderNotAllowed, absl::StrCat(field, " names no address"));
  }
  for (mime::Address& author : *authors.mailboxes) {
    const smtp::Mailbox mailbox(*std::move(author.mailbox), *std::move(author.host));
    absl::Status allowed =
        co_await CheckAddress(submitter, reverse_path, mailbox.ToString());
    if (allowed.ok()) continue;
    if (FailureOf(allowed) == Failure::kSenderNotAllowed) {
      co_return MakeFailure(Failure::kSenderNotAllowed,
                            absl::StrCat(field, " names an address that is not yours"));
    }
    co_return allowed;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SubmissionPolicy::Edit(mime::HeaderEdits edits, AcceptRequest& request) {
  if (!request.resend_key.has_value()) {
    absl::StatusOr<std::string> key =
        co_await ResendKey(request.reverse_path, request.message_id_header, request.body);
    if (!key.ok()) co_return key.status();
    request.resend_key = *std::move(key);
  }
  if (!smtp::IsAscii(edits.added)) request.body_is_8bit = true;
  const std::shared_ptr<net::StagedBody> from = request.body;
  const auto to = std::make_shared<net::StagedBody>(area_);
  mime::HeaderEditor editor(std::move(edits));
  std::string out;
  for (std::uint64_t offset = 0; offset < from->size();) {
    const absl::StatusOr<std::string> piece = from->Read(offset, kPiece);
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return absl::DataLossError("staged body is shorter than its size");
    offset += piece->size();
    out.clear();
    editor.Feed(*piece, out);
    absl::Status appended = to->Append(out);
    if (!appended.ok()) co_return appended;
    if (!from->in_memory()) co_await YieldNow();
  }
  out.clear();
  editor.Finish(out);
  absl::Status appended = to->Append(out);
  if (!appended.ok()) co_return appended;
  request.body = to;
  co_return absl::OkStatus();
}

Task<absl::Status> SubmissionPolicy::Apply(Submitter submitter, FromPolicy policy,
                                           std::unique_ptr<const mime::SubmissionHeader> header,
                                           AcceptRequest& request) {
  absl::Status from =
      co_await CheckAuthors(submitter, request.reverse_path, "From", header->from());
  absl::Status sender =
      co_await CheckAuthors(submitter, request.reverse_path, "Sender", header->sender());
  for (const absl::Status* status : {&from, &sender}) {
    if (status->ok()) continue;
    if (policy == FromPolicy::kReject || FailureOf(*status) != Failure::kSenderNotAllowed) {
      co_return *status;
    }
  }

  const std::string address = AddressOf(submitter, request.reverse_path, hostname_);
  mime::Completion completion;
  completion.date = FormatMailDate(request.received_at);
  completion.message_id = absl::StrCat("<", request.id.ToString(), "@", hostname_, ">");
  completion.from = address;
  mime::HeaderEdits edits = mime::EditsFor(*header, completion);
  if (!from.ok()) {
    // A Sender of the submitter's own choice stays.
    if (!header->sender().presence.filled || !sender.ok()) {
      if (header->sender().presence.there) edits.removed.emplace_back("sender");
      absl::StrAppend(&edits.added, "Sender: ", address, "\r\n");
    }
  } else if (!sender.ok()) {
    edits.removed.emplace_back("sender");
  }
  if (edits.empty()) co_return absl::OkStatus();
  mime::HeaderEdits final_edits = std::move(edits);
  co_return co_await Edit(std::move(final_edits), request);
}

}  // namespace posthorn::gateway
