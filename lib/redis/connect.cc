#include "lib/redis/connect.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/net/listener.h"

namespace posthorn::redis {
namespace {

// Of one name.
constexpr std::size_t kMaxAddresses = 4;

using Addresses = absl::StatusOr<std::vector<std::string>>;

bool IsIpAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

Addresses LookUp(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat(host, ": ", gai_strerror(error)));
  }
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN];
    const void* address =
        one->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr;
    if (inet_ntop(one->ai_family, address, text, sizeof(text)) == nullptr) continue;
    if (addresses.size() < kMaxAddresses &&
        std::find(addresses.begin(), addresses.end(), text) == addresses.end()) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  return addresses;
}

struct Lookup {
  void Finish(Addresses addresses) {
    if (!finished.exchange(true)) done.Set(std::move(addresses));
  }
  std::atomic<bool> finished{false};
  OneShot<Addresses> done;
};

// The system's resolver has no other way than to block, so it does on a thread of its own: it knows
// /etc/hosts and search domains, which DNS alone does not.
Task<Addresses> Resolve(std::string host, absl::Duration timeout) {
  if (IsIpAddress(host)) co_return std::vector<std::string>(1, host);
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, host] { lookup->Finish(LookUp(host)); }).detach();
  Executor::Current()->PostAfter(timeout, [lookup, host] {
    lookup->Finish(absl::DeadlineExceededError(absl::StrCat(host, ": no answer from DNS")));
  });
  Addresses addresses = co_await lookup->done;
  co_return addresses;
}

Task<absl::StatusOr<std::unique_ptr<net::Stream>>> Connect(const Options& options,
                                                           Endpoint endpoint) {
  if (absl::StartsWith(endpoint.host, "/")) {
    co_return co_await net::ConnectUnix(endpoint.host, options.connect_timeout);
  }
  const Addresses addresses = co_await Resolve(endpoint.host, options.connect_timeout);
  if (!addresses.ok()) co_return addresses.status();
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      absl::UnavailableError(absl::StrCat(endpoint.host, ": no address"));
  for (const std::string& address : *addresses) {
    stream = co_await net::Connect(address, endpoint.port, "", options.connect_timeout);
    if (stream.ok()) break;
  }
  if (!stream.ok() || options.tls == nullptr) co_return stream;
  // Renewed certificates count; files that cannot be read now leave the old ones.
  options.tls->Reload().IgnoreError();
  const std::string name =
      options.tls_server_name.empty() ? endpoint.host : options.tls_server_name;
  const absl::Status secured =
      co_await (*stream)->StartTlsClient(*options.tls, name, options.connect_timeout);
  if (!secured.ok()) co_return secured;
  co_return stream;
}

}  // namespace

std::string Endpoint::ToString() const {
  if (absl::StartsWith(host, "/")) return host;
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

absl::StatusOr<Endpoint> ParseEndpoint(const std::string& address) {
  Endpoint result(address, 6379);
  if (absl::StartsWith(address, "/")) return result;
  const std::size_t colon = address.rfind(':');
  const bool bracketed = absl::StartsWith(address, "[");
  const std::size_t close = bracketed ? address.find(']') : std::string::npos;
  const bool has_port = colon != std::string::npos && (!bracketed || colon > close);
  if ((bracketed && close == std::string::npos) ||
      (has_port && (!absl::SimpleAtoi(address.substr(colon + 1), &result.port) ||
                    result.port < 1 || result.port > 65535))) {
    return absl::InvalidArgumentError(absl::StrCat("Redis address: ", address));
  }
  result.host = has_port ? address.substr(0, colon) : address;
  if (bracketed) result.host = address.substr(1, close - 1);
  if (result.host.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("Redis address: ", address));
  }
  return result;
}

Task<absl::StatusOr<Reply>> Ask(net::Stream& stream, std::vector<std::string> command,
                                absl::Duration timeout) {
  const absl::Status written = co_await stream.WriteAll(FormatCommand(command), timeout);
  if (!written.ok()) co_return written;
  ReplyParser parser;
  for (;;) {
    absl::StatusOr<std::string> bytes = co_await stream.ReadSome(timeout);
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty()) co_return absl::UnavailableError("closed");
    const absl::Status fed = parser.Feed(*bytes);
    if (!fed.ok()) co_return fed;
    absl::StatusOr<std::optional<Reply>> reply = parser.Next();
    if (!reply.ok()) co_return reply.status();
    if (!reply->has_value()) continue;
    if ((*reply)->is_error()) co_return absl::InternalError((*reply)->text);
    co_return **std::move(reply);
  }
}

Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenConnection(const Options& options,
                                                                  Endpoint endpoint,
                                                                  std::string user,
                                                                  std::string password) {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream = co_await Connect(options, endpoint);
  if (!stream.ok() || password.empty()) co_return stream;
  std::vector<std::string> auth;
  auth.push_back("AUTH");
  if (!user.empty()) auth.push_back(std::move(user));
  auth.push_back(std::move(password));
  const absl::StatusOr<Reply> reply =
      co_await Ask(**stream, std::move(auth), options.command_timeout);
  if (!reply.ok()) co_return reply.status();
  co_return stream;
}

Task<absl::StatusOr<Reply>> AskOnce(const Options& options, Endpoint endpoint, std::string user,
                                    std::string password, std::vector<std::string> command) {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      co_await OpenConnection(options, endpoint, std::move(user), std::move(password));
  if (!stream.ok()) co_return stream.status();
  absl::StatusOr<Reply> reply =
      co_await Ask(**stream, std::move(command), options.connect_timeout);
  (*stream)->Close();
  co_return reply;
}

Task<absl::StatusOr<Endpoint>> FindMaster(const Options& options, std::size_t& first,
                                          std::function<bool()> wanted) {
  absl::Status last = absl::UnavailableError("no sentinel");
  for (std::size_t i = 0; i < options.addresses.size() && wanted(); ++i) {
    const std::size_t at = (first + i) % options.addresses.size();
    const absl::StatusOr<Endpoint> sentinel = ParseEndpoint(options.addresses[at]);
    if (!sentinel.ok()) co_return sentinel.status();
    std::vector<std::string> command;
    command.push_back("SENTINEL");
    command.push_back("get-master-addr-by-name");
    command.push_back(options.master_name);
    const absl::StatusOr<Reply> reply =
        co_await AskOnce(options, *sentinel, options.sentinel_user, options.sentinel_password,
                         std::move(command));
    if (!reply.ok()) {
      last = absl::UnavailableError(
          absl::StrCat("sentinel ", sentinel->ToString(), ": ", reply.status().message()));
      continue;
    }
    Endpoint master;
    if (reply->elements.size() != 2 || !absl::SimpleAtoi(reply->elements[1].text, &master.port)) {
      last = absl::UnavailableError(absl::StrCat("sentinel ", sentinel->ToString(),
                                                 " does not know ", options.master_name));
      continue;
    }
    master.host = reply->elements[0].text;
    first = at;
    co_return master;
  }
  co_return last;
}

Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenMaster(const Options& options,
                                                              Endpoint endpoint) {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      co_await OpenConnection(options, endpoint, options.user, options.password);
  if (!stream.ok()) co_return stream;
  std::vector<std::string> command(1, "ROLE");
  const absl::StatusOr<Reply> role =
      co_await Ask(**stream, std::move(command), options.command_timeout);
  if (!role.ok()) co_return role.status();
  if (role->elements.empty() || role->elements[0].text != "master") {
    co_return absl::UnavailableError(absl::StrCat(endpoint.ToString(), " is not the master"));
  }
  co_return stream;
}

Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenClusterNode(const Options& options,
                                                                   Endpoint endpoint) {
  absl::StatusOr<std::unique_ptr<net::Stream>> stream =
      co_await OpenConnection(options, endpoint, options.user, options.password);
  if (!stream.ok()) co_return stream;
  std::vector<std::string> command;
  command.push_back("CLUSTER");
  command.push_back("INFO");
  const absl::StatusOr<Reply> info =
      co_await Ask(**stream, std::move(command), options.command_timeout);
  if (!info.ok()) co_return info.status();
  if (!absl::StrContains(info->text, "cluster_state:ok")) {
    co_return absl::UnavailableError(absl::StrCat(endpoint.ToString(), ": the cluster is down"));
  }
  co_return stream;
}

}  // namespace posthorn::redis
