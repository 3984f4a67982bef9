#include "lib/base/failure.h"
#include "services/gateway/accept/message_acceptor.h"

namespace posthorn::gateway {

absl::Status AcceptResult::Overall() const {
  const absl::Status* accepted = nullptr;
  const absl::Status* refused = nullptr;
  for (const absl::Status& status : recipients) {
    if (status.ok()) {
      accepted = &status;
    } else if (!IsPermanent(status)) {
      return status;
    } else if (refused == nullptr) {
      refused = &status;
    }
  }
  if (accepted != nullptr) return absl::OkStatus();
  if (refused != nullptr) return *refused;
  return MakeFailure(Failure::kUnknown);
}

}  // namespace posthorn::gateway
