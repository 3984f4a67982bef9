#ifndef POSTHORN_LIB_BASE_DESCRIPTOR_H_
#define POSTHORN_LIB_BASE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace posthorn {

// Owns a file descriptor and closes it; a negative one is none. Made from what open(2) and its kin
// return, so errno still tells why after a failure. Not thread-safe.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  // The caller closes it from here on.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_DESCRIPTOR_H_
