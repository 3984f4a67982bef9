#ifndef POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_
#define POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_

#include <sys/types.h>

#include <string>

namespace posthorn::testing {

// A private redis-server on a unix socket in a temporary directory, for one test or suite. It
// keeps nothing on disk: a restart is an empty server. Ends the test run with a message if
// redis-server cannot be started. Not thread-safe.
class RedisServer {
 public:
  RedisServer();  // starts it
  explicit RedisServer(std::string password);
  ~RedisServer();  // stops it and removes the directory
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // What redis::Options::address takes.
  const std::string& address() const { return socket_; }
  pid_t pid() const { return pid_; }

  void Start();       // returns when it accepts connections
  void Kill();        // as kill -9
  void Pause();       // SIGSTOP
  void Resume();      // SIGCONT

 private:
  void Signal(int signal);

  std::string directory_;
  std::string socket_;
  std::string password_;
  pid_t pid_ = -1;
};

}  // namespace posthorn::testing

#endif  // POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_
