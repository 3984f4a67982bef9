#ifndef POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_
#define POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "services/delivery/ports.h"

namespace posthorn::mime {
class SevenBitConverter;
}

namespace posthorn::delivery {

// The octets of one message for one transaction: the job's prefix, then its body, inline or
// streamed from the spool. Refers to the job, which outlives it.
class BodySource {
 public:
  // `seven_bit`: rewritten for a server that takes no other (mime::SevenBitConverter).
  BodySource(const Job& job, QueuePort& queue, bool seven_bit = false);
  ~BodySource();

  // Its octets may be any: no lines.
  bool is_binary() const { return job_.options.body_is_binary && converter_ == nullptr; }
  // What is to be told of its size: exact unless it is rewritten (RFC 1870 section 6.1 allows that).
  std::uint64_t size() const;
  // The next piece, of at most 256 KiB; empty: the end. An error is the spool's, not the peer's.
  Task<absl::StatusOr<std::string>> Next();

 private:
  Task<absl::StatusOr<std::string>> NextOriginal();

  const Job& job_;
  QueuePort& queue_;
  bool started_ = false;
  std::uint64_t streamed_ = 0;
  std::unique_ptr<BodyReader> reader_;
  std::unique_ptr<mime::SevenBitConverter> converter_;
  bool ended_ = false;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_BODY_SOURCE_H_
