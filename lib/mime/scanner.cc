// The scanner sees a message as lines. In a header (of the message, of a part, of a nested message)
// each line belongs to a field; the blank line ends it. In a body only lines that start with "--"
// matter, and only while a multipart is open: without one the rest is skipped over.
//
// The parts that are open form a stack: the root, then a child of each. A boundary line closes what
// lies inside its multipart and opens the next child, or, as end, leaves the multipart's epilogue.

#include "lib/mime/scanner.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/mime/ascii.h"
#include "lib/mime/boundary_stack.h"
#include "lib/mime/header_values.h"

namespace posthorn::mime {
namespace {

// What of a body line can matter: "--", boundary, "--".
constexpr std::size_t kMaxBodyLineOctets = Scanner::kMaxBoundaryOctets + 4;

std::uint64_t CountLineFeeds(std::string_view bytes) {
  constexpr std::uint64_t kFeeds = 0x0a0a0a0a0a0a0a0a;
  constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7f;
  std::uint64_t count = 0;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {  // eight octets at once
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    word ^= kFeeds;
    // The high bit of each octet that is now zero.
    count += static_cast<std::uint64_t>(std::popcount(~(((word & kLow) + kLow) | word | kLow)));
  }
  for (; i < bytes.size(); ++i) count += bytes[i] == '\n' ? 1 : 0;
  return count;
}

}  // namespace

class Scanner::Impl {
 public:
  Impl() { OpenPart(&message_.structure.root, &message_.envelope, false); }

  void Feed(std::string_view bytes) {
    RememberEnd(bytes);
    while (!bytes.empty()) {
      if (state_ == State::kBody && boundaries_.empty() && pending_size_ == 0) {
        line_feeds_ += CountLineFeeds(bytes);
        offset_ += bytes.size();
        return;
      }
      const void* feed = std::memchr(bytes.data(), '\n', bytes.size());
      if (feed == nullptr) {
        Hold(bytes);
        return;
      }
      const std::size_t size = static_cast<const char*>(feed) - bytes.data();
      const std::string_view line = bytes.substr(0, size);
      if (pending_size_ == 0) {
        const bool crlf = !line.empty() && line.back() == '\r';
        OnLine(crlf ? line.substr(0, size - 1) : line, crlf ? 2 : 1, size + 1);
      } else {
        Hold(line);
        OnHeldLine(1);
      }
      bytes.remove_prefix(size + 1);
    }
  }

  Message Finish() {
    if (pending_size_ > 0) OnHeldLine(0);
    FinishField();
    while (state_ == State::kHeader) EndHeader(offset_);
    CloseTo(0, offset_, 0);
    message_.header_size = message_.structure.root.header_size;
    message_.size = offset_;
    message_.structure.lacks_final_line_end =
        offset_ > 0 && !(last_ == '\n' && last_but_one_ == '\r');
    return std::move(message_);
  }

 private:
  enum class State : std::uint8_t { kHeader, kBody };

  struct Open {
    Part* part = nullptr;
    Envelope* envelope = nullptr;  // of the message whose root this is; nullptr: a MIME part
    std::uint64_t first_line_feed = 0;  // line feeds before the header, then before the body
    bool type_seen = false;
    bool mime_version = false;
    bool in_digest = false;
  };

  void RememberEnd(std::string_view bytes) {
    if (bytes.empty()) return;
    last_but_one_ = bytes.size() > 1 ? bytes[bytes.size() - 2] : last_;
    last_ = bytes.back();
  }

  // Keeps the start of a line that is not complete.
  void Hold(std::string_view bytes) {
    if (bytes.empty()) return;
    const std::size_t limit = state_ == State::kHeader ? kMaxFieldOctets : kMaxBodyLineOctets;
    if (pending_.size() < limit) pending_.append(bytes.substr(0, limit - pending_.size()));
    pending_size_ += bytes.size();
    pending_last_ = bytes.back();
  }

  // The held line is complete, with `feed` (0 or 1) octets of line feed after it.
  void OnHeldLine(std::size_t feed) {
    const std::size_t size = pending_size_ + feed;
    const bool crlf = feed == 1 && pending_last_ == '\r';
    // A held line that was cut no longer ends in its CR.
    if (crlf && pending_.size() == pending_size_) pending_.pop_back();
    std::string line = std::move(pending_);
    pending_.clear();
    pending_size_ = 0;
    OnLine(line, feed == 0 ? 0 : crlf ? 2 : 1, size);
  }

  // One line without its line end, maybe cut; `size` octets of the message with it.
  void OnLine(std::string_view line, std::size_t line_end, std::size_t size) {
    BoundaryStack::Match match;
    if (line.size() >= 2 && line[0] == '-' && line[1] == '-' && !boundaries_.empty() &&
        parts_ < kMaxParts && boundaries_.Find(line.substr(0, kMaxBodyLineOctets), &match)) {
      OnBoundary(match, line_end, size);
      previous_line_end_ = 0;
      return;
    }
    const bool in_header = state_ == State::kHeader;
    if (in_header) OnHeaderLine(line, line_end, offset_ + size);
    offset_ += size;
    if (line_end > 0) ++line_feeds_;
    previous_line_end_ = in_header ? 0 : line_end;
  }

  void OnHeaderLine(std::string_view line, std::size_t line_end, std::uint64_t next) {
    if (line.empty() && line_end > 0) {
      FinishField();
      EndHeader(next, 1);
      return;
    }
    if (IsBlank(line.front())) {
      if (field_ != FieldId::kNone) Keep(line);
      return;
    }
    FinishField();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string_view name = line.substr(0, colon);
    while (!name.empty() && IsBlank(name.back())) name.remove_suffix(1);
    field_ = FindField(name);
    if (field_ == FieldId::kNone || !Wanted(field_)) {
      field_ = FieldId::kNone;
      return;
    }
    line.remove_prefix(colon + 1);
    while (!line.empty() && IsBlank(line.front())) line.remove_prefix(1);
    Keep(line);
  }

  // MIME parts have no envelope.
  bool Wanted(FieldId id) const { return IsContentField(id) || stack_.back().envelope != nullptr; }

  void Keep(std::string_view text) {
    const std::size_t room =
        std::min(kMaxFieldOctets - value_.size(), kMaxKeptOctets - kept_ - value_.size());
    value_.append(text.substr(0, room));
  }

  void FinishField() {
    if (field_ == FieldId::kNone) return;
    const FieldId id = std::exchange(field_, FieldId::kNone);
    CleanValue(&value_);
    kept_ = std::min(kMaxKeptOctets, kept_ + value_.size());
    Open& open = stack_.back();
    if (IsContentField(id)) {
      SetContentField(id, value_, open.part, &open.type_seen);
    } else if (id == FieldId::kMimeVersion) {
      open.mime_version = true;
    } else if (stack_.size() == 1 && id == FieldId::kReceived) {
      ++message_.list_headers.received_count;
    } else if (stack_.size() == 1 && id == FieldId::kReferences) {
      message_.list_headers.references = value_;
      message_.envelope.references = ShortReferences(value_);
    } else if (stack_.size() == 1 && id == FieldId::kListId) {
      message_.list_headers.list_id = value_;
    } else {
      SetEnvelopeField(id, value_, open.envelope);
    }
    value_.clear();
  }

  void OpenPart(Part* part, Envelope* envelope, bool in_digest) {
    Open open;
    open.part = part;
    open.envelope = envelope;
    open.first_line_feed = line_feeds_;
    open.in_digest = in_digest;
    part->header_offset = offset_;
    stack_.push_back(open);
    state_ = State::kHeader;
    ++parts_;
  }

  // The header of the innermost part ends before `body`; `ahead` line feeds before it are not
  // counted yet. Opens the nested message, if that is what the part is.
  void EndHeader(std::uint64_t body, std::uint32_t ahead = 0) {
    Open& open = stack_.back();
    Part& part = *open.part;
    const std::uint64_t line_feeds = line_feeds_ + ahead;
    part.header_size = body - part.header_offset;
    part.header_lines = static_cast<std::uint32_t>(line_feeds - open.first_line_feed);
    part.body_offset = body;
    open.first_line_feed = line_feeds;
    const bool is_mime = open.envelope == nullptr || open.mime_version || open.type_seen;
    if (!is_mime) ForgetContentFields(&part);
    SetContentDefaults(open.type_seen, open.in_digest, &part);
    state_ = State::kBody;
    if (depth_ >= kMaxDepth || parts_ >= kMaxParts) return;
    if (part.IsType("multipart")) {
      part.kind = Part::Kind::kMultipart;
      ++depth_;
      if (const std::string* boundary = part.Param("boundary")) {
        boundaries_.Push(stack_.size() - 1,
                         std::string_view(*boundary).substr(0, kMaxBoundaryOctets));
      }
    } else if (part.IsType("message", "rfc822")) {
      part.kind = Part::Kind::kMessage;
      ++depth_;
      part.envelope = std::make_unique<Envelope>();
      Part* root = &part.parts.emplace_back();
      OpenPart(root, part.envelope.get(), false);
      root->header_offset = body;
      stack_.back().first_line_feed = line_feeds;
    }
  }

  void OnBoundary(const BoundaryStack::Match& match, std::size_t line_end, std::size_t size) {
    FinishField();
    while (state_ == State::kHeader) EndHeader(offset_);
    CloseTo(match.level + 1, offset_, previous_line_end_);
    if (match.end) boundaries_.PopFrom(match.level);
    offset_ += size;
    if (line_end > 0) ++line_feeds_;
    // A boundary cut short by the end of the message opens nothing.
    if (match.end || line_end == 0) return;
    Part* parent = stack_.back().part;
    OpenPart(&parent->parts.emplace_back(), nullptr, parent->IsType("multipart", "digest"));
  }

  // Closes the parts above the first `size`: their bodies end at `end`, less `line_end` octets.
  void CloseTo(std::size_t size, std::uint64_t end, std::size_t line_end) {
    while (stack_.size() > size) {
      const Open& open = stack_.back();
      Part& part = *open.part;
      if (end >= part.body_offset + line_end) {
        part.body_size = end - line_end - part.body_offset;
        part.body_lines = static_cast<std::uint32_t>(line_feeds_ - (line_end > 0 ? 1 : 0) -
                                                     open.first_line_feed);
      }
      if (part.kind != Part::Kind::kLeaf) --depth_;
      stack_.pop_back();
    }
    boundaries_.PopFrom(size);
  }

  Message message_;
  State state_ = State::kHeader;
  std::uint64_t offset_ = 0;      // octets before the current line
  std::uint64_t line_feeds_ = 0;  // in them
  // The line end before a boundary line belongs to it (RFC 2046 section 5.1.1), unless it already
  // ends a header or another boundary line: then this is 0.
  std::size_t previous_line_end_ = 0;

  std::string pending_;           // the start of the current line
  std::uint64_t pending_size_ = 0;  // its octets so far
  char pending_last_ = '\0';

  char last_ = '\0';          // the last octets fed
  char last_but_one_ = '\0';

  FieldId field_ = FieldId::kNone;
  std::string value_;
  std::size_t kept_ = 0;

  std::vector<Open> stack_;
  BoundaryStack boundaries_;
  int depth_ = 0;
  int parts_ = 0;
};

Scanner::Scanner() : impl_(std::make_unique<Impl>()) {}
Scanner::~Scanner() = default;
void Scanner::Feed(std::string_view bytes) { impl_->Feed(bytes); }
Message Scanner::Finish() { return impl_->Finish(); }

Message Scan(std::string_view bytes) {
  Scanner scanner;
  scanner.Feed(bytes);
  return scanner.Finish();
}

}  // namespace posthorn::mime
