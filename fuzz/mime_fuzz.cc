// Messages of any bytes: the pieces make no difference, every part lies inside the message, and
// what is serialised reads back.

#include <string>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "lib/mime/charset.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/preview.h"
#include "lib/mime/scanner.h"
#include "lib/mime/text_search.h"

namespace posthorn::mime {
namespace {

void CheckPart(const Part& part, std::uint64_t begin, std::uint64_t end) {
  FuzzCheck(part.header_offset >= begin);
  FuzzCheck(part.body_offset == part.header_offset + part.header_size);
  FuzzCheck(part.body_offset + part.body_size <= end);
  FuzzCheck((part.kind == Part::Kind::kMessage) == (part.envelope != nullptr));
  for (const Part& child : part.parts) {
    CheckPart(child, part.body_offset, end);
    begin = child.body_offset + child.body_size;
  }
}

void Run(const FuzzInput& input) {
  const Message whole = Scan(input.bytes());
  Scanner scanner;
  input.ForEachPiece([&](std::string_view piece) { scanner.Feed(piece); });
  const Message pieces = scanner.Finish();
  FuzzCheck(pieces.structure == whole.structure);
  FuzzCheck(pieces.envelope == whole.envelope);
  FuzzCheck(pieces.header_size == whole.header_size);
  FuzzCheck(whole.size == input.bytes().size());
  CheckPart(whole.structure.root, 0, whole.size);

  const absl::StatusOr<Structure> structure =
      ParseStructure(SerialiseStructure(whole.structure));
  FuzzCheck(structure.ok() && *structure == whole.structure);
  const absl::StatusOr<Envelope> envelope = ParseEnvelope(SerialiseEnvelope(whole.envelope));
  FuzzCheck(envelope.ok() && *envelope == whole.envelope);

  std::vector<MessageSearch::Needle> needles;
  needles.emplace_back(FoldForSearch("needle"), true);
  needles.emplace_back(FoldForSearch("\xc3\xa4"), false);
  MessageSearch search(whole.structure, needles);
  input.ForEachPiece([&](std::string_view piece) { search.Feed(piece); });
  search.Finish();
  MessageSearch again(whole.structure, needles);
  again.Feed(input.bytes());
  again.Finish();
  FuzzCheck(search.found() == again.found());
  (void)HeaderContains(input.bytes(), "Subject", "x");
  if (const Part* part = PreviewPart(whole.structure)) {
    const std::string preview =
        PreviewOf(*part, input.bytes().substr(part->body_offset, part->body_size));
    std::size_t characters = 0;
    for (const char c : preview) characters += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    FuzzCheck(characters <= kMaxPreviewCharacters);
    FuzzCheck(ToUtf8("utf-8", preview) == preview);
  }
}

}  // namespace
}  // namespace posthorn::mime

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  posthorn::mime::Run(posthorn::FuzzInput(data, size));
  return 0;
}
