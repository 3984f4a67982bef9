// A client's octets through the receiver; the message of an APPEND is taken or refused by turns.

#include <variant>

#include "fuzz/fuzz_input.h"
#include "lib/imap/parse/parse.h"
#include "lib/imap/receiver.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace imap = posthorn::imap;
  const posthorn::FuzzInput input(data, size);
  imap::ReceiverLimits limits;
  limits.line_octets = 4096;
  limits.literal_octets = 8192;
  limits.append_octets = 100000;
  imap::Receiver receiver(limits);
  receiver.SetUtf8(size % 2 == 0);
  bool broken = false;
  bool take = true;
  const auto run = [&](std::string_view piece) {
    if (broken) return;
    receiver.Feed(piece);
    // Each answer uses octets up or waits: the bound only finds loops.
    for (std::size_t steps = 0;; ++steps) {
      posthorn::FuzzCheck(steps <= 4 * input.bytes().size() + 100);
      const imap::Received received = receiver.Next();
      if (std::holds_alternative<imap::NeedMore>(received)) return;
      if (const auto* failure = std::get_if<imap::CommandFailure>(&received)) {
        posthorn::FuzzCheck(!failure->status.ok());
        broken = failure->fatal;
        if (broken) return;
      }
      bool append = std::holds_alternative<imap::AppendNext>(received);
      if (const auto* command = std::get_if<imap::Command>(&received)) {
        append = std::holds_alternative<imap::AppendCommand>(command->body);
      }
      if (append) {
        if (take) {
          receiver.AcceptAppend();
        } else {
          receiver.RejectAppend();
        }
        take = !take;
      }
    }
  };
  input.ForEachPiece(run);
  (void)imap::ParseCommand(input.bytes());
  (void)imap::ParseCommand(input.bytes(), true);
  return 0;
}
