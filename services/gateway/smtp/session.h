#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_SESSION_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_SESSION_H_

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/smtp/line_reader.h"
#include "lib/smtp/reply.h"
#include "services/gateway/smtp/context.h"

namespace posthorn::gateway {

// The shell around one connection: moves octets between the stream, the line reader, the data
// receiver and the handlers; knows timeouts and TLS, and nothing of mail. Replies to pipelined
// commands leave in one write (RFC 2920). Lives on the executor of its stream; stream, limits,
// options, `shared` and `draining` outlive it.
class SmtpSession {
 public:
  SmtpSession(const SmtpDependencies& dependencies, const SmtpLimits& limits,
              const SmtpListenerOptions& options, SmtpShared& shared, net::Stream& stream,
              const std::atomic<bool>& draining, std::optional<LocalUser> user = std::nullopt);

  // From the greeting to the last reply; the caller closes the stream.
  Task<void> Run();

 private:
  // OK: handshake done, or none needed. An error ends the session.
  Task<absl::Status> Handshake();
  // False: the client spoke first, and was told.
  Task<bool> WaitBeforeGreeting();
  // Works on what has been read until more is needed or the session ends.
  Task<void> Work();
  Task<void> WorkOnLine();
  Task<void> WorkOnData();
  Task<void> WorkOnChunk();
  Task<void> StartTls();
  void Say(const smtp::Reply& reply);
  Task<absl::Status> Flush();
  // Sets closing_ when the client is gone, too slow, or the server is to stop.
  Task<void> Read();
  // How long the next octets may take: what is left for the line, or for the message.
  absl::Duration TimeLeft() const;
  // Nothing is under way that a drain waits for.
  bool IsIdle() const;

  SmtpContext context_;
  net::Stream& stream_;
  const std::atomic<bool>& draining_;
  smtp::LineReader reader_;   // all that was read: lines, message data, chunks
  std::string output_;        // replies not yet written
  // Of the command that is awaited; set when what was said before has left.
  absl::Time line_deadline_ = absl::InfinitePast();
  bool waiting_ = false;      // nothing more to do without new octets
  bool closing_ = false;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_SESSION_H_
