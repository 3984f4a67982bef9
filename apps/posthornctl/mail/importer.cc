#include "apps/posthornctl/mail/importer.h"

#include <openssl/sha.h>

#include "absl/strings/str_cat.h"

namespace posthorn::ctl {
namespace {

constexpr std::size_t kInline = 64 * 1024;
constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kRequestOctets = 1024 * 1024;
constexpr std::size_t kRequestMessages = 200;
constexpr absl::Duration kCall = absl::Minutes(5);
// A message of any size over a slow line.
constexpr absl::Duration kUpload = absl::Hours(2);

}  // namespace

std::string ImportKey(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) absl::StrAppend(&text, part.size(), ":", part);
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  return std::string(reinterpret_cast<const char*>(hash), 16);
}

struct ImportBody::Upload {
  grpc::ClientContext context;
  admin::v1::UploadBodyResponse response;
  std::unique_ptr<grpc::ClientWriter<admin::v1::UploadBodyRequest>> writer;
  bool first = true;
};

ImportBody::ImportBody(Session& session, std::string account)
    : session_(session), account_(std::move(account)) {}

ImportBody::~ImportBody() {
  if (upload_ == nullptr) return;
  upload_->context.TryCancel();
  (void)upload_->writer->Finish();
}

absl::Status ImportBody::Append(std::string_view piece) {
  size_ += piece.size();
  data_ += piece;
  if (upload_ == nullptr) {
    if (data_.size() <= kInline) return absl::OkStatus();
    upload_ = std::make_unique<Upload>();
    session_.Prepare(upload_->context, kUpload);
    upload_->writer = session_.stub().UploadBody(&upload_->context, &upload_->response);
  }
  while (data_.size() >= kPiece) {
    if (absl::Status s = Send(std::string_view(data_).substr(0, kPiece)); !s.ok()) return s;
    data_.erase(0, kPiece);
  }
  return absl::OkStatus();
}

absl::Status ImportBody::Send(std::string_view piece) {
  admin::v1::UploadBodyRequest request;
  if (std::exchange(upload_->first, false)) request.set_account(account_);
  request.set_data(std::string(piece));
  if (upload_->writer->Write(request)) return absl::OkStatus();
  const grpc::Status failed = upload_->writer->Finish();
  upload_.reset();
  return failed.ok() ? absl::InternalError("the upload ended early") : session_.ToStatus(failed);
}

absl::Status ImportBody::Finish() {
  if (upload_ == nullptr) return absl::OkStatus();
  if (!data_.empty()) {
    if (absl::Status s = Send(data_); !s.ok()) return s;
    data_.clear();
  }
  upload_->writer->WritesDone();
  const grpc::Status done = upload_->writer->Finish();
  sha256_ = upload_->response.sha256();
  upload_.reset();
  return done.ok() ? absl::OkStatus() : session_.ToStatus(done);
}

Importer::Importer(Session& session, std::string account)
    : session_(session), account_(std::move(account)) {}

absl::Status Importer::EnsureMailbox(const std::string& name, bool subscribe) {
  admin::v1::EnsureMailboxRequest request;
  request.set_account(account_);
  request.set_name(name);
  request.set_subscribe(subscribe);
  ++mailboxes_;
  return session_.Call(&Session::Stub::EnsureMailbox, request).status();
}

absl::StatusOr<std::vector<bool>> Importer::Known(const std::vector<std::string>& keys) {
  admin::v1::FindImportedRequest request;
  request.set_account(account_);
  for (const std::string& key : keys) *request.add_keys() = key;
  const auto response = session_.Call(&Session::Stub::FindImported, request);
  if (!response.ok()) return response.status();
  return std::vector<bool>(response->known().begin(), response->known().end());
}

void Importer::Skip(std::uint64_t octets) {
  ++known_;
  progress_.Advance(1, octets);
}

absl::Status Importer::Add(ImportItem item, ImportBody& body) {
  admin::v1::ImportedMessage* message = request_.add_messages();
  message->set_key(std::move(item.key));
  message->set_mailbox(std::move(item.mailbox));
  message->set_flags(item.flags);
  for (std::string& keyword : item.keywords) message->add_keywords(std::move(keyword));
  message->set_received_at_micros(item.received_micros);
  if (body.sha256().empty()) {
    request_octets_ += body.data().size();
    message->set_data(std::move(body.data()));
  } else {
    message->set_stored_sha256(body.sha256());
  }
  progress_.Advance(1, body.size());
  const bool full = request_octets_ >= kRequestOctets ||
                    request_.messages_size() >= static_cast<int>(kRequestMessages);
  return full ? Flush() : absl::OkStatus();
}

absl::Status Importer::Flush() {
  if (request_.messages_size() == 0 && request_.keys_size() == 0) return absl::OkStatus();
  request_.set_account(account_);
  const auto response = session_.Call(&Session::Stub::ImportMessages, request_, kCall);
  if (!response.ok()) return response.status();
  stored_ += response->stored();
  known_ += response->known();
  request_.Clear();
  request_octets_ = 0;
  return absl::OkStatus();
}

std::string Importer::Summary() const {
  if (session_.json()) {
    return absl::StrCat("{\"imported\": ", stored_, ", \"known\": ", known_,
                        ", \"mailboxes\": ", mailboxes_, "}");
  }
  return absl::StrCat("imported ", stored_, " messages into ", mailboxes_, " mailboxes",
                      known_ > 0 ? absl::StrCat("; ", known_, " were imported before") : "");
}

}  // namespace posthorn::ctl
