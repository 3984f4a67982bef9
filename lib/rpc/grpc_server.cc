#include "lib/rpc/grpc_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/rpc/acceptor.h"
#include "lib/rpc/in_process.h"
#include "lib/rpc/tls_files.h"

namespace posthorn::rpc {
namespace {

std::shared_ptr<grpc::ServerCredentials> Credentials(const TlsFiles& tls) {
  if (tls.empty()) return grpc::InsecureServerCredentials();
  grpc::experimental::TlsServerCredentialsOptions options(internal::WatchFiles(tls));
  options.watch_identity_key_cert_pairs();
  if (tls.ca_file.empty()) {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

// gRPC does not say why it cannot listen, so what can go wrong is found out before: a taken port, a
// missing permission, an unreadable file.
absl::Status CheckListen(const std::string& target) {
  const std::size_t colon = target.rfind(':');
  if (absl::StartsWith(target, "unix:") || colon == std::string::npos) return absl::OkStatus();
  absl::string_view host = absl::string_view(target).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  int port = 0;
  if (!absl::SimpleAtoi(target.substr(colon + 1), &port)) {
    return MakeFailure(Failure::kInvalidArgument, absl::StrCat("no port in ", target));
  }
  const absl::StatusOr<net::BoundSocket> probe = net::BoundSocket::Bind(std::string(host), port);
  // A host name is resolved by gRPC.
  if (!probe.ok() && FailureOf(probe.status()) != Failure::kInvalidArgument) return probe.status();
  return absl::OkStatus();
}

absl::Status CheckFile(const std::string& file) {
  if (file.empty() || ::access(file.c_str(), R_OK) == 0) return absl::OkStatus();
  return MakeFailure(Failure::kInvalidArgument,
                     absl::StrCat("cannot read ", file, ": ", std::strerror(errno)));
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

struct Server::Impl {
  std::unique_ptr<grpc::Server> server;
  std::vector<int> ports;
  std::unique_ptr<internal::Acceptor> acceptor;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::vector<grpc::Service*>& services,
                                                      ServerOptions options) {
  for (const std::string& target : options.listen) {
    if (absl::Status status = CheckListen(target); !status.ok()) return status;
  }
  for (const std::string& file :
       {options.tls.certificate_file, options.tls.key_file, options.tls.ca_file}) {
    if (absl::Status status = CheckFile(file); !status.ok()) return status;
  }
  internal::KeepCallbackThreads();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageOctets);
  builder.SetMaxSendMessageSize(kMaxMessageOctets);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Milliseconds(options.max_connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Milliseconds(options.max_connection_age_grace));
  // What Connect sends: more than one ping in ten seconds would end the connection.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Two servers on one port would share its connections in silence.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);

  if (options.max_memory_octets != 0) {
    builder.SetResourceQuota(grpc::ResourceQuota("posthorn").Resize(options.max_memory_octets));
  }

  auto impl = std::make_unique<Impl>();
  impl->ports.resize(options.listen.size(), 0);
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    builder.AddListeningPort(options.listen[i], Credentials(options.tls), &impl->ports[i]);
  }
  std::unique_ptr<internal::Acceptor::Target> external;
  if (options.socket.has_value()) {
    external = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        Credentials(options.tls));
  }
  for (grpc::Service* service : services) builder.RegisterService(service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) {
    return MakeFailure(Failure::kUnavailable,
                       absl::StrCat("cannot listen on ", absl::StrJoin(options.listen, ", "),
                                    " for gRPC"));
  }
  if (external != nullptr) {
    impl->acceptor =
        std::make_unique<internal::Acceptor>(*std::move(options.socket), std::move(external));
  }
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  server->SetServing(true);
  return server;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

int Server::port(std::size_t index) const {
  // gRPC reports 1 for a unix socket.
  const int port = impl_->ports.at(index);
  return port == 1 ? 0 : port;
}

int Server::socket_port() const {
  return impl_->acceptor != nullptr ? impl_->acceptor->port() : 0;
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageOctets);
  arguments.SetMaxSendMessageSize(kMaxMessageOctets);
  return internal::MarkInProcess(impl_->server->InProcessChannel(arguments));
}

void Server::SetServing(bool serving) {
  if (auto* health = impl_->server->GetHealthCheckService()) health->SetServingStatus(serving);
}

void Server::Shutdown(absl::Duration limit) {
  if (impl_->server == nullptr) return;
  SetServing(false);
  impl_->acceptor.reset();
  impl_->server->Shutdown(absl::ToChronoTime(absl::Now() + limit));
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace posthorn::rpc
