#ifndef POSTHORN_LIB_MAILDROP_ENVELOPE_H_
#define POSTHORN_LIB_MAILDROP_ENVELOPE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::maildrop {

// Where a message handed in on this machine goes: what stands at the front of a file in the maildrop.
// Addresses may lack a domain; then they are of the platform's domain for local mail.
struct Envelope {
  std::optional<std::string> reverse_path;  // addr-spec, empty: null; none: who owns the file
  std::vector<std::string> recipients;      // at least one
  std::string envelope_id;                  // ENVID (RFC 3461); empty: none
  std::string ret;                          // "FULL", "HDRS"; empty: not said
  std::string notify;  // "NEVER", "SUCCESS,FAILURE" for every recipient; empty: not said
  bool body_is_8bit = false;
  std::string verp_delimiters;  // XVERP; empty: not asked for
};

// Recipients of one envelope at most; who has more makes several.
inline constexpr std::size_t kMaxRecipients = 500;
// Octets of the text form at most.
inline constexpr std::size_t kMaxEnvelopeOctets = 512 * 1024;

// The text form, blank line included: lines of a word and a value.
//   posthorn-maildrop 1
//   from alice@example.test
//   to bob
// kInvalidArgument: no recipient, too many, or a control character in a value.
absl::StatusOr<std::string> FormatEnvelope(const Envelope& envelope);

// Reads it from the front of `text`, and tells how long it is. kInvalidArgument: it is no envelope;
// unknown words are errors, because what they ask for would not be done.
struct ParsedEnvelope {
  Envelope envelope;
  std::size_t octets = 0;
};
absl::StatusOr<ParsedEnvelope> ParseEnvelope(std::string_view text);

}  // namespace posthorn::maildrop

#endif  // POSTHORN_LIB_MAILDROP_ENVELOPE_H_
