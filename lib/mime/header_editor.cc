#include "lib/mime/header_editor.h"

#include <algorithm>

#include "lib/mime/ascii.h"

namespace posthorn::mime {

void HeaderEditor::Add() {
  if (added_) return;
  added_ = true;
  if (edits_.added.empty()) return;
  if (last_ != '\n') *out_ += "\r\n";
  *out_ += edits_.added;
  if (edits_.no_header && !passed_) *out_ += "\r\n";
  last_ = '\n';
}

void HeaderEditor::OnField(std::string_view name) {
  removing_ = std::any_of(edits_.removed.begin(), edits_.removed.end(),
                          [&](const std::string& removed) {
                            return EqualsIgnoreCase(name, removed);
                          });
  no_field_ = name.empty();
}

void HeaderEditor::OnOctets(std::string_view bytes) {
  if (no_field_) {
    no_field_ = false;
    // Strict readers see the end of the header here. A line that a mailbox file begins with stays
    // the first one.
    const bool separator = first_ && (bytes.starts_with("From ") || bytes.starts_with(">From "));
    if (!separator) Add();
  }
  first_ = false;
  if (!removing_) {
    out_->append(bytes);
    last_ = bytes.back();
  }
}

void HeaderEditor::Feed(std::string_view bytes, std::string& out) {
  out_ = &out;
  if (!passed_) {
    bytes.remove_prefix(walker_.Feed(bytes));
    if (walker_.done()) {
      passed_ = true;
      Add();
      out.append(walker_.held_back());
    }
  }
  if (passed_) out.append(bytes);
  out_ = nullptr;
}

void HeaderEditor::Finish(std::string& out) {
  out_ = &out;
  if (!passed_) {
    walker_.Finish();
    Add();
    passed_ = true;
  }
  out_ = nullptr;
}

}  // namespace posthorn::mime
