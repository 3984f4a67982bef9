#ifndef POSTHORN_SERVICES_DELIVERY_TESTING_SMTP_SINK_H_
#define POSTHORN_SERVICES_DELIVERY_TESTING_SMTP_SINK_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/task.h"
#include "lib/net/stream.h"

namespace posthorn::delivery {

// A small SMTP server for tests, over memory or TCP: keeps what it is sent and misbehaves as told.
// The script belongs to the test; set it before anything is served. The records are guarded, so
// that connections may be served on any loop.
class SmtpSink {
 public:
  struct Message {
    std::string reverse_path;  // the whole argument of MAIL FROM
    std::vector<std::string> recipients;
    std::string data;  // without dot-stuffing
    int chunks = 0;    // by BDAT
  };

  // The reply to a command line (BDAT: when its octets are there), to "greeting", or to "." for the
  // end of a message; nullopt: the usual one. "" closes the connection without a word, "hang" never answers.
  using Script = std::function<std::optional<std::string>(const std::string& line)>;
  Script script;
  std::vector<std::string> extensions = {"PIPELINING", "8BITMIME", "SIZE 10485760"};
  const net::TlsContext* tls = nullptr;  // offers STARTTLS; handshakes with it
  bool tls_breaks = false;               // offers STARTTLS, answers 220 and hangs up
  bool keep_data = true;

  // Serves one connection to its end. The sink outlives it.
  Task<void> Serve(std::unique_ptr<net::Stream> stream);

  std::vector<Message> messages() const;
  std::size_t message_count() const;
  int connections() const;
  int max_open() const;
  // "C: " and "S: " lines of all connections, without message data.
  std::string transcript() const;

 private:
  struct Dialogue;
  // False: the connection is to be closed.
  bool Answer(Dialogue& dialogue, const std::string& line);
  bool Say(Dialogue& dialogue, const std::string& line, const std::string& usual);
  bool TakeData(Dialogue& dialogue);
  bool TakeChunk(Dialogue& dialogue);
  bool Finish(Dialogue& dialogue, const std::string& line);
  void Note(const char* who, const std::string& line);

  mutable std::mutex mutex_;
  std::vector<Message> messages_;  // guarded by mutex_, as the rest
  std::size_t message_count_ = 0;
  int connections_ = 0;
  int open_ = 0;
  int max_open_ = 0;
  std::string transcript_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TESTING_SMTP_SINK_H_
