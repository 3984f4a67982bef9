#ifndef POSTHORN_LIB_MIME_ENVELOPE_H_
#define POSTHORN_LIB_MIME_ENVELOPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::mime {

// One entry of an address list as IMAP's ENVELOPE shows it (RFC 3501 section 7.4.2); nullopt is
// NIL. A group starts with an entry that has only a mailbox (the group's name) and ends with one
// that has nothing. Encoded words stay as they are. A lone word gets the host "MISSING_DOMAIN", a
// domain without local part the mailbox "MISSING_MAILBOX", as Dovecot
// answers.
struct Address {
  std::optional<std::string> name;
  std::optional<std::string> route;  // RFC 822 source route, "@a,@b"
  std::optional<std::string> mailbox;
  std::optional<std::string> host;

  bool IsGroupStart() const { return mailbox.has_value() && !host.has_value(); }
  bool IsGroupEnd() const { return !mailbox.has_value() && !host.has_value(); }
  friend bool operator==(const Address&, const Address&) = default;
};
using AddressList = std::vector<Address>;

// What IMAP's ENVELOPE needs of a message's header. Values are unfolded, otherwise as received
// (8-bit octets and encoded words included), except that NUL became U+FFFD, a bare CR a space, and
// runs of white space in the subject and in names one space: no value contains NUL, CR or LF.
// nullopt or an empty list: the field is absent. Of repeated fields the last counts for texts;
// address lists are joined.
struct Envelope {
  std::optional<std::string> date;
  std::optional<std::string> subject;
  AddressList from;
  AddressList sender;
  AddressList reply_to;
  AddressList to;
  AddressList cc;
  AddressList bcc;
  std::optional<std::string> in_reply_to;
  std::optional<std::string> message_id;
  // For threads. Only of a whole message, not of one nested in it; as ShortReferences leaves it.
  std::optional<std::string> references;

  // RFC 3501 section 7.4.2: absent Sender and Reply-To read as From.
  const AddressList& SenderOrFrom() const { return sender.empty() ? from : sender; }
  const AddressList& ReplyToOrFrom() const { return reply_to.empty() ? from : reply_to; }
  friend bool operator==(const Envelope&, const Envelope&) = default;
};

// Parses an unfolded address-list header value (RFC 5322 section 3.4, obsolete forms and broken
// input included). Never fails: what cannot be read becomes an address as described above. At most
// `limit` entries.
AddressList ParseAddressList(std::string_view value, std::size_t limit = 10000);

// A References value of at most kMaxReferencesOctets: a longer one keeps its first id and its last
// ones, which say most (RFC 5322 section 3.6.4).
inline constexpr std::size_t kMaxReferencesOctets = 4096;
std::string ShortReferences(std::string_view value);

// The mailboxes of such a value, those of groups included, without the groups; nullopt if any of it
// cannot be read as RFC 5322 section 3.4 says, or if there are more than `limit`. For where another
// reader must not find other addresses than this one.
std::optional<AddressList> ParseMailboxList(std::string_view value, std::size_t limit);

// A compact form for storage; starts with a version octet.
inline constexpr std::uint8_t kEnvelopeVersion = 2;
std::string SerialiseEnvelope(const Envelope& envelope);
// DataLoss for bytes that are not a serialised envelope of a version this code knows.
absl::StatusOr<Envelope> ParseEnvelope(std::string_view bytes);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_ENVELOPE_H_
