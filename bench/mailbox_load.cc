// Commands of a mail client, timed: over IMAP one by one and many times, logins, appends; and a
// download over POP3.

#include <random>

#include "bench/load.h"

namespace posthorn::bench {
namespace {

// Sends `command` and reads up to the end of its answer; the octets of that.
std::size_t Run(Connection& connection, const std::string& command) {
  connection.Write("t " + command + "\r\n");
  const std::size_t octets = connection.SkipToLine("t ");
  if (connection.last().compare(0, 4, "t OK") != 0) Die(command + ": " + connection.last());
  return octets;
}

std::vector<std::string> CommandsOf(const std::string& text) {
  std::vector<std::string> commands;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(';', start), text.size());
    commands.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return commands;
}

// "%r" in `command` becomes a range of `span` of `messages` sequence numbers, somewhere.
std::string WithRange(std::string command, int messages, int span, std::mt19937& chance) {
  const std::size_t at = command.find("%r");
  if (at == std::string::npos) return command;
  const int first = std::uniform_int_distribution<int>(1, std::max(1, messages - span + 1))(chance);
  return command.replace(at, 2, std::to_string(first) + ':' + std::to_string(first + span - 1));
}

void ExpectOk(Connection& connection, const std::string& what) {
  std::string line;
  if (!connection.ReadLine(line) || line.compare(0, 3, "+OK") != 0) Die(what + ": " + line);
}

}  // namespace

// Times one command. What is in --before and --after (with ";" between commands) runs around it
// each time and is not timed; neither are the --warm first times.
int RunImap(const Options& options) {
  Connection connection(options.Number("port"));
  ImapLogin(connection, options.Text("user"), options.Text("password"));
  Run(connection, "SELECT " + options.Text("mailbox", "INBOX"));
  const int warm = std::atoi(options.Text("warm", "1").c_str());
  const int messages = std::atoi(options.Text("messages", "1").c_str());
  const int span = std::atoi(options.Text("span", "50").c_str());
  const std::vector<std::string> before = CommandsOf(options.Text("before", ""));
  const std::vector<std::string> after = CommandsOf(options.Text("after", ""));
  std::mt19937 chance(1);
  std::vector<double> seconds;
  std::size_t octets = 0;
  for (int i = -warm; i < options.Number("times"); ++i) {
    for (const std::string& command : before) Run(connection, command);
    const std::string command = WithRange(options.Text("command"), messages, span, chance);
    const auto start = Clock::now();
    octets = Run(connection, command);
    if (i >= 0) seconds.push_back(Seconds(Clock::now() - start));
    for (const std::string& undo : after) Run(connection, undo);
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf("{\"octets\": %zu, \"median_ms\": %.3f, \"p99_ms\": %.3f, \"cpu_ms\": %.1f}\n",
              octets, 1e3 * seconds[seconds.size() / 2],
              1e3 * seconds[std::min(seconds.size() - 1, seconds.size() * 99 / 100)],
              CpuMilliseconds());
  return 0;
}

// Each login is a connection of its own: greeting, LOGIN, LOGOUT.
int RunLogin(const Options& options) {
  const std::vector<std::string> users = options.List("users");
  const std::string password = options.Text("password");
  const int logins = options.Number("messages");
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (int i = 0; i < options.Number("connections"); ++i) {
    threads.emplace_back([&] {
      for (int n; (n = next.fetch_add(1)) < logins;) {
        Connection connection(options.Number("port"));
        ImapLogin(connection, users[static_cast<std::size_t>(n) % users.size()], password);
        connection.Write("b LOGOUT\r\n");
        connection.SkipToLine("b ");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  PrintRate(logins, Clock::now() - start);
  return 0;
}

// Each connection is of another user, as long as there are any, and appends one message at a time.
int RunAppend(const Options& options) {
  const std::vector<std::string> users = options.List("users");
  const std::string password = options.Text("password");
  const std::string mailbox = options.Text("mailbox", "INBOX");
  const std::size_t size = static_cast<std::size_t>(options.Number("size"));
  const int messages = options.Number("messages");
  std::atomic<int> left{messages};
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (int i = 0; i < options.Number("connections"); ++i) {
    threads.emplace_back([&, i] {
      const std::string& user = users[static_cast<std::size_t>(i) % users.size()];
      Connection connection(options.Number("port"));
      ImapLogin(connection, user, password);
      while (left.fetch_sub(1) > 0) {
        const std::string body = Message(size, user);
        connection.Write("f APPEND " + mailbox + " {" + std::to_string(body.size()) + "}\r\n");
        connection.SkipToLine("+");
        connection.Write(body + "\r\n");
        connection.SkipToLine("f ");
        if (connection.last().compare(0, 4, "f OK") != 0) Die("append: " + connection.last());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  PrintRate(messages, Clock::now() - start);
  return 0;
}

// Login, every message in turn, QUIT.
int RunPop3(const Options& options) {
  const auto start = Clock::now();
  Connection connection(options.Number("port"));
  ExpectOk(connection, "greeting");
  connection.Write("USER " + options.Text("user") + "\r\n");
  ExpectOk(connection, "USER");
  connection.Write("PASS " + options.Text("password") + "\r\n");
  ExpectOk(connection, "PASS");
  connection.Write("STAT\r\n");
  std::string line;
  if (!connection.ReadLine(line) || line.compare(0, 4, "+OK ") != 0) Die("STAT: " + line);
  const int messages = std::atoi(line.c_str() + 4);
  if (messages != options.Number("messages")) Die("other messages than expected: " + line);
  for (int i = 1; i <= messages; ++i) {
    connection.Write("RETR " + std::to_string(i) + "\r\n");
    ExpectOk(connection, "RETR");
    while (connection.ReadLine(line) && line != ".") {
    }
  }
  connection.Write("QUIT\r\n");
  ExpectOk(connection, "QUIT");
  PrintRate(messages, Clock::now() - start);
  return 0;
}

}  // namespace posthorn::bench
