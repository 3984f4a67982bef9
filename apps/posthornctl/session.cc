#include "apps/posthornctl/session.h"

#include <stdlib.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "apps/posthorn/files.h"
#include "lib/rpc/channel.h"

namespace posthorn::ctl {
namespace {

constexpr char kDefaultTarget[] = "127.0.0.1:2900";
constexpr char kDefaultDataDir[] = "/var/lib/posthorn";

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// The data directory of the serve that is meant: named, or where scripts/up and the package put it.
std::string FindDataDirectory(const Options& options) {
  if (!options.data_dir.empty()) return options.data_dir;
  const std::string named = Environment("POSTHORN_DATA_DIR");
  if (!named.empty()) return named;
  std::vector<std::string> candidates = {"var"};
  // A build tree: build/release/apps/posthornctl/posthornctl has var/ four levels up.
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self));
  if (length > 0) {
    std::string directory(self, static_cast<std::size_t>(length));
    for (int i = 0; i < 5; ++i) directory.resize(directory.rfind('/') == std::string::npos ? 0 : directory.rfind('/'));
    candidates.push_back(directory + "/var");
  }
  for (const std::string& candidate : candidates) {
    if (app::Exists(candidate + "/admin-token")) return candidate;
  }
  return kDefaultDataDir;
}

struct Endpoint {
  std::string target;
  bool plaintext;
};

// What serve wrote about its API when it started; the default if it never did.
Endpoint ReadEndpoint(const std::string& data_dir) {
  const absl::StatusOr<std::string> content = app::ReadFile(data_dir + "/api");
  const std::vector<std::string> words =
      absl::StrSplit(content.value_or(""), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  if (words.size() != 2) return {kDefaultTarget, false};
  return {words[0], words[1] == "plaintext"};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const Options& options) {
  const std::string data_dir = FindDataDirectory(options);
  const bool found = options.target.empty();
  const Endpoint endpoint = ReadEndpoint(data_dir);
  const std::string target = found ? endpoint.target : options.target;
  const bool plaintext = options.plaintext || (found && endpoint.plaintext);

  std::string token_file = options.token_file;
  if (token_file.empty()) token_file = Environment("POSTHORN_TOKEN_FILE");
  if (token_file.empty()) token_file = data_dir + "/admin-token";
  absl::StatusOr<std::string> token = app::ReadToken(token_file);
  if (!token.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no administrator token: ", std::string(token.status().message()),
                     " (name it with --token-file or POSTHORN_TOKEN_FILE)"));
  }
  rpc::TlsFiles tls;
  if (!plaintext) {
    tls.ca_file = options.ca_file.empty() ? data_dir + "/tls/ca.pem" : options.ca_file;
    if (!app::Exists(tls.ca_file)) {
      if (!options.ca_file.empty()) {
        return absl::NotFoundError(absl::StrCat(tls.ca_file, ": no such file"));
      }
      tls.ca_file = "/etc/ssl/certs/ca-certificates.crt";
    }
  }
  return std::unique_ptr<Session>(new Session(
      options, target, *token, rpc::Connect(target, tls, options.server_name)));
}

Session::Session(Options options, std::string target, std::string token,
                 std::shared_ptr<grpc::Channel> channel)
    : options_(std::move(options)),
      target_(std::move(target)),
      token_(std::move(token)),
      stub_(admin::v1::Admin::NewStub(channel)) {}

void Session::Prepare(grpc::ClientContext& context, absl::Duration timeout) const {
  context.AddMetadata("authorization", "Bearer " + token_);
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

absl::Status Session::ToStatus(const grpc::Status& status) const {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    return absl::UnavailableError(
        absl::StrCat("nobody answers at ", target_, ": ", status.error_message()));
  }
  return absl::Status(code, status.error_message());
}

}  // namespace posthorn::ctl
