#include "lib/telemetry/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::telemetry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kRequestTimeout{10};
constexpr std::uint64_t kMaxBodyOctets = 1024;
constexpr int kMaxConnections = 100;

using Response = http::response<http::string_body>;

Response Answer(const http::request<http::string_body>& request,
                const HttpServer::ReadyCheck& ready) {
  Response response;
  response.version(request.version());
  response.keep_alive(request.keep_alive());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  const beast::string_view target = request.target().substr(0, request.target().find('?'));
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
    response.body() = "only GET\n";
  } else if (target == "/healthz") {
    response.body() = "ok\n";
  } else if (target == "/readyz") {
    const absl::Status status = ready();
    if (status.ok()) {
      response.body() = "ready\n";
    } else {
      response.result(http::status::service_unavailable);
      response.body() = absl::StrCat(status.message(), "\n");
    }
  } else if (target == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = metrics::Render();
  } else {
    response.result(http::status::not_found);
    response.body() = "try /healthz, /readyz or /metrics\n";
  }
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();
  return response;
}

// One connection; keeps itself alive through its pending operation.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpServer::ReadyCheck& ready, int& open)
      : stream_(std::move(socket)), ready_(ready), open_(open) {
    ++open_;
  }
  ~Session() { --open_; }

  void Read() {
    parser_.emplace();
    parser_->body_limit(kMaxBodyOctets);
    stream_.expires_after(kRequestTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const error_code& error, std::size_t) {
                       if (!error) self->Write();
                     });
  }

 private:
  void Write() {
    response_ = Answer(parser_->get(), ready_);
    stream_.expires_after(kRequestTimeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->Read();
                      });
  }

  beast::tcp_stream stream_;
  const HttpServer::ReadyCheck& ready_;
  int& open_;
  beast::flat_buffer buffer_{8192};
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
};

}  // namespace

struct HttpServer::Impl {
  void Accept() {
    acceptor.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        // Most likely out of descriptors: wait instead of spinning.
        retry.expires_after(std::chrono::milliseconds(200));
        retry.async_wait([this](const error_code& cancelled) {
          if (!cancelled) Accept();
        });
        return;
      }
      if (open < kMaxConnections) {
        std::make_shared<Session>(std::move(socket), ready, open)->Read();
      }
      Accept();
    });
  }

  // Declared first, destroyed last: destroying the context destroys the sessions, which count.
  ReadyCheck ready;
  int open = 0;
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer retry{io};
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Bind(const std::string& address,
                                                             int port) {
  auto impl = std::make_shared<Impl>();
  error_code error;
  const auto ip = asio::ip::make_address(address, error);
  const tcp::endpoint endpoint(ip, static_cast<std::uint16_t>(port));
  if (!error) impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return MakeFailure(Failure::kUnavailable, absl::StrCat("cannot listen on ", address, ":", port,
                                                           ": ", error.message()));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Adopt(int fd) {
  sockaddr_storage local{};
  socklen_t size = sizeof(local);
  error_code error;
  auto impl = std::make_shared<Impl>();
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
    error = error_code(errno, boost::system::system_category());
  } else {
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC);
    impl->acceptor.assign(local.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
  }
  if (error) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("descriptor ", fd, " is no socket: ", error.message()));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void HttpServer::Serve(ReadyCheck ready) {
  impl_->ready = std::move(ready);
  impl_->Accept();
  impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

int HttpServer::port() const {
  error_code error;
  return impl_->acceptor.local_endpoint(error).port();
}

}  // namespace posthorn::telemetry
