#ifndef POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_
#define POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace posthorn::testing {

// A private redis-server on a unix socket in a temporary directory, for one test or suite. It
// keeps nothing on disk: a restart is an empty server. Ends the test run with a message if
// redis-server cannot be started. Not thread-safe.
class RedisServer {
 public:
  RedisServer();  // starts it
  explicit RedisServer(std::string password);
  // Also on a TCP port of its own on loopback, with TLS alone where `tls_arguments` has any, and
  // with these arguments besides.
  RedisServer(std::vector<std::string> arguments, std::vector<std::string> tls_arguments);
  // A sentinel: `config` is what it begins with. It has no unix socket.
  static std::unique_ptr<RedisServer> Sentinel(const std::string& config);
  ~RedisServer();  // stops it and removes the directory
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // What redis::Options::address takes.
  const std::string& address() const { return socket_; }
  // "127.0.0.1:port"; only with a port.
  std::string tcp_address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }

  void Start();       // returns when it accepts connections
  void Kill();        // as kill -9
  void Pause();       // SIGSTOP
  void Resume();      // SIGCONT

 private:
  struct Unstarted {};
  explicit RedisServer(Unstarted);
  bool Accepts() const;
  void Signal(int signal);

  std::string directory_;
  std::string socket_;
  std::string password_;
  std::vector<std::string> arguments_;
  int port_ = 0;
  bool sentinel_ = false;
  pid_t pid_ = -1;
};

}  // namespace posthorn::testing

#endif  // POSTHORN_TESTS_SUPPORT_REDIS_FIXTURE_H_
