#ifndef POSTHORN_LIB_SASL_SCRAM_H_
#define POSTHORN_LIB_SASL_SCRAM_H_

#include <optional>
#include <string>
#include <string_view>

namespace posthorn::sasl {

// RFC 7677 section 4 asks for 4,096 at least.
inline constexpr int kMinScramIterations = 4096;
inline constexpr std::size_t kScramKeySize = 32;

// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3): enough to check a
// proof, not enough to make one. Salt and count are kept beside it.
struct ScramKeys {
  std::string stored_key;  // H(ClientKey), 32 octets
  std::string server_key;  // 32 octets
};

// Hi, ClientKey and so on. `password` as it was typed; it is prepared here. Costs about as much as
// `iterations` HMACs: some milliseconds. Thread-safe.
ScramKeys MakeScramKeys(std::string_view password, std::string_view salt, int iterations);

// The ServerSignature if the proof was made with the password of these keys, else nullopt. In
// constant time.
std::optional<std::string> CheckProof(const ScramKeys& keys, std::string_view auth_message,
                                      std::string_view proof);

// SASLprep (RFC 4013) as for a query: unassigned code points are allowed. nullopt if it prohibits
// the text.
std::optional<std::string> Saslprep(std::string_view text);
// A password as it is hashed and checked: prepared, or as it is where SASLprep prohibits it, so
// that a password of any octets works.
std::string PreparePassword(std::string_view password);

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_SCRAM_H_
