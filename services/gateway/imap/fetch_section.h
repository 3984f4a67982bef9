#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_SECTION_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_SECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/imap/command.h"
#include "lib/mime/structure.h"
#include "services/gateway/clients/mail_store.h"

namespace posthorn::gateway {

// A range of octets of BODY[].
struct Octets {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  friend bool operator==(const Octets&, const Octets&) = default;
};

// The section a fetch item stands for, RFC822 and its relatives included; nullopt: none.
std::optional<imap::Section> SectionOf(const imap::FetchItem& item);

// Whether fetching `item` sets \Seen (RFC 3501 section 6.4.5).
bool SetsSeen(const imap::FetchItem& item);

// Which parts of the messages the items need from the store.
FetchParts PartsFor(const std::vector<imap::FetchItem>& items);

// Where a section lies in a message of `size` octets, of which the first `prefix_size` are the
// trace headers that the structure does not know; of HEADER.FIELDS the whole header. nullopt: there
// is no such section. RFC 3501 section 6.4.5.
std::optional<Octets> Locate(const imap::Section& section, const mime::Structure& structure,
                             std::uint32_t prefix_size, std::uint64_t size);

// Those fields of a header that are (or, if `section` says NOT, are not) named, unchanged and in
// order, and the blank line.
std::string FilterHeader(std::string_view header, const imap::Section& section);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_FETCH_SECTION_H_
