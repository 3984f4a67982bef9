#include "lib/mime/seven_bit.h"

#include <utility>
#include <vector>

#include "lib/mime/ascii.h"
#include "lib/mime/content_fields.h"
#include "lib/mime/header_fields.h"

namespace posthorn::mime {
namespace {

// No boundary line is longer, and no more of a line is needed to know that it is none.
constexpr std::size_t kMaxPiece = 4096;

bool IsIdentity(std::string_view encoding) {
  return encoding.empty() || EqualsIgnoreCase(encoding, "7bit") ||
         EqualsIgnoreCase(encoding, "8bit") || EqualsIgnoreCase(encoding, "binary");
}

void PutSevenBit(std::string_view bytes, std::string& out) {
  for (const char c : bytes) out.push_back(static_cast<unsigned char>(c) < 0x80 ? c : '?');
}

}  // namespace

// What a part is, by its header.
struct SevenBitConverter::Kind {
  enum class What { kMultipart, kMessage, kLeaf, kEncoded } what = What::kEncoded;
  std::string boundary;
  TransferEncoder::Kind encoding = TransferEncoder::Kind::kQuotedPrintable;
  bool has_mime_version = false;
  bool has_type = false;
};

void SevenBitConverter::Convert(std::string_view bytes, std::string& out) {
  buffer_.append(bytes);
  std::size_t done = 0;
  for (;;) {
    const std::size_t end = buffer_.find("\r\n", done);
    if (end == std::string::npos) break;
    Line(std::string_view(buffer_).substr(done, end - done), out);
    line_start_ = true;
    done = end + 2;
  }
  buffer_.erase(0, done);
  if (buffer_.size() <= kMaxPiece) return;
  // The last octet may be the CR of a line end.
  const std::string piece = buffer_.substr(0, buffer_.size() - 1);
  buffer_.erase(0, piece.size());
  if (state_ == State::kHeader) {
    header_.append(piece);
    if (header_.size() > kMaxHeader) EndHeader(out);
  } else {
    Content(piece, out);
  }
  line_start_ = false;
}

void SevenBitConverter::Finish(std::string& out) {
  if (!buffer_.empty()) {
    const std::string last = std::exchange(buffer_, std::string());
    const bool boundary = line_start_ && TakeBoundary(last, out);
    if (boundary) {
      out.resize(out.size() - 2);  // it had no line end
    } else if (state_ == State::kHeader) {
      header_.append(last);
    } else {
      Content(last, out);
    }
  }
  if (state_ == State::kHeader) {
    out.append(header_);
    header_.clear();
  }
  // No boundary follows that could have the last line end.
  if (encoder_.has_value() && std::exchange(newline_, false)) encoder_->Encode("\r\n", &out);
  EndLeaf(out);
}

void SevenBitConverter::Line(std::string_view line, std::string& out) {
  if (line_start_ && TakeBoundary(line, out)) return;
  if (state_ == State::kHeader) return HeaderLine(line, out);
  Content(line, out);
  newline_ = true;
}

void SevenBitConverter::Content(std::string_view bytes, std::string& out) {
  const bool newline = std::exchange(newline_, false);
  if (state_ == State::kLeaf) {
    if (newline) encoder_->Encode("\r\n", &out);
    encoder_->Encode(bytes, &out);
  } else {
    if (newline) out.append("\r\n");
    PutSevenBit(bytes, out);
  }
}

// The line end before a boundary is the boundary's.
void SevenBitConverter::EndLeaf(std::string& out) {
  if (encoder_.has_value()) encoder_->Finish(&out);
  encoder_.reset();
  if (std::exchange(newline_, false)) out.append("\r\n");
}

bool SevenBitConverter::TakeBoundary(std::string_view line, std::string& out) {
  if (boundaries_.empty() || line.substr(0, 2) != "--") return false;
  BoundaryStack::Match match;
  if (!boundaries_.Find(line, &match)) return false;
  out.append(std::exchange(header_, std::string()));  // of a part that has no body
  EndLeaf(out);
  PutSevenBit(line, out);
  out.append("\r\n");
  // An end leads back to what surrounds the multipart, of which nothing more is read.
  depth_ = match.end ? match.level - 1 : match.level;
  boundaries_.PopFrom(depth_ + 1);
  state_ = match.end ? State::kPass : State::kHeader;
  return true;
}

void SevenBitConverter::HeaderLine(std::string_view line, std::string& out) {
  header_.append(line).append("\r\n");
  if (line.empty() && line_start_) return EndHeader(out);
  if (header_.size() > kMaxHeader) EndHeader(out);
}

SevenBitConverter::Kind SevenBitConverter::KindOf() const {
  Kind kind;
  std::string type, subtype, encoding;
  std::vector<Parameter> params;
  HeaderReader reader(header_);
  while (const std::optional<HeaderField> field = reader.Next()) {
    if (NameIs(*field, "MIME-Version")) kind.has_mime_version = true;
    if (NameIs(*field, "Content-Type") && !kind.has_type) {
      kind.has_type = true;
      ParseContentType(Unfold(field->value), &type, &subtype, &params);
    }
    if (NameIs(*field, "Content-Transfer-Encoding") && encoding.empty()) {
      // What is no token says nothing, but must not be taken for no encoding.
      encoding = ParseTransferEncoding(Unfold(field->value)).value_or("?");
    }
  }
  if (!IsIdentity(encoding) || header_.size() > kMaxHeader) return kind;
  if (EqualsIgnoreCase(type, "multipart")) {
    for (const Parameter& param : params) {
      if (EqualsIgnoreCase(param.name, "boundary")) kind.boundary = param.value;
    }
    if (kind.boundary.empty() || depth_ >= kMaxDepth) return kind;
    kind.what = Kind::What::kMultipart;
  } else if (EqualsIgnoreCase(type, "message")) {
    // Other kinds of message/ may have no encoding (RFC 2045 section 6.4).
    if (EqualsIgnoreCase(subtype, "rfc822") || EqualsIgnoreCase(subtype, "global")) {
      kind.what = Kind::What::kMessage;
    }
  } else {
    kind.what = Kind::What::kLeaf;
    if (!type.empty() && !EqualsIgnoreCase(type, "text")) {
      kind.encoding = TransferEncoder::Kind::kBase64;
    }
  }
  return kind;
}

// The header with the encoding that the part has now.
void SevenBitConverter::PutHeader(const Kind& kind, std::string& out) const {
  if (kind.what == Kind::What::kEncoded) {
    out.append(header_);
    return;
  }
  bool had_encoding = false;
  HeaderReader reader(header_);
  while (const std::optional<HeaderField> field = reader.Next()) {
    if (NameIs(*field, "Content-Transfer-Encoding")) {
      had_encoding = true;
    } else {
      out.append(header_, field->offset, field->size);
    }
  }
  if (kind.what == Kind::What::kLeaf) {
    if (top_ && !kind.has_mime_version) out.append("MIME-Version: 1.0\r\n");
    if (top_ && !kind.has_type) out.append("Content-Type: text/plain; charset=unknown-8bit\r\n");
    out.append(kind.encoding == TransferEncoder::Kind::kBase64
                   ? "Content-Transfer-Encoding: base64\r\n"
                   : "Content-Transfer-Encoding: quoted-printable\r\n");
  } else if (had_encoding) {
    out.append("Content-Transfer-Encoding: 7bit\r\n");
  }
  out.append("\r\n");
}

void SevenBitConverter::EndHeader(std::string& out) {
  const Kind kind = KindOf();
  PutHeader(kind, out);
  header_.clear();
  top_ = false;
  switch (kind.what) {
    case Kind::What::kMultipart:
      boundaries_.Push(++depth_, kind.boundary);
      state_ = State::kPass;
      break;
    case Kind::What::kMessage:
      state_ = State::kHeader;
      top_ = true;
      break;
    case Kind::What::kLeaf:
      state_ = State::kLeaf;
      encoder_.emplace(kind.encoding);
      break;
    case Kind::What::kEncoded:
      state_ = State::kPass;
      break;
  }
}

}  // namespace posthorn::mime
