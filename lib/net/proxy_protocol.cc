// Version 1 (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, section 2.1):
//   header = "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port CRLF
//          / "PROXY UNKNOWN" [ SP anything ] CRLF                      at most 107 octets
// Version 2 (section 2.2):
//   header = signature version-command family length *OCTET
//   signature       = 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
//   version-command = 20 (LOCAL) / 21 (PROXY)
//   family          = 11 (TCP over IPv4: 12 octets of addresses) / 21 (IPv6: 36) / others
//   length          = two octets, big-endian: of all that follows
#include "lib/net/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace posthorn::net {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kText = "PROXY ";
constexpr std::size_t kMaxText = 107;
constexpr std::size_t kBinaryHead = 16;

unsigned Octet(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}
unsigned TwoOctets(std::string_view text, std::size_t at) {
  return Octet(text, at) << 8 | Octet(text, at + 1);
}

// Removes the next word; the words of version 1 stand exactly one space apart.
std::string_view NextWord(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

bool ParsePort(std::string_view word, int& port) {
  if (word.empty() || word.size() > 5 || (word.size() > 1 && word.front() == '0')) return false;
  port = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

bool ParseIp(int family, std::string_view word, std::string& ip) {
  unsigned char address[16];
  ip = std::string(word);
  return inet_pton(family, ip.c_str(), address) == 1;
}

std::string FormatIp(int family, std::string_view octets) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family, octets.data(), text, sizeof(text)) != nullptr ? text : "";
}

}  // namespace

std::size_t ProxyHeaderReader::Wanted() const {
  if (header_.starts_with(kSignature)) {
    if (header_.size() < kBinaryHead) return kBinaryHead;
    return kBinaryHead + TwoOctets(header_, 14);
  }
  // Of text one octet at a time is the header's for certain.
  return header_.size() + 1;
}

std::size_t ProxyHeaderReader::Feed(std::string_view bytes) {
  std::size_t used = 0;
  while (state_ == State::kNeedMore && used < bytes.size()) {
    const std::size_t take = std::min(Wanted() - header_.size(), bytes.size() - used);
    header_.append(bytes.substr(used, take));
    used += take;
    const std::string_view known = header_;
    if (known.size() >= kSignature.size() && known.starts_with(kSignature)) {
      if (known.size() >= kBinaryHead && Wanted() > kMaxOctets) {
        state_ = State::kInvalid;
      } else if (known.size() >= kBinaryHead && known.size() == Wanted()) {
        ParseBinary();
      }
    } else if (kSignature.starts_with(known)) {
      continue;
    } else if (!known.starts_with(kText.substr(0, known.size())) || known.size() > kMaxText) {
      state_ = State::kInvalid;
    } else if (known.back() == '\n') {
      ParseText();
    }
  }
  return used;
}

void ProxyHeaderReader::ParseText() {
  state_ = State::kInvalid;
  std::string_view line = header_;
  if (!line.ends_with("\r\n")) return;
  line.remove_suffix(2);
  line.remove_prefix(kText.size());
  const std::string_view protocol = NextWord(line);
  if (protocol == "UNKNOWN") {
    state_ = State::kDone;
    return;
  }
  if (protocol != "TCP4" && protocol != "TCP6") return;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  if (!ParseIp(family, NextWord(line), source_.ip) ||
      !ParseIp(family, NextWord(line), destination_.ip) ||
      !ParsePort(NextWord(line), source_.port) || !ParsePort(line, destination_.port)) {
    return;
  }
  has_addresses_ = true;
  state_ = State::kDone;
}

void ProxyHeaderReader::ParseBinary() {
  const std::string_view header = header_;
  const unsigned command = Octet(header, 12);
  const unsigned family = Octet(header, 13);
  const std::string_view rest = header.substr(kBinaryHead);
  state_ = State::kDone;
  if (command == 0x20) return;
  const bool four = family == 0x11;
  const bool six = family == 0x21;
  const std::size_t ip_octets = four ? 4 : 16;
  if (command != 0x21 || ((four || six) && rest.size() < 2 * ip_octets + 4)) {
    state_ = State::kInvalid;
    return;
  }
  if (!four && !six) return;
  const int af = four ? AF_INET : AF_INET6;
  source_.ip = FormatIp(af, rest.substr(0, ip_octets));
  destination_.ip = FormatIp(af, rest.substr(ip_octets, ip_octets));
  source_.port = static_cast<int>(TwoOctets(rest, 2 * ip_octets));
  destination_.port = static_cast<int>(TwoOctets(rest, 2 * ip_octets + 2));
  has_addresses_ = true;
}

}  // namespace posthorn::net
