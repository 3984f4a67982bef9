// Record data, RFC 1035 section 3.3:
//   MX   = preference(16 bits) exchange(domain-name)
//   TXT  = 1*( length(8 bits) octets )
//   A    = 4 octets         AAAA = 16 octets (RFC 3596)
//   TLSA = usage(8 bits) selector(8 bits) matching-type(8 bits) 1*octet (RFC 6698)
//   domain-name = *( length(8 bits, 1..63) octets ) %x00, 255 octets at most

#include "lib/dns/records.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"

namespace posthorn::dns {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxLabel = 63;

bool IsLabelChar(unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; }

template <std::size_t kOctets>
std::optional<std::string> ParseAddress(std::string_view rdata, int family) {
  if (rdata.size() != kOctets) return std::nullopt;
  char text[INET6_ADDRSTRLEN];
  if (inet_ntop(family, rdata.data(), text, sizeof text) == nullptr) return std::nullopt;
  return std::string(text);
}

void AppendName(std::string_view name, std::string& out) {
  while (!name.empty()) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    out.push_back(static_cast<char>(dot));
    out.append(name.substr(0, dot));
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  out.push_back('\0');
}

}  // namespace

std::optional<std::string> ParseName(std::string_view rdata) {
  if (rdata.empty() || rdata.size() > kMaxName) return std::nullopt;
  std::string name;
  for (;;) {
    if (rdata.empty()) return std::nullopt;
    const std::size_t length = static_cast<unsigned char>(rdata.front());
    rdata.remove_prefix(1);
    if (length == 0) break;
    if (length > kMaxLabel || length > rdata.size()) return std::nullopt;
    if (!name.empty()) name.push_back('.');
    for (const char c : rdata.substr(0, length)) {
      if (!IsLabelChar(static_cast<unsigned char>(c))) return std::nullopt;
      name.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
    }
    rdata.remove_prefix(length);
  }
  if (!rdata.empty()) return std::nullopt;
  return name;
}

std::optional<MxRecord> ParseMx(std::string_view rdata) {
  if (rdata.size() < 3) return std::nullopt;
  std::optional<std::string> host = ParseName(rdata.substr(2));
  if (!host.has_value()) return std::nullopt;
  MxRecord record;
  record.preference =
      static_cast<unsigned char>(rdata[0]) * 256 + static_cast<unsigned char>(rdata[1]);
  record.host = *std::move(host);
  return record;
}

std::optional<std::string> ParseA(std::string_view rdata) {
  return ParseAddress<4>(rdata, AF_INET);
}

std::optional<std::string> ParseAaaa(std::string_view rdata) {
  return ParseAddress<16>(rdata, AF_INET6);
}

std::optional<std::string> ParseTxt(std::string_view rdata) {
  if (rdata.empty()) return std::nullopt;
  std::string text;
  while (!rdata.empty()) {
    const std::size_t length = static_cast<unsigned char>(rdata.front());
    rdata.remove_prefix(1);
    if (length > rdata.size()) return std::nullopt;
    text.append(rdata.substr(0, length));
    rdata.remove_prefix(length);
  }
  return text;
}

std::optional<TlsaRecord> ParseTlsa(std::string_view rdata) {
  if (rdata.size() < 4) return std::nullopt;
  TlsaRecord record;
  record.usage = static_cast<unsigned char>(rdata[0]);
  record.selector = static_cast<unsigned char>(rdata[1]);
  record.matching_type = static_cast<unsigned char>(rdata[2]);
  record.data = std::string(rdata.substr(3));
  return record;
}

std::string EncodeMx(const MxRecord& record) {
  std::string rdata;
  rdata.push_back(static_cast<char>(record.preference / 256));
  rdata.push_back(static_cast<char>(record.preference % 256));
  AppendName(record.host, rdata);
  return rdata;
}

std::string EncodeA(const std::string& ip) {
  std::string rdata(4, '\0');
  inet_pton(AF_INET, ip.c_str(), rdata.data());
  return rdata;
}

std::string EncodeAaaa(const std::string& ip) {
  std::string rdata(16, '\0');
  inet_pton(AF_INET6, ip.c_str(), rdata.data());
  return rdata;
}

std::string EncodeTlsa(const TlsaRecord& record) {
  std::string rdata;
  for (const int octet : {record.usage, record.selector, record.matching_type}) {
    rdata.push_back(static_cast<char>(octet));
  }
  return rdata + record.data;
}

std::string EncodeTxt(std::string_view text) {
  std::string rdata;
  do {
    const std::size_t length = std::min<std::size_t>(text.size(), 255);
    rdata.push_back(static_cast<char>(length));
    rdata.append(text.substr(0, length));
    text.remove_prefix(length);
  } while (!text.empty());
  return rdata;
}

}  // namespace posthorn::dns
