#ifndef POSTHORN_LIB_BASE_IDS_H_
#define POSTHORN_LIB_BASE_IDS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace posthorn {

// An integer key that does not convert to another kind of key. 0 means "none".
template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(std::int64_t value) : value_(value) {}
  constexpr std::int64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
  template <typename H>
  friend H AbslHashValue(H h, Id id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  std::int64_t value_ = 0;
};

using TenantId = Id<struct TenantTag>;
using DomainId = Id<struct DomainTag>;
using AccountId = Id<struct AccountTag>;
using MailboxId = Id<struct MailboxTag>;
using EmailId = Id<struct EmailTag>;
using KeyId = Id<struct KeyTag>;
using JobId = Id<struct JobTag>;

// IMAP unique identifier (RFC 3501 section 2.3.1.1): 1 to 2^32-1; 0 means "none".
using Uid = std::uint32_t;
using ModSeq = std::int64_t;

// The identity of one accepted message: a UUIDv7 (RFC 9562 section 5.7), so ids sort by time.
// Minted once per DATA or send; the 250 carries it, logs and tools follow it.
class MessageId {
 public:
  constexpr MessageId() : bytes_{} {}

  // Thread-safe; `now` gives the time part, the rest is random.
  static MessageId Generate(absl::Time now);
  // The 16 bytes of bytes().
  static absl::StatusOr<MessageId> FromBytes(std::string_view bytes);
  // The text form, 36 characters, either case.
  static absl::StatusOr<MessageId> Parse(std::string_view text);

  std::string ToString() const;
  std::string bytes() const { return std::string(bytes_.begin(), bytes_.end()); }
  // The millisecond the id was minted in.
  absl::Time time() const;

  friend auto operator<=>(const MessageId&, const MessageId&) = default;

 private:
  std::array<char, 16> bytes_;
};

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_IDS_H_
