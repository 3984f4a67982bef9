#ifndef POSTHORN_LIB_TLSRPT_RECORD_H_
#define POSTHORN_LIB_TLSRPT_RECORD_H_

#include <string>
#include <vector>

namespace posthorn::tlsrpt {

// Where a domain wants its reports (RFC 8460 section 3).
struct Destinations {
  std::vector<std::string> addresses;  // of mailto:, decoded
  std::vector<std::string> urls;       // https:
  bool empty() const { return addresses.empty() && urls.empty(); }
};

// A record names at most so many; the rest is left out.
inline constexpr std::size_t kMaxDestinations = 5;

// What the TXT records of "_smtp._tls.<domain>" say: exactly one of them is of version TLSRPTv1, else
// the domain wants nothing. URIs of other schemes, and those that are malformed, are left out.
Destinations ParseRecords(const std::vector<std::string>& records);

}  // namespace posthorn::tlsrpt

#endif  // POSTHORN_LIB_TLSRPT_RECORD_H_
