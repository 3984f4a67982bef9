// Lines of any length through the line reader into the command parser.

#include "fuzz/fuzz_input.h"
#include "lib/smtp/command.h"
#include "lib/smtp/line_reader.h"

namespace {

using posthorn::smtp::Extension;

constexpr posthorn::smtp::ExtensionSet kOffered{
    Extension::kSmtpUtf8,   Extension::kBinaryMime,    Extension::kDsn,
    Extension::kRequireTls, Extension::kFutureRelease, Extension::kMtPriority,
    Extension::kDeliverBy};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using posthorn::smtp::LineReader;
  using posthorn::smtp::PathSyntax;
  const posthorn::FuzzInput input(data, size);
  LineReader reader;
  input.ForEachPiece([&](std::string_view piece) {
    reader.Feed(std::string(piece));
    for (;;) {
      const LineReader::Result result = reader.Next();
      if (result.outcome == LineReader::Outcome::kNeedMore) return;
      if (result.outcome == LineReader::Outcome::kTooLong) continue;
      posthorn::FuzzCheck(result.line.size() <= posthorn::smtp::kMaxCommandLine);
      (void)posthorn::smtp::ParseCommand(result.line, PathSyntax::kLenient, kOffered);
      (void)posthorn::smtp::ParseCommand(result.line, PathSyntax::kStrict, kOffered);
    }
  });
  return 0;
}
