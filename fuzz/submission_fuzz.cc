// The header of a submitted message: the pieces in which it arrives make no difference, and what is
// to go has gone.

#include <string>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "lib/mime/header_editor.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/submission_header.h"

namespace {

using posthorn::FuzzCheck;
using posthorn::FuzzInput;
using posthorn::mime::HeaderEditor;
using posthorn::mime::HeaderEdits;
using posthorn::mime::SubmissionHeader;

std::string Edit(const HeaderEdits& edits, const FuzzInput& input, bool whole) {
  HeaderEditor editor(edits);
  std::string out;
  if (whole) {
    editor.Feed(input.bytes(), out);
  } else {
    input.ForEachPiece([&](std::string_view piece) { editor.Feed(piece, out); });
  }
  editor.Finish(out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const FuzzInput input(data, size);
  SubmissionHeader whole;
  whole.Feed(input.bytes());
  whole.Finish();
  SubmissionHeader pieces;
  input.ForEachPiece([&](std::string_view piece) { pieces.Feed(piece); });
  pieces.Finish();
  const auto from = whole.from();
  FuzzCheck(from.mailboxes == pieces.from().mailboxes);
  FuzzCheck(whole.sender().mailboxes == pieces.sender().mailboxes);
  if (from.mailboxes.has_value()) {
    for (const posthorn::mime::Address& address : *from.mailboxes) {
      FuzzCheck(!address.mailbox->empty() && !address.host->empty());
    }
  }

  posthorn::mime::Completion completion;
  completion.date = "d";
  completion.message_id = "<i>";
  completion.from = "a@b";
  const HeaderEdits edits = posthorn::mime::EditsFor(whole, completion);
  const std::string edited = Edit(edits, input, true);
  FuzzCheck(edited == Edit(edits, input, false));
  FuzzCheck(Edit(HeaderEdits(), input, false) == input.bytes());
  FuzzCheck(edited.size() <= input.bytes().size() + edits.added.size() + 4);

  // What was edited has nothing left to edit.
  SubmissionHeader again;
  again.Feed(edited);
  again.Finish();
  FuzzCheck(!again.has_bcc() && !again.has_resent_bcc());
  FuzzCheck(again.date().filled && again.message_id().filled && again.from().presence.filled);
  FuzzCheck(posthorn::mime::CountHeader(edited, "Bcc") == 0);
  return 0;
}
