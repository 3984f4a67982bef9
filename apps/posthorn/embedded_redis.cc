#include "apps/posthorn/embedded_redis.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string_view>

#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

// Whether a PING is answered: while Redis loads its data it says -LOADING.
bool AnswersPing(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool answers = false;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6) {
    pollfd wait{fd, POLLIN, 0};
    char reply[5];
    answers = poll(&wait, 1, 200) == 1 && recv(fd, reply, sizeof(reply), 0) == sizeof(reply) &&
              std::string_view(reply, sizeof(reply)) == "+PONG";
  }
  close(fd);
  return answers;
}

}  // namespace

absl::StatusOr<std::string> FindRedis() {
  for (const char* candidate : {"/usr/bin/redis-server", "/usr/local/bin/redis-server"}) {
    if (access(candidate, X_OK) == 0) return std::string(candidate);
  }
  return absl::NotFoundError(
      "redis.address: there is no /usr/bin/redis-server: install redis-server, or set "
      "redis.address to use a server that runs");
}

Component RedisComponent(const EmbeddedRedis& redis) {
  Component component;
  component.name = "redis";
  component.program.arguments = {
      redis.program,      "--port",          "0",        "--unixsocket",   redis.socket,
      "--unixsocketperm", "700",             "--dir",    redis.directory,  "--appendonly",
      "yes",              "--appendfsync",   "everysec", "--save",         "",
      "--daemonize",      "no",              "--logfile", redis.log_file,  "--loglevel",
      "notice",           "--proc-title-template", "{title} {unixsocket}"};
  component.program.output_file = redis.log_file;
  component.program.directory = redis.directory;
  component.program.death_signal = SIGTERM;
  component.prepare = [redis] {
    unlink(redis.socket.c_str());
    return absl::OkStatus();
  };
  component.ready = [redis] { return AnswersPing(redis.socket); };
  component.patience = absl::Seconds(10);
  return component;
}

}  // namespace posthorn::app
