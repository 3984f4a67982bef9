#include "services/delivery/types.h"

#include "lib/base/failure.h"

namespace posthorn::delivery {

RecipientResult ResultOf(const absl::Status& failure) {
  const FailureRow& row = RowOf(FailureOf(failure));
  RecipientResult result;
  result.outcome = row.permanent ? Outcome::kBounced : Outcome::kDeferred;
  result.smtp_code = row.smtp_code;
  result.enhanced = std::string(row.enhanced);
  result.text = std::string(PeerText(failure));
  return result;
}

}  // namespace posthorn::delivery
