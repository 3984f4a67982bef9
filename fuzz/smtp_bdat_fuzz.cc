// Commands and chunks from one stream: the pieces in which it arrives make no difference, and no
// octet of a chunk is read as a command.

#include <algorithm>
#include <string>
#include <variant>

#include "fuzz/fuzz_input.h"
#include "lib/smtp/command.h"
#include "lib/smtp/data_decoder.h"
#include "lib/smtp/line_reader.h"

namespace {

using posthorn::smtp::BdatCommand;
using posthorn::smtp::LineReader;

// What a session makes of the stream.
class Session {
 public:
  void Feed(std::string_view bytes) {
    reader_.Feed(std::string(bytes));
    while (left_ > 0 ? ReadChunk() : ReadLine()) {
    }
  }
  std::string lines;
  std::string message;
  std::string decoded;
  posthorn::smtp::DataDecoder decoder{posthorn::smtp::BareNewlines::kKeep,
                                      posthorn::smtp::DataFraming::kCounted};

 private:
  bool ReadChunk() {
    const std::string_view bytes = reader_.Peek().substr(0, left_);
    message += bytes;
    posthorn::FuzzCheck(decoder.Decode(bytes, decoded) == bytes.size());
    left_ -= bytes.size();
    const bool any = !bytes.empty();
    reader_.Consume(bytes.size());
    return any;
  }
  bool ReadLine() {
    const LineReader::Result result = reader_.Next();
    if (result.outcome == LineReader::Outcome::kNeedMore) return false;
    lines += result.outcome == LineReader::Outcome::kTooLong ? "!" : std::string(result.line);
    lines += '\n';
    const auto command = posthorn::smtp::ParseCommand(
        result.line, posthorn::smtp::PathSyntax::kLenient, posthorn::smtp::ExtensionSet());
    if (command.ok() && std::holds_alternative<BdatCommand>(*command)) {
      left_ = std::get<BdatCommand>(*command).octets;
    }
    return true;
  }

  LineReader reader_;
  std::uint64_t left_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const posthorn::FuzzInput input(data, size);
  Session whole;
  whole.Feed(input.bytes());
  Session pieces;
  input.ForEachPiece([&](std::string_view piece) { pieces.Feed(piece); });
  whole.decoder.Finish(whole.decoded);
  pieces.decoder.Finish(pieces.decoded);
  posthorn::FuzzCheck(whole.lines == pieces.lines);
  posthorn::FuzzCheck(whole.message == pieces.message);
  posthorn::FuzzCheck(whole.decoded == whole.message);
  posthorn::FuzzCheck(whole.decoder.bare_newline() == pieces.decoder.bare_newline());
  posthorn::FuzzCheck(whole.decoder.longest_line() == pieces.decoder.longest_line());
  posthorn::FuzzCheck(whole.decoder.octets() == whole.message.size());
  return 0;
}
