// subject      = *subj-leader [subj-middle] *subj-trailer
// subj-refwd   = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
// subj-blob    = "[" *BLOBCHAR "]" *WSP         BLOBCHAR: any but "[" and "]"
// subj-leader  = (*subj-blob subj-refwd) / WSP
// subj-trailer = "(fwd)" / WSP
// subj-fwd-hdr = "[fwd:"    subj-fwd-trl = "]"
#include "lib/mime/base_subject.h"

#include "absl/strings/match.h"
#include "lib/mime/encoded_word.h"

namespace posthorn::mime {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

bool StartsWith(std::string_view text, std::string_view prefix) {
  return absl::StartsWithIgnoreCase(absl::string_view(text.data(), text.size()),
                                    absl::string_view(prefix.data(), prefix.size()));
}

// Runs of white space as one space.
std::string Collapsed(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool blank = IsBlank(c) || c == '\r' || c == '\n';
    if (!blank) {
      result += c;
    } else if (result.empty() || result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}

std::size_t SkipBlanks(std::string_view text, std::size_t at) {
  while (at < text.size() && IsBlank(text[at])) ++at;
  return at;
}

// The end of a blob at `at`, or `at`.
std::size_t SkipBlob(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '[') return at;
  const std::size_t end = text.find_first_of("[]", at + 1);
  if (end == std::string_view::npos || text[end] == '[') return at;
  return SkipBlanks(text, end + 1);
}

// The end of a subj-refwd at `at`, or `at`.
std::size_t SkipRefwd(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at);
  std::size_t end = at;
  for (const std::string_view word : {"re", "fwd", "fw"}) {
    if (!StartsWith(rest, word)) continue;
    end = at + word.size();
    break;
  }
  if (end == at) return at;
  end = SkipBlob(text, SkipBlanks(text, end));
  return end < text.size() && text[end] == ':' ? end + 1 : at;
}

void RemoveTrailers(std::string_view& text, bool& refwd) {
  constexpr std::string_view kForwarded = "(fwd)";
  for (;;) {
    if (!text.empty() && IsBlank(text.back())) {
      text.remove_suffix(1);
    } else if (text.size() >= kForwarded.size() &&
               StartsWith(text.substr(text.size() - kForwarded.size()), kForwarded)) {
      text.remove_suffix(kForwarded.size());
      refwd = true;
    } else {
      return;
    }
  }
}

// Each step is linear in what it removes, except for blobs that no refwd follows: those are looked
// at once for each step.
void RemoveLeaders(std::string_view& text, bool& refwd) {
  for (;;) {
    text.remove_prefix(SkipBlanks(text, 0));
    std::size_t at = 0;
    for (std::size_t end = SkipBlob(text, at); end != at; end = SkipBlob(text, at)) at = end;
    const std::size_t end = SkipRefwd(text, at);
    if (end != at) {
      text.remove_prefix(end);
      refwd = true;
      continue;
    }
    const std::size_t blob = SkipBlob(text, 0);
    if (blob == 0 || blob == text.size()) return;
    text.remove_prefix(blob);
  }
}

}  // namespace

BaseSubject BaseSubjectOf(std::string_view value) {
  // Longer ones are no subjects, and blobs may be looked at again and again.
  constexpr std::size_t kMaxSubject = 2000;
  std::string subject = Collapsed(DecodeHeaderText(value));
  if (subject.size() > kMaxSubject) subject.resize(kMaxSubject);
  BaseSubject result;
  std::string_view text = subject;
  for (;;) {
    RemoveTrailers(text, result.reply_or_forward);
    RemoveLeaders(text, result.reply_or_forward);
    if (!StartsWith(text, "[fwd:") || text.back() != ']') break;
    text.remove_prefix(5);
    text.remove_suffix(1);
    result.reply_or_forward = true;
  }
  result.text = std::string(text);
  return result;
}

}  // namespace posthorn::mime
