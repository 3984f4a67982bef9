#ifndef POSTHORN_LIB_MIME_ADDRESS_QUALIFIER_H_
#define POSTHORN_LIB_MIME_ADDRESS_QUALIFIER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lib/mime/header_walker.h"

namespace posthorn::mime {

// An address list (RFC 5322 section 3.4) in which a lone local part has become an address of
// `domain`: "root (Cron)" is "root@example.net (Cron)", "Bob <bob>" is "Bob <bob@example.net>".
// Everything else stays as it is, and so does a value that cannot be read without doubt.
std::string QualifyAddresses(std::string_view value, std::string_view domain);

// Does that to the fields of a message that name people, while it passes through in pieces of any
// size: programs of this machine leave the domain out. Every other octet stays. Not thread-safe;
// used for one message.
class AddressQualifier final : private HeaderWalker::Visitor {
 public:
  // A field that is longer passes as it is.
  static constexpr std::size_t kMaxFieldOctets = 256 * 1024;

  explicit AddressQualifier(std::string domain) : domain_(std::move(domain)) {}
  AddressQualifier(const AddressQualifier&) = delete;
  AddressQualifier& operator=(const AddressQualifier&) = delete;

  // Appends what is known of the new message to `out`.
  void Feed(std::string_view bytes, std::string& out);
  // The message is complete.
  void Finish(std::string& out);

 private:
  void OnField(std::string_view name) override;
  void OnOctets(std::string_view bytes) override;
  void EndField();

  const std::string domain_;
  HeaderWalker walker_{*this};
  std::string* out_ = nullptr;  // during a call
  std::string field_;           // of addresses, not yet written
  bool keeping_ = false;
  bool passed_ = false;  // the header is behind
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_ADDRESS_QUALIFIER_H_
