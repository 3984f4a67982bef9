#include "services/gateway/wiring.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/clock.h"
#include "lib/base/failure.h"
#include "lib/config/redis_settings.h"
#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "lib/net/staged_body.h"
#include "lib/net/tls.h"
#include "lib/redis/client.h"
#include "lib/redis/lockouts.h"
#include "lib/redis/rate_limiter.h"
#include "lib/rpc/channel.h"
#include "lib/telemetry/log.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/gateway/accept/commit_acceptor.h"
#include "services/gateway/api/admin_token.h"
#include "services/gateway/api/api_server.h"
#include "services/gateway/api/send_handler.h"
#include "services/gateway/bound_sockets.h"
#include "services/gateway/change_hub.h"
#include "services/gateway/clients/delivery_client.h"
#include "services/gateway/clients/directory_client.h"
#include "services/gateway/clients/mailbox_client.h"
#include "services/gateway/clients/queue_client.h"
#include "services/gateway/clients/queue_view_client.h"
#include "services/gateway/gateway_settings.h"
#include "services/gateway/hint_subscriber.h"
#include "services/gateway/imap/server.h"
#include "services/gateway/pop3/server.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/connection_limiter.h"
#include "services/gateway/session/login_guard.h"
#include "services/gateway/session/proxy_header.h"
#include "services/gateway/session/session_registry.h"
#include "services/gateway/session/token_issuers.h"
#include "services/gateway/smtp/server.h"
#include "services/gateway/wiring_local.h"

namespace posthorn::gateway {
namespace {

using config::v1::Config;

// After a drain's limit: for sessions whose streams have been closed.
constexpr absl::Duration kCutOffLimit = absl::Seconds(5);

// One connection, from accept to close.
template <typename Server, typename Options>
Task<void> ServeRegistered(SessionRegistry& registry, Server& server, const Options& options,
                           const std::vector<net::IpNetwork>& proxies,
                           std::unique_ptr<net::Stream> stream) {
  const SessionRegistry::Entry entry(registry, stream.get());
  const bool known = co_await TakeProxyHeader(*stream, proxies);
  if (!known) {
    stream.reset();  // before its entry
    co_return;
  }
  co_await server.Serve(std::move(stream), options);
}

// gRPC may still answer a call of the background when everything else has ended, and then posts to
// its loop. Stopped loops run nothing, but must be there; so they stay until the process ends.
void Retire(std::unique_ptr<net::LoopPool> loops) {
  static auto* const retired = new std::vector<std::unique_ptr<net::LoopPool>>();
  loops->Stop();
  retired->push_back(std::move(loops));
}

// The balancers of each listener of a section.
using ProxyNetworks = std::vector<std::vector<net::IpNetwork>>;

absl::Status ReadProxies(const google::protobuf::RepeatedPtrField<config::v1::Listener>& listeners,
                         const char* section, ProxyNetworks& result) {
  for (int i = 0; i < listeners.size(); ++i) {
    absl::StatusOr<std::vector<net::IpNetwork>> networks =
        ProxyNetworksFrom(listeners[i], section, i);
    if (!networks.ok()) return networks.status();
    result.push_back(*std::move(networks));
  }
  return absl::OkStatus();
}

absl::Status Prefix(const char* key, const absl::Status& status) {
  return MakeFailure(Failure::kInvalidArgument, absl::StrCat(key, ": ", status.message()));
}

}  // namespace

// In the order of construction: what comes later uses what comes before.
struct GatewayServer::Impl {
  explicit Impl(int threads) : loops(std::make_unique<net::LoopPool>(threads)) {}
  ~Impl() { ShutDown(absl::ZeroDuration()); }

  absl::Status Build(const Config& config, GatewayDependencies dependencies);
  absl::Status BuildLogins(const Config& config);
  absl::Status StartApi(const Config& config, net::BoundSocket socket);
  void Listen(const Config& config, BoundSockets sockets);
  template <typename Server, typename Options>
  void ListenOn(net::BoundSocket socket, Server& server, const Options& options,
                const std::vector<net::IpNetwork>& proxies, ListeningAddress address);
  void ShutDown(absl::Duration limit);

  std::unique_ptr<net::LoopPool> loops;
  SystemClock clock;
  SessionRegistry sessions;
  GatewayDependencies dependencies;
  std::unique_ptr<net::TlsContext> tls;
  std::unique_ptr<net::StagingArea> staging;
  std::unique_ptr<ConnectionLimiter> connections;

  std::unique_ptr<Directory> directory;
  std::unique_ptr<LocalDelivery> delivery;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<QueueView> queue_view;
  std::unique_ptr<MailStore> store;
  std::unique_ptr<CommitAcceptor> acceptor;
  std::unique_ptr<ChangeHub> hub;
  std::unique_ptr<HintSubscriber> hints;

  std::unique_ptr<redis::Client> redis;  // null: this process counts alone
  std::unique_ptr<redis::Lockouts> lockouts;
  std::unique_ptr<redis::RateLimiter> pop3_logins;
  std::unique_ptr<LoginGuard> guard;
  std::unique_ptr<TokenIssuers> issuers;  // null: no tokens
  std::unique_ptr<Authenticator> authenticator;

  std::vector<SmtpListenerOptions> smtp_options;
  std::vector<ImapListenerOptions> imap_options;
  std::vector<Pop3ListenerOptions> pop3_options;
  ProxyNetworks smtp_proxies;
  ProxyNetworks imap_proxies;
  ProxyNetworks pop3_proxies;
  std::unique_ptr<SmtpServer> smtp;
  std::unique_ptr<LocalSubmission> local;  // null: no users of this machine
  std::unique_ptr<ImapServer> imap;
  std::unique_ptr<Pop3Server> pop3;
  std::unique_ptr<SendHandler> send;
  std::unique_ptr<ApiServer> api;
  std::vector<std::unique_ptr<net::Listener>> listeners;
  std::vector<ListeningAddress> addresses;
};

absl::Status GatewayServer::Impl::Build(const Config& config, GatewayDependencies given) {
  const config::v1::Gateway& gateway = config.gateway();
  const config::v1::Limits& limits = gateway.limits();
  dependencies = std::move(given);

  if (std::vector<net::CertificateFiles> files = CertificatesFrom(config.tls()); !files.empty()) {
    net::CertificateFiles first = std::move(files.front());
    files.erase(files.begin());
    absl::StatusOr<std::unique_ptr<net::TlsContext>> context =
        net::TlsContext::Server(std::move(first), std::move(files));
    if (!context.ok()) return Prefix("tls", context.status());
    tls = *std::move(context);
  }
  absl::StatusOr<std::vector<SmtpListenerOptions>> smtp_listeners = SmtpListenersFrom(config);
  if (!smtp_listeners.ok()) return smtp_listeners.status();
  smtp_options = *std::move(smtp_listeners);
  absl::StatusOr<std::vector<ImapListenerOptions>> imap_listeners = ImapListenersFrom(config);
  if (!imap_listeners.ok()) return imap_listeners.status();
  imap_options = *std::move(imap_listeners);
  absl::StatusOr<std::vector<Pop3ListenerOptions>> pop3_listeners = Pop3ListenersFrom(config);
  if (!pop3_listeners.ok()) return pop3_listeners.status();
  pop3_options = *std::move(pop3_listeners);

  absl::Status proxies = ReadProxies(gateway.smtp_listeners(), "smtp_listeners", smtp_proxies);
  if (proxies.ok()) {
    proxies = ReadProxies(gateway.imap_listeners(), "imap_listeners", imap_proxies);
  }
  if (proxies.ok()) {
    proxies = ReadProxies(gateway.pop3_listeners(), "pop3_listeners", pop3_proxies);
  }
  if (!proxies.ok()) return proxies;

  absl::StatusOr<std::unique_ptr<net::StagingArea>> area = net::StagingArea::Open(
      gateway.staging_dir(), static_cast<std::uint64_t>(gateway.staging_max_octets()));
  if (!area.ok()) return Prefix("gateway.staging_dir", area.status());
  staging = *std::move(area);
  connections =
      std::make_unique<ConnectionLimiter>(limits.connections(), limits.connections_per_address());

  const RpcSettings rpc(dependencies.service_token, absl::Seconds(config.rpc().deadline_seconds()));
  directory = MakeDirectoryClient(dependencies.mailbox, rpc, clock);
  delivery = MakeDeliveryClient(dependencies.mailbox, rpc);
  spool = MakeQueueClient(dependencies.queue, rpc);
  queue_view = MakeQueueViewClient(dependencies.queue, rpc);
  store = MakeMailboxClient(dependencies.mailbox, rpc);
  acceptor = std::make_unique<CommitAcceptor>(*delivery, *spool, config.hostname());

  hub = std::make_unique<ChangeHub>(*store, loops->at(0));
  hub->Start();
  if (!config::RedisServers(config.redis()).empty()) {
    absl::StatusOr<redis::Options> options = config::RedisOptionsFrom(config.redis());
    if (!options.ok()) return options.status();
    redis = std::make_unique<redis::Client>(loops->at(0), *options);
    hints = std::make_unique<HintSubscriber>(loops->at(0), *std::move(options), *hub,
                                             [this] { directory->Forget(); });
  }

  if (absl::Status logins = BuildLogins(config); !logins.ok()) return logins;

  SmtpDependencies for_smtp;
  for_smtp.directory = directory.get();
  for_smtp.authenticator = authenticator.get();
  for_smtp.acceptor = acceptor.get();
  for_smtp.queue = queue_view.get();
  for_smtp.staging = staging.get();
  for_smtp.clock = &clock;
  for_smtp.tls = tls.get();
  for_smtp.connections = connections.get();
  for_smtp.hostname = config.hostname();
  for_smtp.queue_extensions =
      smtp::ExtensionSet{smtp::Extension::kDsn, smtp::Extension::kRequireTls,
                         smtp::Extension::kFutureRelease, smtp::Extension::kMtPriority,
                         smtp::Extension::kDeliverBy, smtp::Extension::kXverp};
  smtp = std::make_unique<SmtpServer>(std::move(for_smtp), SmtpLimitsFrom(limits));
  PickupDependencies for_pickup;
  for_pickup.server = smtp.get();
  for_pickup.directory = directory.get();
  for_pickup.acceptor = acceptor.get();
  for_pickup.staging = staging.get();
  for_pickup.clock = &clock;
  absl::StatusOr<std::unique_ptr<LocalSubmission>> submission =
      LocalSubmission::Make(config, loops->at(0), for_pickup);
  if (!submission.ok()) return submission.status();
  local = *std::move(submission);

  ImapDependencies for_imap;
  for_imap.store = store.get();
  for_imap.authenticator = authenticator.get();
  for_imap.hub = hub.get();
  for_imap.clock = &clock;
  for_imap.tls = tls.get();
  for_imap.connections = connections.get();
  imap = std::make_unique<ImapServer>(for_imap, ImapLimitsFrom(limits));

  Pop3Dependencies for_pop3;
  for_pop3.store = store.get();
  for_pop3.authenticator = authenticator.get();
  for_pop3.tls = tls.get();
  for_pop3.connections = connections.get();
  for_pop3.logins = pop3_logins.get();
  pop3 = std::make_unique<Pop3Server>(for_pop3, Pop3LimitsFrom(limits));

  send = std::make_unique<SendHandler>(*directory, *acceptor, *staging, clock,
                                       SendLimitsFrom(gateway), config.hostname());
  return absl::OkStatus();
}

// Who may log in, and who has failed to too often.
absl::Status GatewayServer::Impl::BuildLogins(const Config& config) {
  const config::v1::Authentication& settings = config.gateway().authentication();
  redis::LockoutsOptions for_lockouts;
  for_lockouts.replicas = settings.replicas();
  lockouts = std::make_unique<redis::Lockouts>(redis.get(), clock, std::move(for_lockouts));
  // Without Redis each gateway knows its own logins only.
  redis::RateLimiterOptions for_logins;
  for_logins.prefix = "posthorn:pop3:";
  pop3_logins = std::make_unique<redis::RateLimiter>(redis.get(), clock, std::move(for_logins));
  absl::StatusOr<LoginGuardOptions> for_guard = LoginGuardOptionsFrom(settings);
  if (!for_guard.ok()) return for_guard.status();
  guard = std::make_unique<LoginGuard>(*lockouts, clock, *std::move(for_guard));
  if (settings.token_issuers_size() > 0) {
    absl::StatusOr<std::unique_ptr<TokenIssuers>> loaded =
        TokenIssuers::Load(TokenIssuersFrom(settings), clock);
    if (!loaded.ok()) return Prefix("gateway.authentication.token_issuers", loaded.status());
    issuers = *std::move(loaded);
  }
  authenticator = std::make_unique<Authenticator>(*directory, *guard, issuers.get());
  return absl::OkStatus();
}

absl::Status GatewayServer::Impl::StartApi(const Config& config, net::BoundSocket socket) {
  const config::v1::Gateway& gateway = config.gateway();
  const absl::StatusOr<std::string> token = ReadAdminToken(gateway.admin_token_file());
  if (!token.ok()) return Prefix("gateway.admin_token_file", token.status());
  ApiOptions options;
  options.admin_token = *token;
  options.service_token = dependencies.service_token;
  if (gateway.api_tls()) {
    if (tls == nullptr) {
      return MakeFailure(Failure::kInvalidArgument,
                         "gateway.api_tls: needs tls.certificate_file");
    }
    options.tls.certificate_file = config.tls().certificate_file();
    options.tls.key_file = config.tls().key_file();
  }
  absl::StatusOr<std::unique_ptr<ApiServer>> server = ApiServer::Start(
      std::move(socket), std::move(options), *send, dependencies.mailbox, dependencies.queue,
      *lockouts, *loops);
  if (!server.ok()) return Prefix("gateway.api", server.status());
  api = *std::move(server);
  addresses.push_back({"gateway.api_port", "api", gateway.api_address(), api->port()});
  return absl::OkStatus();
}

template <typename Server, typename Options>
void GatewayServer::Impl::ListenOn(net::BoundSocket socket, Server& server, const Options& options,
                                   const std::vector<net::IpNetwork>& proxies,
                                   ListeningAddress address) {
  address.address = socket.local().ip;
  address.port = socket.local().port;
  addresses.push_back(std::move(address));
  listeners.push_back(std::make_unique<net::Listener>(
      std::move(socket), *loops,
      [this, &server, &options, &proxies](std::unique_ptr<net::Stream> stream) {
        return ServeRegistered(sessions, server, options, proxies, std::move(stream));
      }));
}

void GatewayServer::Impl::Listen(const Config& config, BoundSockets sockets) {
  const config::v1::Gateway& gateway = config.gateway();
  const auto address = [](const char* section, std::size_t index, const std::string& role) {
    ListeningAddress result;
    result.key = absl::StrCat("gateway.", section, "[", index, "].port");
    result.role = role;
    return result;
  };
  for (std::size_t i = 0; i < sockets.smtp.size(); ++i) {
    ListenOn(std::move(sockets.smtp[i]), *smtp, smtp_options[i], smtp_proxies[i],
             address("smtp_listeners", i, gateway.smtp_listeners(static_cast<int>(i)).role()));
  }
  if (sockets.local.has_value()) {
    addresses.push_back({"gateway.local_submission.socket_path", "local",
                         gateway.local_submission().socket_path(), 0});
    listeners.push_back(std::make_unique<net::Listener>(
        *std::move(sockets.local), *loops, [this](std::unique_ptr<net::Stream> stream) {
          return local->Serve(sessions, *smtp, std::move(stream));
        }));
    local->Start();
  }
  for (std::size_t i = 0; i < sockets.imap.size(); ++i) {
    ListenOn(std::move(sockets.imap[i]), *imap, imap_options[i], imap_proxies[i],
             address("imap_listeners", i, gateway.imap_listeners(static_cast<int>(i)).role()));
  }
  for (std::size_t i = 0; i < sockets.pop3.size(); ++i) {
    ListenOn(std::move(sockets.pop3[i]), *pop3, pop3_options[i], pop3_proxies[i],
             address("pop3_listeners", i, gateway.pop3_listeners(static_cast<int>(i)).role()));
  }
}

void GatewayServer::Impl::ShutDown(absl::Duration limit) {
  if (loops == nullptr) return;
  const absl::Time end = absl::Now() + limit;
  for (const std::unique_ptr<net::Listener>& listener : listeners) listener->Stop();
  if (smtp != nullptr) smtp->Drain();
  if (local != nullptr) local->Stop(std::max(end - absl::Now(), absl::ZeroDuration()));
  if (imap != nullptr) imap->Drain();
  if (pop3 != nullptr) pop3->Drain();
  if (api != nullptr) api->Shutdown(std::max(end - absl::Now(), absl::ZeroDuration()));
  if (!sessions.WaitUntilEmpty(std::max(end - absl::Now(), absl::ZeroDuration()))) {
    log::Warn("gateway", "sessions cut off", {{"sessions", sessions.size()}});
    sessions.CloseAll();
    // What waits for a call ends with the call's deadline; the process does not wait that long.
    sessions.WaitUntilEmpty(kCutOffLimit);
  }
  hints.reset();
  if (redis != nullptr) redis->Stop();
  if (hub != nullptr) hub->Stop();
  Retire(std::move(loops));
}

GatewayServer::GatewayServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GatewayServer::~GatewayServer() = default;

absl::StatusOr<std::unique_ptr<GatewayServer>> GatewayServer::Start(
    const Config& config, BoundSockets sockets, GatewayDependencies dependencies) {
  const config::v1::Gateway& gateway = config.gateway();
  if (sockets.smtp.size() != static_cast<std::size_t>(gateway.smtp_listeners_size()) ||
      sockets.imap.size() != static_cast<std::size_t>(gateway.imap_listeners_size()) ||
      sockets.pop3.size() != static_cast<std::size_t>(gateway.pop3_listeners_size()) ||
      sockets.local.has_value() == gateway.local_submission().domain().empty() ||
      !sockets.api.has_value()) {
    return absl::InternalError("gateway: sockets do not match the configured listeners");
  }
  auto impl = std::make_unique<Impl>(gateway.threads());
  absl::Status status = impl->Build(config, std::move(dependencies));
  if (status.ok()) status = impl->StartApi(config, *std::move(sockets.api));
  if (!status.ok()) return status;
  impl->Listen(config, std::move(sockets));
  return std::unique_ptr<GatewayServer>(new GatewayServer(std::move(impl)));
}

const std::vector<ListeningAddress>& GatewayServer::listeners() const { return impl_->addresses; }

absl::Status GatewayServer::Ready() const {
  if (!rpc::IsConnected(*impl_->dependencies.mailbox)) {
    return MakeFailure(Failure::kUnavailable, "not connected to the mailbox service");
  }
  if (!rpc::IsConnected(*impl_->dependencies.queue)) {
    return MakeFailure(Failure::kUnavailable, "not connected to the queue service");
  }
  return absl::OkStatus();
}

absl::Status GatewayServer::ReloadCertificates() {
  // The API's are read again by gRPC when the files change.
  return impl_->tls != nullptr ? impl_->tls->Reload() : absl::OkStatus();
}

void GatewayServer::Drain(absl::Duration limit) { impl_->ShutDown(limit); }

}  // namespace posthorn::gateway
