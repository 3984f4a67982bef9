#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_REPLY_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_REPLY_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "lib/base/ids.h"
#include "lib/imap/format/format.h"

namespace posthorn::gateway {

// The tagged answer to a command; untagged responses went to the session's output before it.
struct ImapReply {
  static ImapReply Ok(std::string text, std::string code = {}) {
    return ImapReply(imap::Condition::kOk, std::move(code), std::move(text));
  }
  static ImapReply No(std::string text, std::string code = {}) {
    return ImapReply(imap::Condition::kNo, std::move(code), std::move(text));
  }
  static ImapReply Bad(std::string text, std::string code = {}) {
    return ImapReply(imap::Condition::kBad, std::move(code), std::move(text));
  }
  // `status` is not OK; `code` replaces the response code of its failure.
  static ImapReply Failed(absl::Status status, std::string code = {}) {
    ImapReply reply(imap::Condition::kNo, std::move(code), {});
    reply.failure = std::move(status);
    return reply;
  }
  // Nothing can be said any more: the connection broke, or is in the middle of a literal.
  static ImapReply Broken() {
    ImapReply reply(imap::Condition::kNo, {}, {});
    reply.broken = true;
    return reply;
  }

  imap::Condition condition;
  std::string code;
  std::string text;
  absl::Status failure;
  bool broken = false;
  // To a client that resynchronises, HIGHESTMODSEQ comes with it, once all news are told.
  bool tells_modseq = false;
  // RFC 9738: the lowest UID that was processed, where a command named more messages than one may;
  // 0: it did not.
  Uid lowest_processed = 0;

 private:
  ImapReply(imap::Condition condition_in, std::string code_in, std::string text_in)
      : condition(condition_in), code(std::move(code_in)), text(std::move(text_in)) {}
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_REPLY_H_
