#ifndef POSTHORN_LIB_NET_STAGED_BODY_H_
#define POSTHORN_LIB_NET_STAGED_BODY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::net {

// A bounded directory for bodies that wait while policy runs. Thread-safe.
class StagingArea {
 public:
  // The directory is created if missing. `max_octets` bounds all files together.
  static absl::StatusOr<std::unique_ptr<StagingArea>> Open(std::string directory,
                                                           std::uint64_t max_octets);
  std::uint64_t used_octets() const { return used_.load(); }
  // May change at any time: a hint for who could ask for less or later.
  std::uint64_t free_octets() const {
    const std::uint64_t used = used_.load();
    return used < max_octets_ ? max_octets_ - used : 0;
  }

 private:
  friend class StagedBody;
  StagingArea(std::string directory, std::uint64_t max_octets)
      : directory_(std::move(directory)), max_octets_(max_octets) {}
  const std::string directory_;
  const std::uint64_t max_octets_;
  std::atomic<std::uint64_t> used_{0};
};

// A message body on its way through the gateway: in memory up to 128 KiB, beyond that in an
// unlinked file of the staging area, so that a crash leaves nothing behind. Written once, then
// read any number of times. Not thread-safe. kInsufficientStorage when the area or disk is full.
class StagedBody {
 public:
  static constexpr std::size_t kMemoryOctets = 128 * 1024;

  explicit StagedBody(StagingArea& area) : area_(area) {}
  ~StagedBody();
  StagedBody(const StagedBody&) = delete;
  StagedBody& operator=(const StagedBody&) = delete;

  absl::Status Append(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  bool in_memory() const { return fd_ < 0; }
  // All of it, if in_memory().
  std::string_view memory() const { return memory_; }
  // Up to `length` octets from `offset`; shorter at the end.
  absl::StatusOr<std::string> Read(std::uint64_t offset, std::size_t length) const;

 private:
  StagingArea& area_;
  std::string memory_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_STAGED_BODY_H_
