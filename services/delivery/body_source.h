#ifndef POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_
#define POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

// The octets of one message for one transaction: the job's prefix, then its body, inline or
// streamed from the spool. Refers to the job, which outlives it.
class BodySource {
 public:
  BodySource(const Job& job, QueuePort& queue) : job_(job), queue_(queue) {}

  std::uint64_t size() const { return job_.prefix.size() + job_.body_size(); }
  // The next piece, of at most 256 KiB; empty: the end. An error is the spool's, not the peer's.
  Task<absl::StatusOr<std::string>> Next();

 private:
  const Job& job_;
  QueuePort& queue_;
  bool started_ = false;
  std::uint64_t streamed_ = 0;
  std::unique_ptr<BodyReader> reader_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_
