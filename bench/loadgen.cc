// The load generator of bench/run. Plain blocking sockets and threads, nothing of Posthorn's own
// code, so that every server is driven by the same means. Prints one JSON object; cpu_ms is the
// generator's own CPU time.
//
//   loadgen smtp  --port P --connections C --messages N --size S --recipients a@x,b@x
//   loadgen relay --port P --sink-port Q --connections C --messages N --size S --recipients ...
//   loadgen fetch --port P --user U --password W --what envelope|body
//   loadgen fill  --port P --user U --password W --messages N --size S
//   loadgen idle  --port P --connections C --users a@x,b@x --password W
//   loadgen slow  --port P --connections C --recipients a@x,b@x
//   loadgen latency --port SMTP --imap-port P --user U --password W --mode idle|poll --messages N

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
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "loadgen: %s\n", what.c_str());
  std::exit(1);
}

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

double CpuMilliseconds() {
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
  explicit Connection(int port) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
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

std::atomic<int> serial{0};

std::string Message(std::size_t size, const std::string& to) {
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

// Sends its share of `left` over one connection.
void SendLoop(int port, std::size_t size, const std::vector<std::string>& recipients,
              std::atomic<int>& left, std::size_t offset) {
  Connection connection(port);
  connection.Expect(220);
  connection.Write("EHLO client.example\r\n");
  connection.Expect(250);
  for (std::size_t i = offset; left.fetch_sub(1) > 0; ++i) {
    const std::string& to = recipients[i % recipients.size()];
    const std::string body = Message(size, to);
    connection.Write("MAIL FROM:<load@client.example>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n");
    connection.Expect(250);
    connection.Expect(250);
    connection.Expect(354);
    connection.Write(body + ".\r\n");
    connection.Expect(250);
  }
  connection.Write("QUIT\r\n");
  connection.Reply();
}

void SendAll(const Options& options) {
  const int connections = options.Number("connections");
  const std::size_t size = static_cast<std::size_t>(options.Number("size"));
  const std::vector<std::string> recipients = options.List("recipients");
  std::atomic<int> left{options.Number("messages")};
  std::vector<std::thread> threads;
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&, i] {
      SendLoop(options.Number("port"), size, recipients, left, static_cast<std::size_t>(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void Print(int messages, Clock::duration elapsed) {
  std::printf("{\"messages\": %d, \"seconds\": %.4f, \"cpu_ms\": %.1f}\n", messages,
              Seconds(elapsed), CpuMilliseconds());
}

int RunSmtp(const Options& options) {
  const auto start = Clock::now();
  SendAll(options);
  Print(options.Number("messages"), Clock::now() - start);
  return 0;
}

// A server that takes everything and counts.
class Sink {
 public:
  explicit Sink(int port) {
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
    while (connection.ReadLine(line)) {
      const std::string verb = line.substr(0, 4);
      if (verb == "EHLO") {
        connection.Write("250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
      } else if (verb == "DATA") {
        connection.Write("354 go ahead\r\n");
        while (connection.ReadLine(line) && line != ".") {
        }
        ++received_;
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
  std::atomic<int> received_{0};
};

int RunRelay(const Options& options) {
  static Sink sink(options.Number("sink-port"));
  const int messages = options.Number("messages");
  const auto start = Clock::now();
  SendAll(options);
  const auto deadline = Clock::now() + std::chrono::seconds(300);
  while (sink.received() < messages && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (sink.received() < messages) Die("only " + std::to_string(sink.received()) + " arrived");
  Print(messages, Clock::now() - start);
  std::fflush(stdout);
  _exit(0);  // the sink's threads go on
}

void Login(Connection& connection, const std::string& user, const std::string& password) {
  std::string line;
  connection.ReadLine(line);
  connection.Write("a LOGIN " + user + " " + password + "\r\n");
  connection.SkipToLine("a ");
  if (connection.last().compare(0, 4, "a OK") != 0) Die("login: " + connection.last());
}

int RunFetch(const Options& options) {
  Connection connection(options.Number("port"));
  Login(connection, options.Text("user"), options.Text("password"));
  connection.Write("b SELECT INBOX\r\n");
  connection.SkipToLine("b ");
  const std::string items =
      options.Text("what") == "envelope" ? "ENVELOPE" : "BODY.PEEK[]";
  const auto start = Clock::now();
  connection.Write("c FETCH 1:* (" + items + ")\r\n");
  const std::size_t octets = connection.SkipToLine("c ");
  const auto elapsed = Clock::now() - start;
  if (connection.last().compare(0, 4, "c OK") != 0) Die("fetch: " + connection.last());
  std::printf("{\"octets\": %zu, \"seconds\": %.4f, \"cpu_ms\": %.1f}\n", octets,
              Seconds(elapsed), CpuMilliseconds());
  return 0;
}

int RunFill(const Options& options) {
  Connection connection(options.Number("port"));
  const std::string user = options.Text("user");
  Login(connection, user, options.Text("password"));
  const int messages = options.Number("messages");
  const auto start = Clock::now();
  for (int i = 0; i < messages; ++i) {
    const std::string body = Message(static_cast<std::size_t>(options.Number("size")), user);
    connection.Write("f APPEND INBOX {" + std::to_string(body.size()) + "}\r\n");
    connection.SkipToLine("+");
    connection.Write(body + "\r\n");
    connection.SkipToLine("f ");
    if (connection.last().compare(0, 4, "f OK") != 0) Die("append: " + connection.last());
  }
  Print(messages, Clock::now() - start);
  return 0;
}

// Clients in the middle of a message, of which a line comes every second.
int RunSlow(const Options& options) {
  const std::vector<std::string> recipients = options.List("recipients");
  const std::string line = std::string(70, 'x') + "\r\n";
  std::string start = "Subject: slow\r\n\r\n";
  while (start.size() < 4096) start += line;
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < options.Number("connections"); ++i) {
    connections.push_back(std::make_unique<Connection>(options.Number("port")));
    Connection& connection = *connections.back();
    connection.Reply();
    const std::string& recipient = recipients[static_cast<std::size_t>(i) % recipients.size()];
    for (const std::string& command : {std::string("EHLO slow.example"),
                                       std::string("MAIL FROM:<slow@outside.example>"),
                                       "RCPT TO:<" + recipient + ">", std::string("DATA")}) {
      connection.Write(command + "\r\n");
      const int code = connection.Reply();
      if (code != 250 && code != 354) Die(command + ": " + std::to_string(code));
    }
    connection.Write(start);
  }
  std::atomic<bool> done{false};
  std::thread trickle([&] {
    while (!done) {
      const Clock::time_point next = Clock::now() + std::chrono::seconds(1);
      for (const auto& connection : connections) connection->Write(line);
      std::this_thread::sleep_until(next);
    }
  });
  std::printf("ready\n");
  std::fflush(stdout);
  std::getchar();  // as RunIdle
  done = true;
  trickle.join();
  return 0;
}

int RunIdle(const Options& options) {
  const std::vector<std::string> users = options.List("users");
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < options.Number("connections"); ++i) {
    connections.push_back(std::make_unique<Connection>(options.Number("port")));
    Connection& connection = *connections.back();
    Login(connection, users[static_cast<std::size_t>(i) % users.size()],
          options.Text("password"));
    connection.Write("b SELECT INBOX\r\n");
    connection.SkipToLine("b ");
    connection.Write("c IDLE\r\n");
    connection.SkipToLine("+");
  }
  std::printf("ready\n");
  std::fflush(stdout);
  std::getchar();  // bench/run measures the servers, then closes our input
  return 0;
}

// From before MAIL to the moment a reader knows of the message.
int RunLatency(const Options& options) {
  Connection reader(options.Number("imap-port"));
  const std::string user = options.Text("user");
  Login(reader, user, options.Text("password"));
  reader.Write("b SELECT INBOX\r\n");
  reader.SkipToLine("b ");
  const bool idle = options.Text("mode") == "idle";
  std::vector<double> milliseconds;
  for (int i = 0; i < options.Number("messages"); ++i) {
    if (idle) {
      reader.Write("c IDLE\r\n");
      reader.SkipToLine("+");
    }
    Connection sender(options.Number("port"));
    sender.Expect(220);
    sender.Write("EHLO client.example\r\n");
    sender.Expect(250);
    const std::string body = Message(4096, user);
    const auto start = Clock::now();
    sender.Write("MAIL FROM:<load@client.example>\r\nRCPT TO:<" + user + ">\r\nDATA\r\n");
    for (const int code : {250, 250, 354}) sender.Expect(code);
    sender.Write(body + ".\r\n");
    sender.Expect(250);
    std::string line;
    for (bool seen = false; !seen;) {
      if (!idle) reader.Write("d NOOP\r\n");
      do {
        if (!reader.ReadLine(line)) Die("reader lost its connection");
        if (line.find(" EXISTS") != std::string::npos) seen = true;
      } while (idle ? !seen : line.compare(0, 2, "d ") != 0);
    }
    milliseconds.push_back(Seconds(Clock::now() - start) * 1e3);
    if (idle) {
      reader.Write("DONE\r\n");
      reader.SkipToLine("c ");
    }
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("{\"median_ms\": %.2f, \"max_ms\": %.2f, \"cpu_ms\": %.1f}\n",
              milliseconds[milliseconds.size() / 2], milliseconds.back(), CpuMilliseconds());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("usage: loadgen smtp|relay|fetch|fill|idle|latency --option value ...");
  const Options options(argc, argv);
  const std::string mode = argv[1];
  if (mode == "smtp") return RunSmtp(options);
  if (mode == "relay") return RunRelay(options);
  if (mode == "fetch") return RunFetch(options);
  if (mode == "fill") return RunFill(options);
  if (mode == "idle") return RunIdle(options);
  if (mode == "slow") return RunSlow(options);
  if (mode == "latency") return RunLatency(options);
  Die("unknown mode " + mode);
}
