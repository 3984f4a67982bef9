#ifndef POSTHORN_LIB_DNS_RECORDS_H_
#define POSTHORN_LIB_DNS_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorn::dns {

enum class RecordType : std::uint16_t {
  kA = 1,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kTlsa = 52
};

struct MxRecord {
  int preference = 0;
  std::string host;  // lower case, without a final dot; empty: the root, a null MX (RFC 7505)
  friend bool operator==(const MxRecord&, const MxRecord&) = default;
};

// RFC 6698 section 2.1.
struct TlsaRecord {
  int usage = 0;
  int selector = 0;
  int matching_type = 0;
  std::string data;
  friend bool operator==(const TlsaRecord&, const TlsaRecord&) = default;
};

// Record data in wire format (RFC 1035 section 3.3) without compression, as libunbound gives it.
// nullopt: malformed. Labels with a dot, control or other odd octets are malformed here: no host
// that mail is sent to has them, and they must not reach a log or a command.
std::optional<MxRecord> ParseMx(std::string_view rdata);
std::optional<std::string> ParseName(std::string_view rdata);
std::optional<std::string> ParseA(std::string_view rdata);
std::optional<std::string> ParseAaaa(std::string_view rdata);
std::optional<std::string> ParseTxt(std::string_view rdata);
std::optional<TlsaRecord> ParseTlsa(std::string_view rdata);

// The other direction, for fakes and tests. Arguments are valid.
std::string EncodeMx(const MxRecord& record);
std::string EncodeA(const std::string& ip);
std::string EncodeAaaa(const std::string& ip);
std::string EncodeTxt(std::string_view text);
std::string EncodeTlsa(const TlsaRecord& record);

}  // namespace posthorn::dns

#endif  // POSTHORN_LIB_DNS_RECORDS_H_
