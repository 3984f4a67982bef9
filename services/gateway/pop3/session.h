#ifndef POSTHORN_SERVICES_GATEWAY_POP3_SESSION_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_SESSION_H_

#include <atomic>
#include <string>

#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/pop3/command.h"
#include "services/gateway/pop3/handlers.h"
#include "services/gateway/pop3/read_ahead.h"
#include "services/gateway/pop3/server.h"

namespace posthorn::gateway {

// One connection: reads, feeds the receiver, runs commands, writes, keeps the timeouts and the
// account's lock. Belongs to one executor; all it refers to outlives it.
class Pop3Session {
 public:
  Pop3Session(const Pop3Dependencies& dependencies, const Pop3Limits& limits,
              const Pop3ListenerOptions& options, net::Stream& stream,
              const std::atomic<bool>& draining);

  // From greeting to the last reply; the lock is released. Whoever calls closes the stream.
  Task<void> Run();

 private:
  Task<void> Read();
  Task<void> RunCommands();
  Task<void> Send(Pop3Reply reply);
  Task<void> SendListing(Pop3Reply::Listing listing);
  Task<void> SendMessage(Pop3Reply::Retrieval retrieval);
  // The same, read piece by piece.
  Task<void> StreamMessage(Pop3Reply::Retrieval retrieval);
  Task<void> StartTls();
  // Writes what waits; an error ends the session.
  Task<void> Flush();

  net::Stream& stream_;
  const std::atomic<bool>& draining_;
  Pop3State state_;
  ReadAhead ahead_;
  pop3::CommandReceiver receiver_;
  std::string output_;
  bool closing_ = false;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_SESSION_H_
