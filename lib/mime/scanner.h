#ifndef POSTHORN_LIB_MIME_SCANNER_H_
#define POSTHORN_LIB_MIME_SCANNER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/mime/envelope.h"
#include "lib/mime/structure.h"

namespace posthorn::mime {

// Headers that message lists and threading ask for beyond the envelope, of the top level only.
// Unfolded; empty: absent.
struct ListHeaders {
  std::string references;
  std::string list_id;
  std::uint32_t received_count = 0;  // Received fields, for loop detection
};

// What is known of a message after one pass over its bytes.
struct Message {
  Structure structure;
  Envelope envelope;
  ListHeaders list_headers;
  std::uint64_t header_size = 0;  // octets, blank line included; without one all is header
  std::uint64_t size = 0;         // octets
};

// Scans a message in one pass, in pieces of any size: Feed what arrives, then Finish once. Takes
// any bytes (NUL, 8-bit, lines of any length, broken MIME) and both CRLF and LF as line end, and
// never fails. Memory is bounded by the limits below, not by the message: beyond them header values
// are cut and parts become leaves. Not thread-safe; used for one message.
class Scanner {
 public:
  static constexpr std::size_t kMaxFieldOctets = 128 * 1024;   // kept of one header field
  static constexpr std::size_t kMaxKeptOctets = 1024 * 1024;   // of all fields of all parts
  static constexpr int kMaxDepth = 100;                        // nested multiparts and messages
  static constexpr int kMaxParts = 10000;
  static constexpr std::size_t kMaxBoundaryOctets = 80;  // longer ones are compared so far

  Scanner();
  ~Scanner();
  Scanner(const Scanner&) = delete;
  Scanner& operator=(const Scanner&) = delete;

  void Feed(std::string_view bytes);
  Message Finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The same for bytes that are all there.
Message Scan(std::string_view bytes);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_SCANNER_H_
