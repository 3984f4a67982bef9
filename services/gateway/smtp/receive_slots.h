#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_RECEIVE_SLOTS_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_RECEIVE_SLOTS_H_

#include <atomic>
#include <optional>
#include <utility>

namespace posthorn::gateway {

// Counts the messages that are being received: each may take 128 KiB of memory, so that their
// number bounds what all take. Thread-safe; outlives its slots.
class ReceiveSlots {
 public:
  // Frees its place when destroyed.
  class Slot {
   public:
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->used_.fetch_sub(1);
    }

   private:
    friend class ReceiveSlots;
    explicit Slot(ReceiveSlots* slots) : slots_(slots) {}
    ReceiveSlots* slots_;
  };

  explicit ReceiveSlots(int max) : max_(max) {}

  // None when all are taken.
  std::optional<Slot> Acquire() {
    if (used_.fetch_add(1) >= max_) {
      used_.fetch_sub(1);
      return std::nullopt;
    }
    return Slot(this);
  }

 private:
  const int max_;
  std::atomic<int> used_{0};
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_RECEIVE_SLOTS_H_
