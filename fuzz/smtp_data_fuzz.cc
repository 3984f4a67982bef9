// Message data: the pieces in which it arrives make no difference.

#include <string>

#include "fuzz/fuzz_input.h"
#include "lib/smtp/data_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using posthorn::smtp::DataDecoder;
  const posthorn::FuzzInput input(data, size);
  DataDecoder whole;
  std::string expected;
  const std::size_t used = whole.Decode(input.bytes(), expected);
  posthorn::FuzzCheck(used <= input.bytes().size());
  posthorn::FuzzCheck(whole.done() || used == input.bytes().size());

  DataDecoder pieces;
  std::string out;
  std::size_t used_in_pieces = 0;
  input.ForEachPiece([&](std::string_view piece) {
    if (!pieces.done()) used_in_pieces += pieces.Decode(piece, out);
  });
  posthorn::FuzzCheck(out == expected);
  posthorn::FuzzCheck(used_in_pieces == used);
  posthorn::FuzzCheck(pieces.done() == whole.done());
  posthorn::FuzzCheck(pieces.bare_newline() == whole.bare_newline());
  // Normalising moves no end, and leaves nothing bare.
  DataDecoder normalizing(posthorn::smtp::BareNewlines::kNormalize);
  std::string normalized;
  std::size_t used_normalizing = 0;
  input.ForEachPiece([&](std::string_view piece) {
    if (!normalizing.done()) used_normalizing += normalizing.Decode(piece, normalized);
  });
  posthorn::FuzzCheck(used_normalizing == used);
  posthorn::FuzzCheck(normalizing.octets() == normalized.size());
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    if (normalized[i] == '\r') {
      posthorn::FuzzCheck(i + 1 < normalized.size() && normalized[i + 1] == '\n');
    } else if (normalized[i] == '\n') {
      posthorn::FuzzCheck(i > 0 && normalized[i - 1] == '\r');
    }
  }
  // A message without bare newlines holds none that another server could take for its end.
  if (whole.done() && !whole.bare_newline()) {
    posthorn::FuzzCheck(out.find("\n.\n") == std::string::npos);
    posthorn::FuzzCheck(out.find("\r.\r") == std::string::npos);
  }
  return 0;
}
