#include "services/delivery/wiring.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/clock.h"
#include "lib/dns/unbound_resolver.h"
#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "lib/net/tls.h"
#include "lib/telemetry/log.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/delivery/bounces.h"
#include "services/delivery/clients/mailbox_client.h"
#include "services/delivery/clients/queue_client.h"
#include "services/delivery/clients/traffic_client.h"
#include "services/delivery/clients/transport_client.h"
#include "services/delivery/connection_pool.h"
#include "services/delivery/delivery_metrics.h"
#include "services/delivery/job_runner.h"
#include "services/delivery/local_delivery.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/remote_delivery.h"
#include "services/delivery/smart_hosts.h"
#include "services/delivery/https_client.h"
#include "services/delivery/sts_fetcher.h"
#include "services/delivery/sts_policies.h"
#include "services/delivery/tls_counts.h"
#include "services/delivery/tls_metrics.h"
#include "services/delivery/tls_policies.h"
#include "services/delivery/tls_reporter.h"
#include "services/delivery/wiring_traffic.h"
#include "services/delivery/worker.h"

namespace posthorn::delivery {
namespace {

// How long Stop waits for what it has broken off to notice.
constexpr absl::Duration kStopWait = absl::Seconds(5);
// And Drain for the last counts of TLS to be passed on.
constexpr absl::Duration kCountsWait = absl::Seconds(2);

// The default: where most systems have them. A system without must be able to start.
constexpr char kUsualAuthorities[] = "/etc/ssl/certs/ca-certificates.crt";

class TcpConnector final : public Connector {
 public:
  Task<absl::StatusOr<std::unique_ptr<net::Stream>>> Connect(std::string ip, int port,
                                                             std::string source_ip,
                                                             absl::Duration timeout) override {
    if (ip.starts_with("/")) return net::ConnectUnix(std::move(ip), timeout);
    return net::Connect(std::move(ip), port, std::move(source_ip), timeout);
  }
};

absl::StatusOr<std::shared_ptr<const HostAccess>> AccessOf(const config::v1::Route& route) {
  auto access = std::make_shared<HostAccess>();
  access->tls = TlsLevelFrom(route.tls());
  access->username = route.username();
  access->password = route.password();
  if (!route.password_file().empty()) {
    std::ifstream file(route.password_file());
    if (!file || !std::getline(file, access->password) || access->password.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no password can be read from ", route.password_file()));
    }
  }
  return access;
}

TlsPolicyOptions TlsPolicyOptionsOf(const config::v1::Delivery& config, StsPolicies& sts,
                                    TlsObserver& observer) {
  TlsPolicyOptions options;
  options.observer = &observer;
  options.enabled = config.starttls() != "off";
  options.dane = !config.dnssec_trust_anchor_file().empty();
  if (config.mta_sts() != "off") options.sts = &sts;
  for (const config::v1::TlsRule& from : config.tls_rules()) {
    TlsPolicyRule& rule = options.rules.emplace_back();
    rule.pattern = absl::AsciiStrToLower(from.pattern());
    // Checked when the file was read.
    rule.level = TlsPolicyLevelFrom(from.level()).value_or(TlsPolicyRule::Level::kAutomatic);
    rule.names.assign(from.names().begin(), from.names().end());
  }
  return options;
}

absl::StatusOr<RouteTable> RoutesOf(const config::v1::Delivery& config) {
  RouteTable routes;
  for (int i = 0; i < config.routes_size(); ++i) {
    const config::v1::Route& route = config.routes(i);
    const std::vector<std::string> hosts(route.hosts().begin(), route.hosts().end());
    absl::StatusOr<std::shared_ptr<const HostAccess>> access = AccessOf(route);
    if (!access.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("delivery.routes[", i, "].password_file: ", access.status().message()));
    }
    const absl::Status added = routes.Add(route.pattern(), hosts, config.smtp_port(),
                                          *std::move(access), TenantId(route.tenant_id()));
    if (!added.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("delivery.routes[", i, "]: ", added.message()));
    }
  }
  return routes;
}

MailRouterOptions RouterOptions(const config::v1::Config& config, SmartHosts& smart_hosts) {
  MailRouterOptions options;
  options.smart_hosts = &smart_hosts;
  options.hostname = config.hostname();
  options.smtp_port = config.delivery().smtp_port();
  options.cache = config.dns().cache() != "off";
  options.random = [generator = std::mt19937_64(std::random_device{}())](
                       std::size_t below) mutable {
    return static_cast<std::size_t>(generator() % below);
  };
  return options;
}

PoolOptions PoolOptionsOf(const config::v1::Delivery& config) {
  PoolOptions options;
  options.connections_per_host =
      std::max(1, config.connections_per_destination() / config.threads());
  options.idle_time = absl::Seconds(config.idle_connection_seconds());
  const int concurrency = std::max(1, config.concurrency() / config.threads());
  options.max_waiting = static_cast<std::size_t>(std::max(1, concurrency / 4));
  return options;
}

ConnectionOptions ConnectionOptionsOf(const config::v1::Config& config,
                                      const net::TlsContext* tls,
                                      const net::TlsContext* verified_tls,
                                      TlsObserver& observer) {
  const config::v1::Delivery& delivery = config.delivery();
  ConnectionOptions options;
  options.hostname = config.hostname();
  options.tls = tls;
  options.verified_tls = verified_tls;
  options.tls_observer = &observer;
  options.connect_timeout = absl::Seconds(delivery.connect_timeout_seconds());
  options.command_timeout = absl::Seconds(delivery.command_timeout_seconds());
  options.final_dot_timeout = absl::Seconds(delivery.final_dot_timeout_seconds());
  return options;
}

RemoteOptions RemoteOptionsOf(const config::v1::Delivery& config, TlsPolicies& tls) {
  RemoteOptions options;
  options.tls = &tls;
  options.recipients_per_transaction =
      static_cast<std::size_t>(config.recipients_per_transaction());
  return options;
}

TrafficSettings WithRandom(TrafficSettings settings) {
  settings.random = [generator = std::mt19937_64(std::random_device{}())](
                        std::size_t below) mutable {
    return static_cast<std::size_t>(generator() % below);
  };
  return settings;
}

absl::StatusOr<TlsReporterOptions> ReporterOptionsOf(const config::v1::Config& config) {
  const config::v1::TlsReports& from = config.delivery().tls_reports();
  TlsReporterOptions options;
  options.from = absl::AsciiStrToLower(from.from());
  const std::size_t at = options.from.find('@');
  const bool plain = at != std::string::npos && at > 0 && at + 1 < options.from.size() &&
                     options.from.find_first_of(" <>\",;:\t\r\n") == std::string::npos;
  if (!plain) {
    return absl::InvalidArgumentError("delivery.tls_reports.from: must be an address");
  }
  options.organization_name =
      from.organization_name().empty() ? config.hostname() : from.organization_name();
  options.contact_info = from.contact_info().empty() ? options.from : from.contact_info();
  return options;
}

WorkerOptions WorkerOptionsOf(const config::v1::Delivery& config, const Clock& clock) {
  WorkerOptions options;
  options.id = MessageId::Generate(clock.Now()).ToString();
  options.concurrency = std::max(1, config.concurrency() / config.threads());
  return options;
}

// What all lanes share; each part is thread-safe.
struct Shared {
  SystemClock clock;
  TcpConnector connector;
  TlsMetrics tls_metrics;
  std::unique_ptr<TlsCounts> tls_counts;  // of tls_metrics; nullptr: no reports
  std::unique_ptr<net::TlsContext> tls;
  std::unique_ptr<net::TlsContext> verified_tls;
  std::unique_ptr<dns::UnboundResolver> resolver;
  std::unique_ptr<HttpsClient> https;
  std::unique_ptr<StsFetcher> sts_fetcher;
  std::unique_ptr<StsStore> sts_store;
  std::unique_ptr<QueuePort> queue;
  std::unique_ptr<TrafficPort> traffic;
  std::unique_ptr<DirectoryPort> directory;
  std::unique_ptr<TlsReportPort> tls_reports;

  TlsObserver& observer() {
    if (tls_counts != nullptr) return *tls_counts;
    return tls_metrics;
  }
};

// One event loop with a worker and all that belongs to it.
struct Lane {
  Lane(const config::v1::Config& config, RouteTable routes, TrafficSettings traffic,
       Shared& shared, Executor& loop_in, std::unique_ptr<MailboxPort> mailbox_in)
      : loop(loop_in),
        mailbox(std::move(mailbox_in)),
        smart_hosts(*shared.directory, shared.clock, config.delivery().smtp_port()),
        router(RouterOptions(config, smart_hosts), std::move(routes), *shared.resolver,
               shared.clock),
        sts(*shared.resolver, *shared.sts_store, *shared.sts_fetcher, shared.clock),
        tls(TlsPolicyOptionsOf(config.delivery(), sts, shared.observer()), *shared.resolver),
        gate(WithRandom(std::move(traffic)), loop, *shared.traffic, shared.clock),
        pool(PoolOptionsOf(config.delivery()),
             ConnectionOptionsOf(config, shared.tls.get(), shared.verified_tls.get(),
                                 shared.observer()), loop,
             shared.connector, shared.clock),
        remote(RemoteOptionsOf(config.delivery(), tls), router, pool, *shared.queue, shared.clock,
               &gate),
        local(*mailbox, *shared.directory, *shared.queue, shared.clock),
        bounces(config.hostname(), *shared.directory, *shared.queue, shared.clock),
        runner(remote, local, bounces),
        worker(WorkerOptionsOf(config.delivery(), shared.clock), loop, *shared.queue, runner,
               shared.clock) {}

  // Runs `fn` on the loop and waits for it.
  template <typename T>
  T Call(T (*fn)(Lane&)) {
    std::promise<T> promise;
    loop.Post([this, fn, &promise] { promise.set_value(fn(*this)); });
    return promise.get_future().get();
  }

  Executor& loop;
  std::unique_ptr<MailboxPort> mailbox;
  SmartHosts smart_hosts;
  MailRouter router;
  StsPolicies sts;
  TlsPolicies tls;
  TrafficGate gate;
  ConnectionPool pool;
  RemoteDelivery remote;
  LocalDelivery local;
  Bounces bounces;
  DeliveryJobRunner runner;
  Worker worker;
};

}  // namespace

struct DeliveryServer::Impl {
  explicit Impl(int threads) : loops(threads) {}

  bool WaitIdle(absl::Duration limit) {
    const absl::Time until = absl::Now() + limit;
    for (;;) {
      const bool idle = std::all_of(lanes.begin(), lanes.end(), [](auto& lane) {
        return lane->template Call<bool>([](Lane& l) { return l.worker.idle() && l.gate.idle(); });
      });
      if (idle) return true;
      if (absl::Now() >= until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  // After the lanes, so that what they counted last is among it. Without a word from the queue it is
  // lost.
  void DrainReporter() {
    if (reporter == nullptr) return;
    lanes.front()->loop.Post([this] { reporter->Drain(); });
    WaitReporterIdle(kCountsWait);
  }
  bool WaitReporterIdle(absl::Duration limit) {
    if (reporter == nullptr) return true;
    const absl::Time until = absl::Now() + limit;
    for (;;) {
      std::promise<bool> promise;
      lanes.front()->loop.Post([this, &promise] { promise.set_value(reporter->idle()); });
      if (promise.get_future().get()) return true;
      if (absl::Now() >= until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  Shared shared;
  net::LoopPool loops;
  std::vector<std::unique_ptr<Lane>> lanes;  // destroyed before the loops
  std::unique_ptr<TlsReporter> reporter;     // on the first lane's loop; nullptr: no reports
};

DeliveryServer::DeliveryServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DeliveryServer::~DeliveryServer() { Stop(); }

absl::StatusOr<std::unique_ptr<DeliveryServer>> DeliveryServer::Start(
    const config::v1::Config& config, std::shared_ptr<grpc::Channel> queue,
    std::shared_ptr<grpc::Channel> mailbox, std::string service_token) {
  absl::StatusOr<RouteTable> routes = RoutesOf(config.delivery());
  if (!routes.ok()) return routes.status();
  const absl::StatusOr<TrafficSettings> traffic = TrafficSettingsOf(config.delivery());
  if (!traffic.ok()) return traffic.status();

  dns::UnboundOptions dns_options;
  dns_options.address = config.dns().address();
  dns_options.port = config.dns().port();
  dns_options.cache = config.dns().cache() != "off";
  dns_options.timeout = absl::Seconds(config.dns().timeout_seconds());
  dns_options.trust_anchor_file = config.delivery().dnssec_trust_anchor_file();
  if (!dns_options.trust_anchor_file.empty() &&
      access(dns_options.trust_anchor_file.c_str(), R_OK) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("delivery.dnssec_trust_anchor_file: cannot read ",
                                                   dns_options.trust_anchor_file));
  }
  absl::StatusOr<std::unique_ptr<dns::UnboundResolver>> resolver =
      dns::UnboundResolver::Create(dns_options);
  if (!resolver.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("dns: ", resolver.status().message()));
  }
  absl::StatusOr<std::unique_ptr<net::TlsContext>> tls = net::TlsContext::Client("");
  if (!tls.ok()) return tls.status();
  std::unique_ptr<net::TlsContext> verified_tls;
  const std::string& authorities = config.delivery().tls_ca_file();
  if (authorities == kUsualAuthorities && access(kUsualAuthorities, F_OK) != 0) {
    log::Warn("delivery", "no authorities, mail that needs a certificate waits or comes back",
              {{"delivery.tls_ca_file", authorities}});
  } else if (!authorities.empty()) {
    absl::StatusOr<std::unique_ptr<net::TlsContext>> verified =
        net::TlsContext::Client(authorities);
    if (!verified.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("delivery.tls_ca_file: ", verified.status().message()));
    }
    verified_tls = *std::move(verified);
  }

  const absl::Duration deadline = absl::Seconds(config.rpc().deadline_seconds());
  auto impl = std::make_unique<Impl>(config.delivery().threads());
  impl->shared.tls = *std::move(tls);
  impl->shared.verified_tls = std::move(verified_tls);
  impl->shared.resolver = *std::move(resolver);
  HttpsOptions https;
  https.ca_file = config.delivery().tls_ca_file();
  impl->shared.https = MakeHttpsClient(std::move(https), *impl->shared.resolver);
  impl->shared.sts_fetcher =
      MakeStsFetcher(*impl->shared.https, config.delivery().mta_sts_port());
  absl::StatusOr<TlsReporterOptions> reports = TlsReporterOptions();
  const bool wants_reports = !config.delivery().tls_reports().from().empty();
  if (wants_reports) {
    reports = ReporterOptionsOf(config);
    if (!reports.ok()) return reports.status();
    impl->shared.tls_counts =
        std::make_unique<TlsCounts>(impl->shared.tls_metrics, impl->shared.clock);
    impl->shared.tls_reports = MakeTlsReportClient(queue, service_token, deadline);
  }
  impl->shared.sts_store = MakeTransportClient(queue, service_token, deadline);
  impl->shared.traffic = MakeTrafficClient(queue, service_token, deadline);
  impl->shared.queue = MakeQueueClient(std::move(queue), service_token, deadline);
  impl->shared.directory = MakeDirectoryClient(mailbox, service_token, deadline);
  for (std::size_t i = 0; i < impl->loops.size(); ++i) {
    net::EventLoop& loop = impl->loops.at(i);
    impl->lanes.push_back(
        std::make_unique<Lane>(config, *routes, *traffic, impl->shared, loop,
                               MakeMailboxClient(mailbox, service_token, deadline, loop)));
    Lane& lane = *impl->lanes.back();
    loop.Post([&lane] { lane.worker.Start(); });
  }
  if (wants_reports) {
    Executor& loop = impl->lanes.front()->loop;
    impl->reporter = std::make_unique<TlsReporter>(
        *std::move(reports), loop, *impl->shared.tls_counts, *impl->shared.tls_reports,
        *impl->shared.resolver, *impl->shared.https, *impl->shared.queue, *impl->shared.directory,
        impl->shared.clock);
    loop.Post([reporter = impl->reporter.get()] { reporter->Start(); });
  }
  Metrics();  // so that the counters are there from the start, at zero
  log::Info("delivery", "started",
            {{"threads", config.delivery().threads()},
             {"concurrency", config.delivery().concurrency()}});
  return std::unique_ptr<DeliveryServer>(new DeliveryServer(std::move(impl)));
}

void DeliveryServer::Drain(absl::Duration grace) {
  if (impl_ == nullptr) return;
  for (const std::unique_ptr<Lane>& lane : impl_->lanes) {
    lane->Call<bool>([](Lane& l) {
      l.worker.Drain();
      return true;
    });
  }
  impl_->WaitIdle(grace);
  impl_->DrainReporter();
}

void DeliveryServer::Stop() {
  if (impl_ == nullptr) return;
  Drain(absl::ZeroDuration());
  for (const std::unique_ptr<Lane>& lane : impl_->lanes) {
    lane->Call<bool>([](Lane& l) {
      l.gate.Close();
      l.pool.CloseAll();
      return true;
    });
  }
  const bool idle = impl_->WaitIdle(kStopWait) && impl_->WaitReporterIdle(kStopWait);
  impl_->loops.Stop();
  if (!idle) {
    // Calls are still under way whose callbacks will look for their loop: it has to stay.
    log::Warn("delivery", "stopped with jobs under way");
    static_cast<void>(impl_.release());
  }
  impl_.reset();
}

}  // namespace posthorn::delivery
