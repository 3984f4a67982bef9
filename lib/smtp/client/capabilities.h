#ifndef POSTHORN_LIB_SMTP_CLIENT_CAPABILITIES_H_
#define POSTHORN_LIB_SMTP_CLIENT_CAPABILITIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lib/smtp/client/reply.h"

namespace posthorn::smtp::client {

// What a server's EHLO reply offers (RFC 5321 section 4.1.1.1) of what this client uses.
struct Capabilities {
  bool pipelining = false;  // RFC 2920
  bool eight_bit = false;   // RFC 6152
  bool size = false;        // RFC 1870
  std::uint64_t max_size = 0;  // octets; 0: no limit told
  bool starttls = false;    // RFC 3207
  bool smtputf8 = false;    // RFC 6531
  bool dsn = false;         // RFC 3461
  bool chunking = false;    // RFC 3030
  bool binary = false;      // BINARYMIME of RFC 3030; of no use without CHUNKING
  bool require_tls = false;  // RFC 8689
  bool priority = false;    // MT-PRIORITY, RFC 6710
  bool deliver_by = false;  // RFC 2852
  bool verp = false;        // XVERP (Postfix VERP_README)
  int min_deliver_by = 0;   // seconds; 0: no limit told
  std::vector<std::string> auth;  // SASL mechanisms, RFC 4954
};

// Reads the lines after the first (the greeting). Unknown and malformed lines are skipped.
Capabilities ParseCapabilities(const Reply& ehlo);

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_CAPABILITIES_H_
