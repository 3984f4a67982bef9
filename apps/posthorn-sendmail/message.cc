#include "apps/posthorn-sendmail/message.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/mime/address_qualifier.h"
#include "lib/mime/ascii.h"
#include "lib/mime/envelope.h"
#include "lib/mime/header_editor.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/header_walker.h"
#include "lib/mime/lexer.h"
#include "lib/mime/submission_header.h"
#include "lib/smtp/address.h"

namespace posthorn::sendmail {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
// Of a line, until it is decided what it is: "From " or a lone dot.
constexpr std::size_t kUndecided = 8;
// Of the fields that name recipients, together.
constexpr std::size_t kMaxRecipientOctets = 64 * 1024 * 1024;
constexpr std::size_t kMaxRecipients = 1'000'000;
// Of names without a domain, while they are read (RFC 2606 section 2).
constexpr char kNoDomain[] = "no-domain.posthorn.invalid";

absl::Status ErrnoStatus(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// The values of the fields that name recipients.
class RecipientFields final : private mime::HeaderWalker::Visitor {
 public:
  void Feed(std::string_view bytes) { walker_.Feed(bytes); }
  void Finish() { walker_.Finish(); }
  // Those of Resent-* are who gets it this time (RFC 5322 section 3.6.6).
  const std::string& values() const { return any_resent_ ? resent_ : original_; }
  bool complete() const { return complete_; }

 private:
  void OnField(std::string_view name) override {
    const auto is = [name](std::string_view field) { return mime::EqualsIgnoreCase(name, field); };
    value_ = nullptr;
    in_value_ = false;
    if (is("to") || is("cc") || is("bcc")) value_ = &original_;
    if (is("resent-to") || is("resent-cc") || is("resent-bcc")) {
      value_ = &resent_;
      any_resent_ = true;
    }
    if (value_ != nullptr && !value_->empty()) *value_ += ",";
  }
  void OnOctets(std::string_view bytes) override {
    if (value_ == nullptr) return;
    if (!in_value_) {
      const std::size_t colon = bytes.find(':');
      if (colon == std::string_view::npos) return;
      in_value_ = true;
      bytes.remove_prefix(colon + 1);
    }
    if (value_->size() + bytes.size() > kMaxRecipientOctets) {
      complete_ = false;
      return;
    }
    value_->append(bytes);
  }

  mime::HeaderWalker walker_{*this};
  std::string original_;
  std::string resent_;
  bool any_resent_ = false;
  bool complete_ = true;
  std::string* value_ = nullptr;
  bool in_value_ = false;
};

bool Is8Bit(std::string_view bytes) {
  return std::any_of(bytes.begin(), bytes.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 128; });
}

}  // namespace

Store::~Store() {
  if (fd_ >= 0) close(fd_);
}

absl::Status Store::Append(std::string_view bytes) {
  if (fd_ < 0 && memory_.size() + bytes.size() <= kMemoryOctets) {
    memory_.append(bytes);
    size_ = memory_.size();
    return absl::OkStatus();
  }
  if (fd_ < 0) {
    std::FILE* const file = std::tmpfile();
    if (file == nullptr) return ErrnoStatus("temporary file");
    fd_ = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
    std::fclose(file);
    if (fd_ < 0) return ErrnoStatus("temporary file");
    const std::string memory = std::exchange(memory_, std::string());
    size_ = 0;
    if (absl::Status s = Append(memory); !s.ok()) return s;
  }
  while (!bytes.empty()) {
    const ssize_t put = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus("temporary file");
    size_ += static_cast<std::uint64_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Store::Read(std::uint64_t offset, std::size_t length) const {
  if (offset >= size_) return std::string();
  if (fd_ < 0) return memory_.substr(offset, length);
  std::string bytes(std::min<std::uint64_t>(length, size_ - offset), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = pread(fd_, bytes.data() + have, bytes.size() - have,
                              static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ErrnoStatus("temporary file");
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

absl::Status Store::ForEach(const std::function<absl::Status(std::string_view)>& fn) const {
  for (std::uint64_t offset = 0; offset < size_;) {
    const absl::StatusOr<std::string> piece = Read(offset, kPiece);
    if (!piece.ok()) return piece.status();
    offset += piece->size();
    if (absl::Status s = fn(*piece); !s.ok()) return s;
  }
  return absl::OkStatus();
}

bool InputLines::EndLine(std::string& out) {
  if (!passing_) {
    if (line_ == "." && !dot_is_text_) {
      done_ = true;
      return false;
    }
    const bool separator =
        first_ && (std::string_view(line_).starts_with("From ") ||
                   std::string_view(line_).starts_with(">From "));
    if (separator) {
      line_.clear();
      return true;
    }
    out += line_;
  }
  out += "\r\n";
  line_.clear();
  passing_ = false;
  first_ = false;
  return true;
}

bool InputLines::Feed(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    if (done_) return false;
    if (held_cr_) {
      held_cr_ = false;
      if (!EndLine(out)) return false;
      if (c == '\n') continue;
    }
    if (c == '\r') {
      held_cr_ = true;
    } else if (c == '\n') {
      if (!EndLine(out)) return false;
    } else if (passing_) {
      out += c;
    } else {
      line_ += c;
      // The whole of a separator is dropped; every other line is decided early.
      const bool separator = first_ && (std::string_view(line_).starts_with("From ") ||
                                        std::string_view(line_).starts_with(">From "));
      if (line_.size() >= kUndecided && !separator) {
        out += line_;
        line_.clear();
        passing_ = true;
      }
    }
  }
  return !done_;
}

void InputLines::Finish(std::string& out) {
  if (done_) return;
  if (held_cr_ || passing_ || !line_.empty()) {
    held_cr_ = false;
    EndLine(out);
  }
}

absl::StatusOr<std::vector<std::string>> Addresses(std::string_view list) {
  // Strictly read addresses have a domain: those without get one, which is taken away again.
  const std::string value = mime::QualifyAddresses(mime::Unfold(list), kNoDomain);
  const std::optional<mime::AddressList> read = mime::ParseMailboxList(value, kMaxRecipients);
  if (!read.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no address: ", mime::Unfold(list).substr(0, 200)));
  }
  std::vector<std::string> addresses;
  for (const mime::Address& address : *read) {
    const std::string host = address.host.value_or("");
    const smtp::Mailbox mailbox(address.mailbox.value_or(""), host == kNoDomain ? "" : host);
    const std::string text = mailbox.ToString();
    if (mailbox.local_part.empty() ||
        (!mailbox.domain.empty() && !smtp::ParseMailbox(text).ok())) {
      return absl::InvalidArgumentError(absl::StrCat("no address: ", text.substr(0, 200)));
    }
    addresses.push_back(text);
  }
  return addresses;
}

std::string FromField(const std::string& full_name, const std::string& address) {
  if (full_name.empty()) return address;
  const bool printable = std::all_of(full_name.begin(), full_name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 32 && c != 127;
  });
  if (!printable) return address;
  if (Is8Bit(full_name)) {
    // RFC 2047 section 2: a word has at most 75 characters; cut where a character begins.
    std::string words;
    for (std::size_t begin = 0; begin < full_name.size();) {
      std::size_t end = std::min(begin + 39, full_name.size());
      while (end < full_name.size() && (full_name[end] & 0xC0) == 0x80) --end;
      if (end <= begin) return address;  // no UTF-8
      absl::StrAppend(&words, words.empty() ? "" : "\r\n ", "=?utf-8?B?",
                      absl::Base64Escape(full_name.substr(begin, end - begin)), "?=");
      begin = end;
    }
    return absl::StrCat(words, " <", address, ">");
  }
  const bool atoms = std::all_of(full_name.begin(), full_name.end(), [](char c) {
    return c == ' ' || mime::Lexer::IsAtext(c);
  });
  if (atoms) return absl::StrCat(full_name, " <", address, ">");
  std::string quoted;
  for (const char c : full_name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return absl::StrCat("\"", quoted, "\" <", address, ">");
}

absl::Status Prepare(const Store& input, const Author& author, bool recipients_from_header,
                     Prepared& prepared) {
  mime::SubmissionHeader header;
  RecipientFields fields;
  absl::Status read = input.ForEach([&](std::string_view piece) {
    header.Feed(piece);
    fields.Feed(piece);
    prepared.is_8bit = prepared.is_8bit || Is8Bit(piece);
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  header.Finish();
  fields.Finish();
  if (recipients_from_header) {
    if (!fields.complete()) return absl::InvalidArgumentError("too many recipients in the header");
    absl::StatusOr<std::vector<std::string>> recipients = Addresses(fields.values());
    if (!recipients.ok()) return recipients.status();
    prepared.recipients = *std::move(recipients);
  }
  mime::Completion completion;
  completion.date = author.date;
  completion.message_id = author.message_id;
  completion.from = author.from;
  mime::HeaderEdits edits = mime::EditsFor(header, completion);
  if (author.from.empty() && !header.from().presence.filled) {
    // The platform knows better; an empty field stays for it to replace.
    std::erase(edits.removed, "from");
    const std::size_t at = edits.added.find("From: \r\n");
    edits.added.erase(at, sizeof("From: \r\n") - 1);
  }
  mime::HeaderEditor editor(std::move(edits));
  std::string out;
  absl::Status written = input.ForEach([&](std::string_view piece) {
    out.clear();
    editor.Feed(piece, out);
    return prepared.body.Append(out);
  });
  if (!written.ok()) return written;
  out.clear();
  editor.Finish(out);
  return prepared.body.Append(out);
}

}  // namespace posthorn::sendmail
