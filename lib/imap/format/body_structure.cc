// body            = "(" (body-type-1part / body-type-mpart) ")"
// body-type-mpart = 1*body SP media-subtype [SP body-fld-param SP body-fld-dsp SP body-fld-lang SP
//                   body-fld-loc]
// body-type-1part = type SP subtype SP param SP id SP desc SP enc SP octets
//                   [SP envelope SP body SP lines / SP lines] [SP md5 SP dsp SP lang SP loc]
#include "lib/imap/format/format.h"

namespace posthorn::imap {
namespace {

// Stands where the grammar needs a body and the message has none.
void AppendEmptyBody(bool extended, std::string& out) {
  out += R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)";
  if (extended) out += " NIL NIL NIL NIL";
  out += ')';
}

void AppendParameters(const std::vector<mime::Parameter>& parameters, std::string& out) {
  if (parameters.empty()) {
    out += "NIL";
    return;
  }
  out += '(';
  bool first = true;
  for (const mime::Parameter& parameter : parameters) {
    if (!first) out += ' ';
    first = false;
    AppendString(parameter.name, out);
    out += ' ';
    AppendString(parameter.value, out);
  }
  out += ')';
}

// SP dsp SP lang SP loc
void AppendCommonExtension(const mime::Part& part, std::string& out) {
  out += ' ';
  if (part.disposition) {
    out += '(';
    AppendString(*part.disposition, out);
    out += ' ';
    AppendParameters(part.disposition_params, out);
    out += ')';
  } else {
    out += "NIL";
  }
  out += ' ';
  if (part.language.empty()) {
    out += "NIL";
  } else {
    out += '(';
    for (std::size_t i = 0; i < part.language.size(); ++i) {
      if (i > 0) out += ' ';
      AppendString(part.language[i], out);
    }
    out += ')';
  }
  out += ' ';
  AppendNString(part.location, out);
}

void AppendMultipart(const mime::Part& part, bool extended, std::string& out) {
  out += '(';
  if (part.parts.empty()) AppendEmptyBody(extended, out);
  for (const mime::Part& child : part.parts) AppendBodyStructure(child, extended, out);
  out += ' ';
  AppendString(part.subtype, out);
  if (extended) {
    out += ' ';
    AppendParameters(part.params, out);
    AppendCommonExtension(part, out);
  }
  out += ')';
}

}  // namespace

// The recursion is as deep as the scanner lets structures be.
void AppendBodyStructure(const mime::Part& part, bool extended, std::string& out) {
  // The type decides, not the kind: a part the scanner did not look into still needs its grammar.
  if (part.kind == mime::Part::Kind::kMultipart || part.IsType("multipart")) {
    AppendMultipart(part, extended, out);
    return;
  }
  out += '(';
  AppendString(part.type, out);
  out += ' ';
  AppendString(part.subtype, out);
  out += ' ';
  AppendParameters(part.params, out);
  out += ' ';
  AppendNString(part.id, out);
  out += ' ';
  AppendNString(part.description, out);
  out += ' ';
  AppendString(part.encoding, out);
  out += ' ';
  AppendNumber(part.body_size, out);
  if (part.kind == mime::Part::Kind::kMessage || part.IsType("message", "rfc822")) {
    out += ' ';
    AppendEnvelope(part.envelope ? *part.envelope : mime::Envelope{}, out);
    out += ' ';
    if (part.parts.empty()) {
      AppendEmptyBody(extended, out);
    } else {
      AppendBodyStructure(part.parts.front(), extended, out);
    }
    out += ' ';
    AppendNumber(part.body_lines, out);
  } else if (part.IsType("text")) {
    out += ' ';
    AppendNumber(part.body_lines, out);
  }
  if (extended) {
    out += ' ';
    AppendNString(part.md5, out);
    AppendCommonExtension(part, out);
  }
  out += ')';
}

}  // namespace posthorn::imap
