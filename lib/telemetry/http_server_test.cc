#include "lib/telemetry/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "lib/base/failure.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) reply.append(buffer, n);
  close(fd);
  return reply;
}

TEST(HttpServerTest, AnswersHealthReadinessAndMetrics) {
  auto server = HttpServer::Bind("127.0.0.1", 0);
  ASSERT_TRUE(server.ok()) << server.status();
  std::atomic<bool> ready{false};
  (*server)->Serve([&ready] {
    return ready ? absl::OkStatus() : MakeFailure(Failure::kStorageDown, "no database");
  });
  const int port = (*server)->port();
  EXPECT_THAT(Get(port, "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get(port, "/readyz"), HasSubstr("no database"));
  ready = true;
  EXPECT_THAT(Get(port, "/readyz"), StartsWith("HTTP/1.1 200"));
  metrics::MakeCounter("posthorn_http_test_total", "Help.").Increment();
  EXPECT_THAT(Get(port, "/metrics"), HasSubstr("posthorn_http_test_total 1"));
  EXPECT_THAT(Get(port, "/nothing"), StartsWith("HTTP/1.1 404"));
}

TEST(HttpServerTest, ATakenPortIsAnErrorThatNamesIt) {
  auto first = HttpServer::Bind("127.0.0.1", 0);
  ASSERT_TRUE(first.ok());
  auto second = HttpServer::Bind("127.0.0.1", (*first)->port());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("127.0.0.1:" + std::to_string((*first)->port())));
}

}  // namespace
}  // namespace posthorn::telemetry
