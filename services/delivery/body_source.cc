#include "services/delivery/body_source.h"

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/mime/seven_bit.h"

namespace posthorn::delivery {

BodySource::BodySource(const Job& job, QueuePort& queue, bool seven_bit)
    : job_(job), queue_(queue) {
  if (seven_bit) converter_ = std::make_unique<mime::SevenBitConverter>();
}

BodySource::~BodySource() = default;

std::uint64_t BodySource::size() const {
  const std::uint64_t octets = job_.prefix.size() + job_.body_size();
  return converter_ == nullptr ? octets : octets + octets / 2;
}

Task<absl::StatusOr<std::string>> BodySource::Next() {
  if (converter_ == nullptr) co_return co_await NextOriginal();
  std::string converted;
  while (converted.empty() && !ended_) {
    const absl::StatusOr<std::string> piece = co_await NextOriginal();
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) {
      ended_ = true;
      converter_->Finish(converted);
    } else {
      converter_->Convert(*piece, converted);
    }
  }
  co_return converted;
}

Task<absl::StatusOr<std::string>> BodySource::NextOriginal() {
  if (!started_) {
    started_ = true;
    if (!job_.stored_body.has_value()) co_return absl::StrCat(job_.prefix, job_.inline_body);
    reader_ = queue_.ReadBody(job_.key.tenant, *job_.stored_body, 0);
    if (!job_.prefix.empty()) co_return job_.prefix;
  }
  if (reader_ == nullptr) co_return std::string();
  absl::StatusOr<std::string> piece = co_await reader_->Next();
  if (!piece.ok()) co_return piece.status();
  streamed_ += piece->size();
  // A short body must never look like a whole message to the peer.
  if (piece->empty() && streamed_ != job_.stored_body->size) {
    co_return MakeFailure(Failure::kStorageDown, "the body ended early");
  }
  co_return piece;
}

}  // namespace posthorn::delivery
