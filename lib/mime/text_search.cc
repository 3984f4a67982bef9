#include "lib/mime/text_search.h"

#include <string.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/charset.h"
#include "lib/mime/encoded_word.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/transfer_decoder.h"

namespace posthorn::mime {
namespace {

// Text is folded in pieces of about this size.
constexpr std::size_t kPiece = 8192;
// Of one header field in a search.
constexpr std::size_t kMaxField = 128 * 1024;

// Gives the full decompositions, canonical and compatible.
const icu::Normalizer2* Decomposer() {
  static const icu::Normalizer2* const decomposer = [] {
    UErrorCode error = U_ZERO_ERROR;
    return icu::Normalizer2::getNFKDInstance(error);
  }();
  return decomposer;
}

bool IsAscii(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// `utf8` is well-formed. Each code point by itself: its titlecase, decomposed (RFC 5051 section 2).
std::string FoldWellFormed(std::string_view utf8) {
  std::string out;
  if (IsAscii(utf8)) {
    out.resize(utf8.size());
    std::transform(utf8.begin(), utf8.end(), out.begin(), AsciiUpper);
    return out;
  }
  out.reserve(utf8.size() + utf8.size() / 4);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  const auto size = static_cast<std::int32_t>(utf8.size());
  icu::UnicodeString decomposed;
  for (std::int32_t at = 0; at < size;) {
    if (bytes[at] < 0x80) {
      out += AsciiUpper(utf8[static_cast<std::size_t>(at++)]);
      continue;
    }
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(bytes, at, size, c);
    c = u_totitle(c);
    if (Decomposer() != nullptr && Decomposer()->getDecomposition(c, decomposed)) {
      icu::StringByteSink<std::string> sink(&out);
      decomposed.toUTF8(sink);
      continue;
    }
    std::uint8_t encoded[U8_MAX_LENGTH];
    std::int32_t length = 0;
    U8_APPEND_UNSAFE(encoded, length, c);
    out.append(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(length));
  }
  return out;
}

bool Contains(std::string_view text, std::string_view needle) {
  return memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
}

// Name, colon and decoded value of one field, or a line without a colon.
std::string FieldText(const HeaderField& field) {
  std::string text(field.name);
  if (!field.name.empty()) text += ": ";
  return text + DecodeHeaderText(Unfold(field.value));
}

}  // namespace

std::string FoldForSearch(std::string_view utf8) {
  if (IsAscii(utf8)) return FoldWellFormed(utf8);
  return FoldWellFormed(ToUtf8("utf-8", utf8).value_or(""));
}

bool HeaderValueContains(std::string_view raw_value, std::string_view folded_needle) {
  if (folded_needle.empty()) return true;
  return Contains(FoldWellFormed(DecodeHeaderText(Unfold(raw_value))), folded_needle);
}

bool HeaderContains(std::string_view header_block, std::string_view name,
                    std::string_view folded_needle) {
  HeaderReader reader(header_block);
  while (std::optional<HeaderField> field = reader.Next()) {
    if (NameIs(*field, name) && HeaderValueContains(field->value, folded_needle)) return true;
  }
  return false;
}

class MessageSearchImpl {
 public:
  using Needle = MessageSearch::Needle;

  MessageSearchImpl(const Structure& structure, std::vector<Needle> needles,
                    MessageText::Sink sink)
      : needles_(std::move(needles)), found_(needles_.size()), sink_(std::move(sink)) {
    for (std::size_t i = 0; i < needles_.size(); ++i) {
      found_[i] = needles_[i].folded.empty();
      longest_ = std::max(longest_, needles_[i].folded.size());
    }
    AddSegments(structure.root, true);
  }

  void FeedPrefix(std::string_view header_block) {
    HeaderReader reader(header_block);
    while (std::optional<HeaderField> field = reader.Next()) LookAtText(*field, true);
  }

  void Feed(std::string_view bytes) {
    while (!bytes.empty() && next_ < segments_.size()) {
      const Segment& segment = segments_[next_];
      if (offset_ >= segment.end) {
        EndSegment();
        continue;
      }
      if (offset_ < segment.begin) {
        const std::size_t skip = std::min<std::uint64_t>(bytes.size(), segment.begin - offset_);
        bytes.remove_prefix(skip);
        offset_ += skip;
        continue;
      }
      const std::size_t size = std::min<std::uint64_t>(bytes.size(), segment.end - offset_);
      FeedSegment(segment, bytes.substr(0, size));
      bytes.remove_prefix(size);
      offset_ += size;
    }
    offset_ += bytes.size();
  }

  void Finish() {
    if (next_ < segments_.size() && offset_ > segments_[next_].begin) EndSegment();
    next_ = segments_.size();
  }

  bool complete() const {
    return std::find(found_.begin(), found_.end(), false) == found_.end();
  }
  const std::vector<bool>& found() const { return found_; }

 private:
  // What is searched, in the order of the message.
  struct Segment {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool header = false;
    bool top_header = false;
    std::string_view encoding;
    std::string_view charset;
  };

  void AddSegments(const Part& part, bool top) {
    Segment header;
    header.begin = part.header_offset;
    header.end = part.header_offset + part.header_size;
    header.header = true;
    header.top_header = top;
    if (header.end > header.begin) segments_.push_back(header);
    // What has no readable type may be text as well.
    const bool text = part.IsType("text") || part.IsType("message") || part.type.empty();
    if (part.kind == Part::Kind::kLeaf && text && part.body_size > 0) {
      Segment body;
      body.begin = part.body_offset;
      body.end = part.body_offset + part.body_size;
      body.encoding = part.encoding;
      const std::string* charset = part.Param("charset");
      body.charset = charset != nullptr ? std::string_view(*charset) : "us-ascii";
      segments_.push_back(body);
    }
    for (const Part& child : part.parts) AddSegments(child, false);
  }

  void FeedSegment(const Segment& segment, std::string_view bytes) {
    if (segment.header) {
      FeedHeader(segment, bytes);
      return;
    }
    if (!charset_) {
      transfer_.emplace(segment.encoding);
      charset_.emplace(segment.charset);
    }
    while (!bytes.empty()) {  // in pieces, so that what is decoded stays small
      const std::string_view piece = bytes.substr(0, kPiece);
      bytes.remove_prefix(piece.size());
      std::string decoded;
      transfer_->Decode(piece, &decoded);
      charset_->Decode(decoded, false, &text_);
      if (text_.size() >= kPiece) LookAtText();
    }
  }

  void EndSegment() {
    const Segment& segment = segments_[next_++];
    if (segment.header) {
      LookAtField(segment);
    } else if (charset_) {
      std::string decoded;
      transfer_->Finish(&decoded);
      charset_->Decode(decoded, true, &text_);
      LookAtText();
    }
    transfer_.reset();
    charset_.reset();
    tail_.clear();
    continues_ = false;
  }

  // Collects a field with its folded lines.
  void FeedHeader(const Segment& segment, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t feed = bytes.find('\n');
      const std::size_t size = feed == std::string_view::npos ? bytes.size() : feed + 1;
      const bool new_field = field_.empty() || (field_.back() == '\n' && !IsBlank(bytes.front()));
      if (new_field) LookAtField(segment);
      field_.append(bytes.substr(0, std::min(size, kMaxField - std::min(kMaxField, field_.size()))));
      if (feed != std::string_view::npos && field_.back() != '\n') field_.back() = '\n';
      bytes.remove_prefix(size);
    }
  }

  void LookAtField(const Segment& segment) {
    HeaderReader reader(field_);
    if (std::optional<HeaderField> field = reader.Next()) {
      LookAtText(*field, segment.top_header);
    }
    field_.clear();
  }

  void LookAtText(const HeaderField& field, bool top_header) {
    if (sink_ && top_header) {
      GiveOut(FoldWellFormed(field.name), MessageText::Kind::kFieldName, &field);
      // A search of the header in front looks at lines as a whole: a name may have a coded word too.
      if (field.name.find("=?") != std::string_view::npos) {
        const std::string line = std::string(field.name) + ": " + Unfold(field.value);
        GiveOut(FoldWellFormed(DecodeHeaderText(line)), MessageText::Kind::kFieldName, &field);
      }
      GiveOut(FoldWellFormed(DecodeHeaderText(Unfold(field.value))),
              MessageText::Kind::kFieldValue, &field);
      return;
    }
    Look(FoldWellFormed(FieldText(field)), top_header);
  }

  void GiveOut(std::string_view folded, MessageText::Kind kind, const HeaderField* field) {
    MessageText::Piece piece;
    piece.kind = kind;
    piece.folded = folded;
    piece.field = field;
    sink_(piece);
  }

  void LookAtText() {
    const std::string folded = FoldWellFormed(text_);
    text_.clear();
    if (sink_) {
      MessageText::Piece piece;
      piece.folded = folded;
      piece.begins = !std::exchange(continues_, true);
      sink_(piece);
      return;
    }
    tail_ += folded;
    Look(tail_, false);
    // A needle may begin in what was seen.
    if (tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ > 0 ? longest_ - 1 : 0));
  }

  void Look(std::string_view folded, bool top_header) {
    if (sink_) {
      GiveOut(folded, MessageText::Kind::kPart, nullptr);
      return;
    }
    for (std::size_t i = 0; i < needles_.size(); ++i) {
      if (found_[i] || (top_header && !needles_[i].in_header)) continue;
      if (Contains(folded, needles_[i].folded)) found_[i] = true;
    }
  }

  const std::vector<Needle> needles_;
  std::vector<bool> found_;
  const MessageText::Sink sink_;  // instead of needles
  bool continues_ = false;        // the sink has the beginning of this text
  std::size_t longest_ = 0;
  std::vector<Segment> segments_;
  std::size_t next_ = 0;
  std::uint64_t offset_ = 0;

  std::optional<TransferDecoder> transfer_;
  std::optional<CharsetDecoder> charset_;
  std::string text_;   // decoded, not folded yet
  std::string tail_;   // folded, the end of what was searched
  std::string field_;  // a header field that is not complete
};

MessageSearch::MessageSearch(const Structure& structure, std::vector<Needle> needles)
    : impl_(std::make_unique<MessageSearchImpl>(structure, std::move(needles), nullptr)) {}
MessageSearch::~MessageSearch() = default;
void MessageSearch::FeedPrefix(std::string_view header_block) { impl_->FeedPrefix(header_block); }
void MessageSearch::Feed(std::string_view bytes) { impl_->Feed(bytes); }
void MessageSearch::Finish() { impl_->Finish(); }
bool MessageSearch::complete() const { return impl_->complete(); }
const std::vector<bool>& MessageSearch::found() const { return impl_->found(); }

MessageText::MessageText(const Structure& structure, Sink sink)
    : impl_(std::make_unique<MessageSearchImpl>(structure, std::vector<MessageSearch::Needle>(),
                                                std::move(sink))) {}
MessageText::~MessageText() = default;
void MessageText::FeedPrefix(std::string_view header_block) { impl_->FeedPrefix(header_block); }
void MessageText::Feed(std::string_view bytes) { impl_->Feed(bytes); }
void MessageText::Finish() { impl_->Finish(); }

}  // namespace posthorn::mime
