#ifndef POSTHORN_LIB_MIME_HEADER_VALUES_H_
#define POSTHORN_LIB_MIME_HEADER_VALUES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/mime/envelope.h"
#include "lib/mime/structure.h"

namespace posthorn::mime {

// The header fields the scanner keeps.
enum class FieldId : std::uint8_t {
  kNone,
  kBcc,
  kCc,
  kContentDescription,
  kContentDisposition,
  kContentId,
  kContentLanguage,
  kContentLocation,
  kContentMd5,
  kContentTransferEncoding,
  kContentType,
  kDate,
  kFrom,
  kInReplyTo,
  kListId,
  kMessageId,
  kMimeVersion,
  kReceived,
  kReferences,
  kReplyTo,
  kSender,
  kSubject,
  kTo,
};

// By name, case-insensitive.
FieldId FindField(std::string_view name);

// Is it one of the Content-* fields?
bool IsContentField(FieldId id);

// Replaces NUL and CR as the contract of Envelope says.
void CleanValue(std::string* value);

// Sets what an unfolded value means for an envelope; other fields are ignored.
void SetEnvelopeField(FieldId id, std::string_view value, Envelope* envelope);

// The same for a part. `*type_seen` says whether a Content-Type was there.
void SetContentField(FieldId id, std::string_view value, Part* part, bool* type_seen);

// Fills in what the header left out. `digest`: the part is a child of a multipart/digest.
void SetContentDefaults(bool type_seen, bool digest, Part* part);

// Forgets what a Content-* field said (there is no Content-Type).
void ForgetContentFields(Part* part);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_HEADER_VALUES_H_
