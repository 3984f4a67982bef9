#include "lib/imap/format/format.h"

namespace posthorn::imap {

void AppendEsearch(std::string_view tag, bool uid, std::string& out) {
  out += "* ESEARCH (TAG ";
  AppendString(tag, out);
  out += ')';
  if (uid) out += " UID";
}

void AppendEsearchNumber(std::string_view name, std::uint64_t number, std::string& out) {
  out += ' ';
  out += name;
  out += ' ';
  AppendNumber(number, out);
}

void AppendRange(const SequenceRange& range, std::string& out) {
  AppendNumber(range.first, out);
  if (range.last == range.first) return;
  out += ':';
  AppendNumber(range.last, out);
}

void AppendPartialRange(const PartialRange& range, std::string& out) {
  if (range.from_end) out += '-';
  AppendNumber(range.first, out);
  out += range.from_end ? ":-" : ":";
  AppendNumber(range.last, out);
}

}  // namespace posthorn::imap
