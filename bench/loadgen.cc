// The load generator of bench/run. Plain blocking sockets and threads, nothing of Posthorn's own
// code, so that every server is driven by the same means. Prints one JSON object; cpu_ms is the
// generator's own CPU time.
//
//   loadgen smtp  --port P --connections C --messages N --size S --recipients a@x,b@x
//   loadgen relay --port P --sink-port Q --connections C --messages N --size S --recipients ...
//   loadgen fetch --port P --user U --password W --what envelope|body
//   loadgen imap  --port P --user U --password W --command C --times N [--mailbox M] [--before C]
//                 [--after C] [--warm N] [--messages N --span N]
//   loadgen login --port P --connections C --users a@x,b@x --password W --messages N
//   loadgen append --port P --connections C --users a@x,b@x --password W --messages N --size S
//   loadgen pop3  --port P --user U --password W --messages N
//   loadgen idle  --port P --connections C --users a@x,b@x --password W
//   loadgen slow  --port P --connections C --recipients a@x,b@x
//   loadgen enqueue  --port P --connections C --messages N --recipients-each R [--hold SECONDS]
//   loadgen fairness --port P --sink-port Q --sink-delay MS --messages N --recipients-each R --probes K
//   loadgen latency --port SMTP --imap-port P --user U --password W --mode idle|poll --messages N

#include "bench/load.h"

#include <memory>

namespace posthorn::bench {
namespace {

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

int RunSmtp(const Options& options) {
  const auto start = Clock::now();
  SendAll(options);
  PrintRate(options.Number("messages"), Clock::now() - start);
  return 0;
}

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
  PrintRate(messages, Clock::now() - start);
  std::fflush(stdout);
  _exit(0);  // the sink's threads go on
}

int RunFetch(const Options& options) {
  Connection connection(options.Number("port"));
  ImapLogin(connection, options.Text("user"), options.Text("password"));
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
    ImapLogin(connection, users[static_cast<std::size_t>(i) % users.size()],
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
  ImapLogin(reader, user, options.Text("password"));
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
}  // namespace posthorn::bench

int main(int argc, char** argv) {
  using namespace posthorn::bench;  // NOLINT: the whole program
  if (argc < 2) Die("usage: loadgen MODE --option value ...");
  const Options options(argc, argv);
  const std::string mode = argv[1];
  if (mode == "smtp") return RunSmtp(options);
  if (mode == "relay") return RunRelay(options);
  if (mode == "fetch") return RunFetch(options);
  if (mode == "imap") return RunImap(options);
  if (mode == "login") return RunLogin(options);
  if (mode == "append") return RunAppend(options);
  if (mode == "pop3") return RunPop3(options);
  if (mode == "idle") return RunIdle(options);
  if (mode == "slow") return RunSlow(options);
  if (mode == "enqueue") return RunEnqueue(options);
  if (mode == "fairness") return RunFairness(options);
  if (mode == "latency") return RunLatency(options);
  Die("unknown mode " + mode);
}
