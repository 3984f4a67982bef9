// What the commands of the load generator share: options, connections, messages and a sink. Blocking
// sockets and threads; errors end the process.
#ifndef POSTHORN_BENCH_LOAD_H_
#define POSTHORN_BENCH_LOAD_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace posthorn::bench {

using Clock = std::chrono::steady_clock;

[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "loadgen: %s\n", what.c_str());
  std::exit(1);
}

inline double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

inline double CpuMilliseconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](timeval t) { return t.tv_sec * 1e3 + t.tv_usec / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 2; i + 1 < argc; i += 2) values_[argv[i]] = argv[i + 1];
  }
  std::string Text(const std::string& name, const std::string& otherwise) const {
    return values_.count("--" + name) != 0 ? Text(name) : otherwise;
  }
  std::string Text(const std::string& name) const {
    const auto found = values_.find("--" + name);
    if (found == values_.end()) Die("missing --" + name);
    return found->second;
  }
  int Number(const std::string& name) const { return std::atoi(Text(name).c_str()); }
  std::vector<std::string> List(const std::string& name) const {
    std::vector<std::string> items;
    std::string text = Text(name) + ",";
    for (std::size_t start = 0, comma; (comma = text.find(',', start)) != std::string::npos;
         start = comma + 1) {
      if (comma > start) items.push_back(text.substr(start, comma - start));
    }
    return items;
  }

 private:
  std::map<std::string, std::string> values_;
};

class Connection {
 public:
  // To a port on loopback, from `source`, an address there.
  explicit Connection(int port, const std::string& source = "127.0.0.1") {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    if (inet_pton(AF_INET, source.c_str(), &from.sin_addr) != 1 ||
        bind(fd_, reinterpret_cast<sockaddr*>(&from), sizeof(from)) != 0) {
      Die("cannot send from " + source);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      Die("cannot connect to port " + std::to_string(port));
    }
    NoDelay();
  }
  Connection(int fd, std::nullptr_t) : fd_(fd) { NoDelay(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(fd_); }

  void Write(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) Die("connection lost while writing");
      sent += static_cast<std::size_t>(n);
    }
  }

  // Without line end; false at the end of the stream.
  bool ReadLine(std::string& line) {
    line.clear();
    for (;;) {
      const void* end = memchr(buffer_.data() + position_, '\n', buffer_.size() - position_);
      if (end != nullptr) {
        const std::size_t length =
            static_cast<const char*>(end) - (buffer_.data() + position_);
        line.append(buffer_, position_, length);
        position_ += length + 1;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return true;
      }
      line.append(buffer_, position_, std::string::npos);
      if (!Fill()) return false;
    }
  }

  // Counts octets up to and including a line that starts with `mark`.
  std::size_t SkipToLine(const std::string& mark) {
    std::size_t octets = 0;
    std::string line;
    while (ReadLine(line)) {
      octets += line.size() + 2;
      if (line.compare(0, mark.size(), mark) == 0) {
        last_ = line;
        return octets;
      }
    }
    Die("connection closed while waiting for " + mark);
  }
  const std::string& last() const { return last_; }

  // Reads one SMTP reply, all lines; its code.
  int Reply() {
    std::string line;
    do {
      if (!ReadLine(line)) return 0;
    } while (line.size() > 3 && line[3] == '-');
    last_ = line;
    return std::atoi(line.c_str());
  }
  void Expect(int code) {
    const int got = Reply();
    if (got != code) Die("expected " + std::to_string(code) + ", got: " + last_);
  }

 private:
  void NoDelay() {
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  bool Fill() {
    buffer_.resize(256 * 1024);
    position_ = 0;
    const ssize_t n = recv(fd_, buffer_.data(), buffer_.size(), 0);
    buffer_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return n > 0;
  }

  int fd_;
  std::string buffer_;
  std::size_t position_ = 0;
  std::string last_;
};

inline std::atomic<int> serial{0};

inline std::string Message(std::size_t size, const std::string& to) {
  const int number = ++serial;
  std::string text = "From: Load Generator <load@client.example>\r\nTo: <" + to +
                     ">\r\nSubject: message " + std::to_string(number) +
                     "\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" +
                     std::to_string(number) + "." + std::to_string(getpid()) +
                     "@client.example>\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n\r\n";
  // Different in every message, so that no store saves work by finding equal bodies, and as
  // compressible as text is.
  unsigned state = static_cast<unsigned>(number) * 2654435761u + static_cast<unsigned>(getpid());
  while (text.size() + 2 < size) {
    std::string line;
    while (line.size() < 70) {
      state = state * 1664525u + 1013904223u;
      const int length = 2 + static_cast<int>((state >> 24) % 9);
      for (int i = 0; i < length; ++i) {
        state = state * 1664525u + 1013904223u;
        line.push_back("eeeetttaaaoooinnsshhrrdlcumwfgypbvk"[(state >> 24) % 35]);
      }
      line.push_back(' ');
    }
    line.resize(std::min<std::size_t>(line.size(), size - text.size() - 2));
    text += line + "\r\n";
  }
  return text;
}

// Reads the greeting and logs in.
inline void ImapLogin(Connection& connection, const std::string& user,
                      const std::string& password) {
  std::string line;
  connection.ReadLine(line);
  connection.Write("a LOGIN " + user + " " + password + "\r\n");
  connection.SkipToLine("a ");
  if (connection.last().compare(0, 4, "a OK") != 0) Die("login: " + connection.last());
}

inline void PrintRate(int messages, Clock::duration elapsed) {
  std::printf("{\"messages\": %d, \"seconds\": %.4f, \"cpu_ms\": %.1f}\n", messages,
              Seconds(elapsed), CpuMilliseconds());
}

// A server that takes everything and counts messages.
class Sink {
 public:
  // Each message takes `delay`; `arrived` is called, by any thread, with the RCPT line of its last
  // recipient.
  explicit Sink(int port, std::chrono::milliseconds delay = {},
                std::function<void(const std::string&)> arrived = nullptr)
      : delay_(delay), arrived_(std::move(arrived)) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(fd_, 512) != 0) {
      Die("cannot listen on port " + std::to_string(port));
    }
    std::thread([this] {
      for (;;) {
        const int client = accept(fd_, nullptr, nullptr);
        if (client < 0) return;
        std::thread([this, client] { Serve(client); }).detach();
      }
    }).detach();
  }
  int received() const { return received_.load(); }

 private:
  void Serve(int fd) {
    Connection connection(fd, nullptr);
    connection.Write("220 sink.example ESMTP\r\n");
    std::string line;
    std::string recipient;
    while (connection.ReadLine(line)) {
      const std::string verb = line.substr(0, 4);
      if (verb == "RCPT") recipient = line;
      if (verb == "EHLO") {
        connection.Write("250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
      } else if (verb == "DATA") {
        connection.Write("354 go ahead\r\n");
        while (connection.ReadLine(line) && line != ".") {
        }
        if (delay_.count() > 0) std::this_thread::sleep_for(delay_);
        ++received_;
        if (arrived_) arrived_(recipient);
        connection.Write("250 2.0.0 ok\r\n");
      } else if (verb == "QUIT") {
        connection.Write("221 2.0.0 bye\r\n");
        return;
      } else {
        connection.Write("250 2.1.0 ok\r\n");
      }
    }
  }

  int fd_;
  const std::chrono::milliseconds delay_;
  const std::function<void(const std::string&)> arrived_;
  std::atomic<int> received_{0};
};

// Commands of queue_load.cc.
int RunEnqueue(const Options& options);
int RunFairness(const Options& options);
// Commands of mailbox_load.cc.
int RunImap(const Options& options);
int RunLogin(const Options& options);
int RunAppend(const Options& options);
int RunPop3(const Options& options);

}  // namespace posthorn::bench

#endif  // POSTHORN_BENCH_LOAD_H_
