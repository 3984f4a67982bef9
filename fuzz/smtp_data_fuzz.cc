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
  // A message without bare newlines holds none that another server could take for its end.
  if (whole.done() && !whole.bare_newline()) {
    posthorn::FuzzCheck(out.find("\n.\n") == std::string::npos);
    posthorn::FuzzCheck(out.find("\r.\r") == std::string::npos);
  }
  return 0;
}
