#include "apps/posthorn-sendmail/arguments.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/smtp/verp.h"

namespace posthorn::sendmail {
namespace {

// Options with a value, attached or as the next argument; all others stand alone and may be joined.
constexpr std::string_view kWithValue = "ABCFLNORVXbefhopr";
constexpr std::string_view kAlone = "GIUcimnstv";
constexpr std::size_t kMaxEnvelopeId = 100;  // RFC 3461 section 4.4

absl::Status Usage(const std::string& text) { return absl::InvalidArgumentError(text); }

absl::StatusOr<std::string> Notify(const std::string& value) {
  const std::string upper = absl::AsciiStrToUpper(value);
  const std::vector<std::string> words = absl::StrSplit(upper, ',');
  for (const std::string& word : words) {
    const bool known = word == "SUCCESS" || word == "FAILURE" || word == "DELAY";
    if (!known && !(word == "NEVER" && words.size() == 1)) {
      return Usage(absl::StrCat("-N ", value, ": is \"never\" or a list of success, failure, delay"));
    }
  }
  return upper;
}

absl::StatusOr<std::string> Return(const std::string& value) {
  const std::string upper = absl::AsciiStrToUpper(value);
  if (upper == "FULL" || upper == "HDRS") return upper;
  return Usage(absl::StrCat("-R ", value, ": is full or hdrs"));
}

absl::Status SetMode(const std::string& value, Options& options) {
  if (value == "m") {
    options.mode = Mode::kSubmit;
  } else if (value == "s") {
    options.mode = Mode::kDialogue;
  } else if (value == "p") {
    options.mode = Mode::kShowQueue;
  } else if (value == "i") {
    options.mode = Mode::kDoNothing;
  } else {
    return Usage(absl::StrCat("-b", value, ": not supported: posthorn serve is the daemon"));
  }
  return absl::OkStatus();
}

absl::Status Apply(char option, const std::string& value, Options& options) {
  switch (option) {
    case 't': options.recipients_from_header = true; break;
    case 'i': options.dot_is_text = true; break;
    case 'v': options.verbose = true; break;
    case 'I': options.mode = Mode::kDoNothing; break;
    case 'b': return SetMode(value, options);
    case 'o':
      if (value == "i") options.dot_is_text = true;
      break;
    case 'f':
    case 'r': options.sender = value == "<>" ? "" : value; break;
    case 'X':
      // -XV and -XVxy, as Postfix has it; any other value names a file for a log that is not kept.
      if (value.starts_with("V") && value.size() <= 3 && value.size() != 2) {
        options.verp_delimiters = value.size() == 1 ? smtp::kDefaultVerpDelimiters : value.substr(1);
        if (!smtp::IsVerpDelimiters(options.verp_delimiters)) {
          return Usage("-XV: the delimiters are two of -, = and +");
        }
      }
      break;
    case 'F': options.full_name = value; break;
    case 'N': {
      const absl::StatusOr<std::string> notify = Notify(value);
      if (!notify.ok()) return notify.status();
      options.notify = *notify;
      break;
    }
    case 'R': {
      const absl::StatusOr<std::string> ret = Return(value);
      if (!ret.ok()) return ret.status();
      options.ret = *ret;
      break;
    }
    case 'V': {
      const bool printable = std::all_of(value.begin(), value.end(),
                                         [](char c) { return c >= 32 && c < 127; });
      if (value.empty() || value.size() > kMaxEnvelopeId || !printable) {
        return Usage("-V: an envelope id is printable ASCII of at most 100 characters");
      }
      options.envelope_id = value;
      break;
    }
    default: break;  // has no meaning here
  }
  return absl::OkStatus();
}

std::string_view LastPart(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

absl::StatusOr<Options> ParseArguments(const std::vector<std::string>& arguments) {
  Options options;
  const std::string_view name = arguments.empty() ? std::string_view() : LastPart(arguments[0]);
  if (name == "mailq") options.mode = Mode::kShowQueue;
  if (name == "newaliases") options.mode = Mode::kDoNothing;
  std::size_t next = 1;
  for (; next < arguments.size(); ++next) {
    const std::string& argument = arguments[next];
    if (argument == "--") {
      ++next;
      break;
    }
    if (argument.size() < 2 || argument.front() != '-') break;
    for (std::size_t i = 1; i < argument.size(); ++i) {
      const char option = argument[i];
      // Its value is attached or left out. Alone, or with an interval, a run of the queue.
      if (option == 'q') {
        options.mode = Mode::kDoNothing;
        break;
      }
      if (kAlone.find(option) != std::string_view::npos) {
        if (absl::Status s = Apply(option, "", options); !s.ok()) return s;
        continue;
      }
      if (kWithValue.find(option) == std::string_view::npos) {
        return Usage(absl::StrCat("-", std::string(1, option), ": unknown option"));
      }
      std::string value = argument.substr(i + 1);
      if (value.empty()) {
        if (next + 1 >= arguments.size()) {
          return Usage(absl::StrCat("-", std::string(1, option), ": needs a value"));
        }
        value = arguments[++next];
      }
      if (absl::Status s = Apply(option, value, options); !s.ok()) return s;
      break;
    }
  }
  options.recipients.assign(arguments.begin() + static_cast<std::ptrdiff_t>(
                                                    std::min(next, arguments.size())),
                            arguments.end());
  if (options.mode == Mode::kSubmit && options.recipients.empty() &&
      !options.recipients_from_header) {
    return Usage("recipients must be named on the command line, or by -t in the message");
  }
  return options;
}

}  // namespace posthorn::sendmail
