// What another server answers.

#include "fuzz/fuzz_input.h"
#include "lib/smtp/client/capabilities.h"
#include "lib/smtp/client/reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const posthorn::FuzzInput input(data, size);
  posthorn::smtp::client::ReplyParser parser;
  bool broken = false;
  input.ForEachPiece([&](std::string_view piece) {
    if (broken) return;
    parser.Feed(piece);
    for (;;) {
      const auto reply = parser.Next();
      broken = !reply.ok();
      if (broken || !reply->has_value()) return;
      (void)posthorn::smtp::client::ParseCapabilities(**reply);
    }
  });
  return 0;
}
