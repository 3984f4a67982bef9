// A client's octets through the receiver, and a message through dot-stuffing and TOP.

#include <string>

#include "fuzz/fuzz_input.h"
#include "lib/pop3/command.h"
#include "lib/pop3/reply.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace pop3 = posthorn::pop3;
  const posthorn::FuzzInput input(data, size);
  pop3::CommandReceiver receiver;
  pop3::DotStuffer stuffer;
  pop3::TopFilter top(3);
  std::string sent;
  std::string head;
  input.ForEachPiece([&](std::string_view piece) {
    receiver.Feed(piece);
    while (receiver.Next()) {
    }
    stuffer.Feed(piece, sent);
    if (!top.done()) head += piece.substr(0, top.Feed(piece));
  });
  stuffer.Finish(sent);
  // The end is where the reply ends, and nowhere before.
  const std::string framed = "\r\n" + sent;
  posthorn::FuzzCheck(framed.find("\r\n.\r\n") == framed.size() - 5);
  posthorn::FuzzCheck(head == input.bytes().substr(0, head.size()));
  return 0;
}
