// Paths, mailboxes and ESMTP parameters.

#include "fuzz/fuzz_input.h"
#include "lib/smtp/address.h"
#include "lib/smtp/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using posthorn::smtp::PathSyntax;
  const posthorn::FuzzInput input(data, size);
  for (const PathSyntax syntax : {PathSyntax::kLenient, PathSyntax::kStrict}) {
    std::string_view reverse = input.bytes();
    (void)posthorn::smtp::ConsumeReversePath(reverse, syntax);
    posthorn::FuzzCheck(reverse.size() <= input.bytes().size());
    std::string_view forward = input.bytes();
    (void)posthorn::smtp::ConsumeForwardPath(forward, syntax);
    posthorn::FuzzCheck(forward.size() <= input.bytes().size());
  }
  (void)posthorn::smtp::ParseMailbox(input.bytes());
  (void)posthorn::smtp::ParseParameters(input.bytes());
  return 0;
}
