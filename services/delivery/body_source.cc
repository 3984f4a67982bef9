#include "services/delivery/body_source.h"

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::delivery {

Task<absl::StatusOr<std::string>> BodySource::Next() {
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
