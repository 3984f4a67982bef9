#ifndef POSTHORN_LIB_DNS_RESOLVER_H_
#define POSTHORN_LIB_DNS_RESOLVER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/dns/records.h"

namespace posthorn::dns {

// The four things an answer can mean; callers treat each differently, so none is folded into
// another (RFC 2308 section 2, RFC 5321 section 5.1).
enum class Outcome {
  kAnswer,      // records has at least one
  kNoData,      // the name exists, records of this type don't
  kNoSuchName,  // NXDOMAIN
  kTemporary,   // timeout, SERVFAIL, bogus signatures, malformed data: `error` says which
};

template <typename T>
struct Answer {
  Outcome outcome = Outcome::kTemporary;
  std::vector<T> records;
  // Where the chain of CNAMEs ended; the name asked for if there was none. Without a final dot.
  std::string canonical_name;
  absl::Duration ttl;   // of the answer, negative answers included; zero when not known
  bool secure = false;  // validated by DNSSEC
  std::string error;    // one line for logs and deferral texts; empty unless kTemporary
};

// Asks DNS. Names are given without a final dot, as A-labels. Errors are an outcome, never a
// status. Implementations may be called from any executor and resume there; they must outlive the
// tasks. UnboundResolver is the real one, FakeResolver (test-only) the one for unit tests.
class Resolver {
 public:
  virtual ~Resolver() = default;

  // Wire-format data of all records of one type, CNAMEs followed.
  virtual Task<Answer<std::string>> Query(std::string name, RecordType type) = 0;

  // The typed forms. A record whose data is malformed makes the whole answer kTemporary.
  Task<Answer<MxRecord>> QueryMx(std::string name);
  Task<Answer<std::string>> QueryA(std::string name);     // "192.0.2.1"
  Task<Answer<std::string>> QueryAaaa(std::string name);  // "2001:db8::1"
  Task<Answer<std::string>> QueryTxt(std::string name);   // strings of a record are joined
  Task<Answer<TlsaRecord>> QueryTlsa(std::string name);   // "_25._tcp.mx.example.net"
};

}  // namespace posthorn::dns

#endif  // POSTHORN_LIB_DNS_RESOLVER_H_
