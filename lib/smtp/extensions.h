#ifndef POSTHORN_LIB_SMTP_EXTENSIONS_H_
#define POSTHORN_LIB_SMTP_EXTENSIONS_H_

#include <cstdint>
#include <initializer_list>

namespace posthorn::smtp {

// The service extensions a server may offer (RFC 5321 section 2.2).
enum class Extension : unsigned {
  kPipelining,           // RFC 2920
  kSize,                 // RFC 1870
  k8BitMime,             // RFC 6152
  kSmtpUtf8,             // RFC 6531
  kEnhancedStatusCodes,  // RFC 2034
  kChunking,             // RFC 3030
  kBinaryMime,           // RFC 3030
  kStartTls,             // RFC 3207
  kAuth,                 // RFC 4954
  kDsn,                  // RFC 3461
  kRequireTls,           // RFC 8689
  kFutureRelease,        // RFC 4865
  kMtPriority,           // RFC 6710
  kDeliverBy,            // RFC 2852
  kLimits,               // RFC 9422
  kXclient,              // Postfix XCLIENT_README
  kXverp,                // Postfix VERP_README
  kHelp,                 // RFC 5321 section 4.1.1.8
};

class ExtensionSet {
 public:
  constexpr ExtensionSet() = default;
  constexpr ExtensionSet(std::initializer_list<Extension> extensions) {
    for (const Extension extension : extensions) Add(extension);
  }
  constexpr void Add(Extension extension) { bits_ |= Bit(extension); }
  constexpr bool Has(Extension extension) const { return (bits_ & Bit(extension)) != 0; }

 private:
  static constexpr std::uint32_t Bit(Extension extension) {
    return std::uint32_t{1} << static_cast<unsigned>(extension);
  }
  std::uint32_t bits_ = 0;
};

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_EXTENSIONS_H_
