#include "lib/maildrop/envelope.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::maildrop {
namespace {

constexpr std::string_view kMagic = "posthorn-maildrop 1";
constexpr std::size_t kMaxValue = 1024;

absl::Status Bad(std::string_view text) { return MakeFailure(Failure::kInvalidArgument, text); }

bool IsValue(std::string_view value) {
  return value.size() <= kMaxValue && std::all_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 32 && c != 127;
  });
}

bool IsNotify(std::string_view value) {
  if (value == "NEVER") return true;
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view word = value.substr(0, comma);
    if (word != "SUCCESS" && word != "FAILURE" && word != "DELAY") return false;
    if (comma == std::string_view::npos) return true;
    value.remove_prefix(comma + 1);
  }
  return false;
}

absl::Status Apply(std::string_view word, std::string_view value, Envelope& envelope) {
  if (word == "to" && !value.empty()) {
    envelope.recipients.emplace_back(value);
  } else if (word == "from" && !envelope.reverse_path.has_value()) {
    envelope.reverse_path.emplace(value);
  } else if (word == "envid" && !value.empty()) {
    envelope.envelope_id = value;
  } else if (word == "ret" && (value == "FULL" || value == "HDRS")) {
    envelope.ret = value;
  } else if (word == "notify" && IsNotify(value)) {
    envelope.notify = value;
  } else if (word == "verp" && value.size() == 2) {
    envelope.verp_delimiters = value;
  } else if (word == "body" && value == "8bit") {
    envelope.body_is_8bit = true;
  } else {
    return Bad("unknown line in the envelope");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FormatEnvelope(const Envelope& envelope) {
  if (envelope.recipients.empty() || envelope.recipients.size() > kMaxRecipients) {
    return Bad("an envelope has from 1 to 500 recipients");
  }
  std::string text = absl::StrCat(absl::string_view(kMagic.data(), kMagic.size()), "\n");
  const auto add = [&text](const char* word, const std::string& value) {
    if (!IsValue(value)) return false;
    absl::StrAppend(&text, word, " ", value, "\n");
    return true;
  };
  bool good = !envelope.reverse_path.has_value() || add("from", *envelope.reverse_path);
  if (!envelope.envelope_id.empty()) good = add("envid", envelope.envelope_id) && good;
  if (!envelope.ret.empty()) good = add("ret", envelope.ret) && good;
  if (!envelope.notify.empty()) good = add("notify", envelope.notify) && good;
  if (envelope.body_is_8bit) good = add("body", "8bit") && good;
  if (!envelope.verp_delimiters.empty()) good = add("verp", envelope.verp_delimiters) && good;
  for (const std::string& recipient : envelope.recipients) good = add("to", recipient) && good;
  if (!good) return Bad("an address or option is too long or has a control character");
  text += '\n';
  return text;
}

absl::StatusOr<ParsedEnvelope> ParseEnvelope(std::string_view text) {
  ParsedEnvelope parsed;
  bool first = true;
  std::size_t position = 0;
  for (;;) {
    const std::size_t end = text.find('\n', position);
    if (end == std::string_view::npos || end > kMaxEnvelopeOctets) {
      return Bad("the envelope does not end");
    }
    const std::string_view line = text.substr(position, end - position);
    position = end + 1;
    if (first) {
      if (line != kMagic) return Bad("not a message of a maildrop");
      first = false;
      continue;
    }
    if (line.empty()) break;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || !IsValue(line)) return Bad("malformed envelope");
    absl::Status applied = Apply(line.substr(0, space), line.substr(space + 1), parsed.envelope);
    if (!applied.ok()) return applied;
    if (parsed.envelope.recipients.size() > kMaxRecipients) return Bad("too many recipients");
  }
  if (parsed.envelope.recipients.empty()) return Bad("no recipients");
  parsed.octets = position;
  return parsed;
}

}  // namespace posthorn::maildrop
