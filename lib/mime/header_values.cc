#include "lib/mime/header_values.h"

#include <iterator>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/content_fields.h"

namespace posthorn::mime {
namespace {

struct FieldName {
  std::string_view name;
  FieldId id;
};

constexpr FieldName kFieldNames[] = {
    {"bcc", FieldId::kBcc},
    {"cc", FieldId::kCc},
    {"content-description", FieldId::kContentDescription},
    {"content-disposition", FieldId::kContentDisposition},
    {"content-id", FieldId::kContentId},
    {"content-language", FieldId::kContentLanguage},
    {"content-location", FieldId::kContentLocation},
    {"content-md5", FieldId::kContentMd5},
    {"content-transfer-encoding", FieldId::kContentTransferEncoding},
    {"content-type", FieldId::kContentType},
    {"date", FieldId::kDate},
    {"from", FieldId::kFrom},
    {"in-reply-to", FieldId::kInReplyTo},
    {"list-id", FieldId::kListId},
    {"message-id", FieldId::kMessageId},
    {"mime-version", FieldId::kMimeVersion},
    {"received", FieldId::kReceived},
    {"references", FieldId::kReferences},
    {"reply-to", FieldId::kReplyTo},
    {"sender", FieldId::kSender},
    {"subject", FieldId::kSubject},
    {"to", FieldId::kTo},
};

// Addresses of all fields of one name together.
constexpr std::size_t kMaxAddresses = 10000;

void AddAddresses(std::string_view value, AddressList* list) {
  if (list->size() >= kMaxAddresses) return;
  AddressList more = ParseAddressList(value, kMaxAddresses - list->size());
  if (list->empty()) {
    *list = std::move(more);
    return;
  }
  list->insert(list->end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

std::string CollapseBlanks(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    if (!IsBlank(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void SetFirst(std::string_view value, std::optional<std::string>* out) {
  if (!*out) out->emplace(value);
}

}  // namespace

FieldId FindField(std::string_view name) {
  if (name.empty()) return FieldId::kNone;
  const char first = AsciiLower(name.front());
  for (const FieldName& field : kFieldNames) {
    if (field.name.size() == name.size() && field.name.front() == first &&
        EqualsIgnoreCase(field.name, name)) {
      return field.id;
    }
  }
  return FieldId::kNone;
}

bool IsContentField(FieldId id) {
  return id >= FieldId::kContentDescription && id <= FieldId::kContentType;
}

void CleanValue(std::string* value) {
  if (value->find_first_of(std::string_view("\0\r", 2)) == std::string::npos) return;
  std::string clean;
  for (const char c : *value) {
    if (c == '\0') {
      clean += "\xef\xbf\xbd";
    } else {
      clean.push_back(c == '\r' ? ' ' : c);
    }
  }
  *value = std::move(clean);
}

void SetEnvelopeField(FieldId id, std::string_view value, Envelope* envelope) {
  switch (id) {
    case FieldId::kBcc: return AddAddresses(value, &envelope->bcc);
    case FieldId::kCc: return AddAddresses(value, &envelope->cc);
    case FieldId::kFrom: return AddAddresses(value, &envelope->from);
    case FieldId::kReplyTo: return AddAddresses(value, &envelope->reply_to);
    case FieldId::kSender: return AddAddresses(value, &envelope->sender);
    case FieldId::kTo: return AddAddresses(value, &envelope->to);
    case FieldId::kDate: envelope->date.emplace(value); return;
    case FieldId::kInReplyTo: envelope->in_reply_to.emplace(value); return;
    case FieldId::kMessageId: envelope->message_id.emplace(value); return;
    case FieldId::kSubject: envelope->subject = CollapseBlanks(value); return;
    default: return;
  }
}

void SetContentField(FieldId id, std::string_view value, Part* part, bool* type_seen) {
  switch (id) {
    case FieldId::kContentDescription: return SetFirst(value, &part->description);
    case FieldId::kContentId: return SetFirst(value, &part->id);
    case FieldId::kContentLocation: return SetFirst(value, &part->location);
    case FieldId::kContentMd5: return SetFirst(value, &part->md5);
    case FieldId::kContentDisposition:
      if (!part->disposition) {
        ParseContentDisposition(value, &part->disposition.emplace(), &part->disposition_params);
      }
      return;
    case FieldId::kContentLanguage:
      if (part->language.empty()) part->language = ParseContentLanguage(value);
      return;
    case FieldId::kContentTransferEncoding:
      if (part->encoding.empty()) part->encoding = ParseTransferEncoding(value).value_or("");
      return;
    case FieldId::kContentType:
      if (!*type_seen) ParseContentType(value, &part->type, &part->subtype, &part->params);
      *type_seen = true;
      return;
    default: return;
  }
}

void SetContentDefaults(bool type_seen, bool digest, Part* part) {
  if (!type_seen) {
    part->type = digest ? "message" : "text";
    part->subtype = digest ? "rfc822" : "plain";
  }
  // RFC 2046 section 4.1.2.
  if (part->IsType("text") && part->Param("charset") == nullptr) {
    part->params.push_back({"charset", "us-ascii"});
  }
  if (part->encoding.empty()) part->encoding = "7bit";
}

void ForgetContentFields(Part* part) {
  part->id.reset();
  part->description.reset();
  part->encoding.clear();
  part->md5.reset();
  part->disposition.reset();
  part->disposition_params.clear();
  part->language.clear();
  part->location.reset();
}

}  // namespace posthorn::mime
