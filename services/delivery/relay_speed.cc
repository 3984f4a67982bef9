// Messages a second from a queue in memory through the delivery service to a fast sink, all in this
// process: what delivery itself costs. Usage: delivery_relay_speed [messages] [octets]

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/ids.h"
#include "lib/telemetry/log.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/delivery/testing/fake_platform.h"
#include "services/delivery/testing/tcp_sink.h"
#include "services/delivery/wiring.h"

int main(int argc, char** argv) {
  using posthorn::delivery::DeliveryServer;
  using posthorn::delivery::FakePlatform;
  const int messages = argc > 1 ? std::atoi(argv[1]) : 20000;
  const std::size_t octets = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 4096;
  posthorn::log::Configure(posthorn::log::Level::kWarn, posthorn::log::Format::kText);
  posthorn::delivery::TcpSink sink;
  sink.sink.keep_data = false;
  FakePlatform platform;
  std::string body = "Subject: speed\r\n\r\n";
  while (body.size() < octets) body += "A line of text as it stands in a message of ordinary kind.\r\n";
  for (int i = 1; i <= messages; ++i) {
    posthorn::queue::v1::Job job;
    job.set_tenant_id(1);
    job.set_job_id(i);
    job.set_attempt(1);
    job.set_message_id(posthorn::MessageId::Generate(absl::Now()).bytes());
    job.set_destination("sink.example");
    job.set_reverse_path("sender@local.test");
    posthorn::queue::v1::JobRecipient& recipient = *job.add_recipients();
    recipient.set_recipient_id(i);
    recipient.set_address(absl::StrCat("u", i, "@sink.example"));
    job.set_prefix("Received: by us\r\n");
    job.set_inline_body(body);
    platform.Add(std::move(job));
  }
  posthorn::config::v1::Config config;
  config.set_hostname("us.example.org");
  config.mutable_dns()->set_address("127.0.0.1");
  config.mutable_dns()->set_port(53);
  config.mutable_dns()->set_cache("on");
  config.mutable_dns()->set_timeout_seconds(5);
  config.mutable_rpc()->set_deadline_seconds(10);
  posthorn::config::v1::Delivery& delivery = *config.mutable_delivery();
  delivery.set_threads(1);
  delivery.set_concurrency(64);
  delivery.set_connections_per_destination(8);
  delivery.set_idle_connection_seconds(5);
  delivery.set_smtp_port(25);
  delivery.set_connect_timeout_seconds(5);
  delivery.set_command_timeout_seconds(10);
  delivery.set_final_dot_timeout_seconds(10);
  delivery.set_starttls("opportunistic");
  delivery.set_recipients_per_transaction(100);
  posthorn::config::v1::Route& route = *delivery.add_routes();
  route.set_pattern("*");
  route.add_hosts(absl::StrCat("127.0.0.1:", sink.port()));

  const absl::Time start = absl::Now();
  auto server = DeliveryServer::Start(config, platform.channel(), platform.channel(),
                                      FakePlatform::kToken);
  if (!server.ok()) return 1;
  const bool done = platform.WaitForReports(static_cast<std::size_t>(messages), absl::Minutes(5));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  std::printf("%s: %d messages of %zu octets in %.2f s: %.0f/s, %d connections, %.0f us of CPU "
              "each (sink and fakes included)\n",
              done ? "done" : "NOT DONE", messages, octets, seconds, messages / seconds,
              sink.sink.connections(), 1e6 * cpu / messages);
  (*server)->Stop();
  return done ? 0 : 1;
}
