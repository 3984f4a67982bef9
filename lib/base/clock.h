#ifndef POSTHORN_LIB_BASE_CLOCK_H_
#define POSTHORN_LIB_BASE_CLOCK_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace posthorn {

// The time, as an argument: domain code never asks the system. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// For unit tests and tools: stands still until told.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start) : now_(start) {}
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_;
};

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_CLOCK_H_
