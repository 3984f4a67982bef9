// What fills the queue, and what one tenant's mail feels of another's.

#include <mutex>

#include "bench/load.h"

namespace posthorn::bench {
namespace {

constexpr int kSize = 4096;

std::string Domain(int number) { return "d" + std::to_string(number) + ".sink.example"; }

struct Bulk {
  int port;
  int connections;
  int messages;
  int recipients_each;      // each of another domain, so as many jobs a message
  std::string parameters;   // after MAIL FROM
  std::string source;
};

void SendBulk(const Bulk& bulk) {
  std::atomic<int> left{bulk.messages};
  std::vector<std::thread> threads;
  for (int i = 0; i < bulk.connections; ++i) {
    threads.emplace_back([&] {
      Connection connection(bulk.port, bulk.source);
      connection.Expect(220);
      connection.Write("EHLO bulk.example\r\n");
      connection.Expect(250);
      while (left.fetch_sub(1) > 0) {
        std::string commands = "MAIL FROM:<bulk@client.example>" + bulk.parameters + "\r\n";
        for (int r = 0; r < bulk.recipients_each; ++r) {
          commands += "RCPT TO:<bulk@" + Domain(r) + ">\r\n";
        }
        connection.Write(commands + "DATA\r\n");
        connection.Expect(250);
        for (int r = 0; r < bulk.recipients_each; ++r) connection.Expect(250);
        connection.Expect(354);
        connection.Write(Message(kSize, "bulk@sink.example") + ".\r\n");
        connection.Expect(250);
      }
      connection.Write("QUIT\r\n");
      connection.Reply();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// When each probe arrived.
class Arrivals {
 public:
  void Arrived(const std::string& rcpt) {
    const std::size_t probe = rcpt.find("probe");
    if (probe == std::string::npos) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    at_.emplace(std::atoi(rcpt.c_str() + probe + 5), Clock::now());
  }
  bool Find(int probe, Clock::time_point& at) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = at_.find(probe);
    if (found == at_.end()) return false;
    at = found->second;
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, Clock::time_point> at_;
};

void SendProbe(int port, int probe) {
  Connection connection(port);
  connection.Expect(220);
  connection.Write("EHLO client.example\r\n");
  connection.Expect(250);
  const std::string to = "probe" + std::to_string(probe) + "@sink.example";
  connection.Write("MAIL FROM:<load@client.example>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n");
  for (const int code : {250, 250, 354}) connection.Expect(code);
  connection.Write(Message(kSize, to) + ".\r\n");
  connection.Expect(250);
  connection.Write("QUIT\r\n");
  connection.Reply();
}

}  // namespace

int RunEnqueue(const Options& options) {
  const int hold = std::atoi(options.Text("hold", "0").c_str());
  const Bulk bulk{options.Number("port"), options.Number("connections"),
                  options.Number("messages"), options.Number("recipients-each"),
                  hold > 0 ? " HOLDFOR=" + std::to_string(hold) : "",
                  options.Text("source", "127.0.0.1")};
  const auto start = Clock::now();
  SendBulk(bulk);
  std::printf("{\"messages\": %d, \"seconds\": %.4f, \"cpu_ms\": %.1f}\n", bulk.messages,
              Seconds(Clock::now() - start), CpuMilliseconds());
  return 0;
}

// A tenant (whose clients come from 127.0.0.2) fills the queue for servers that take their time;
// then another tenant (127.0.0.1) sends single messages there, one every 100 ms.
int RunFairness(const Options& options) {
  static Arrivals arrivals;
  static Sink sink(options.Number("sink-port"),
                   std::chrono::milliseconds(options.Number("sink-delay")),
                   [](const std::string& rcpt) { arrivals.Arrived(rcpt); });
  const int messages = options.Number("messages");
  const int each = options.Number("recipients-each");
  const auto start = Clock::now();
  SendBulk({options.Number("port"), 4, messages, each, "", "127.0.0.2"});
  const double fill = Seconds(Clock::now() - start);
  const int drained = sink.received();

  const int probes = options.Number("probes");
  std::vector<Clock::time_point> sent;
  for (int i = 0; i < probes; ++i) {
    sent.push_back(Clock::now());
    SendProbe(options.Number("port"), i);
    std::this_thread::sleep_until(sent.back() + std::chrono::milliseconds(100));
  }
  std::vector<double> seconds;
  const auto deadline = Clock::now() + std::chrono::seconds(120);
  for (int i = 0; i < probes; ++i) {
    Clock::time_point at;
    while (!arrivals.Find(i, at)) {
      if (Clock::now() > deadline) Die("probe " + std::to_string(i) + " did not arrive");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    seconds.push_back(Seconds(at - sent[static_cast<std::size_t>(i)]));
  }
  std::sort(seconds.begin(), seconds.end());
  const int waiting = messages * each - sink.received();
  std::printf("{\"fill_seconds\": %.1f, \"sent_meanwhile\": %d, \"waiting\": %d, "
              "\"median_seconds\": %.3f, \"p99_seconds\": %.3f, \"max_seconds\": %.3f}\n",
              fill, drained, waiting, seconds[seconds.size() / 2],
              seconds[std::min(seconds.size() - 1, seconds.size() * 99 / 100)], seconds.back());
  std::fflush(stdout);
  _exit(0);  // the sink's threads go on
}

}  // namespace posthorn::bench
