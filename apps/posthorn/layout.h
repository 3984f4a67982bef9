#ifndef POSTHORN_APPS_POSTHORN_LAYOUT_H_
#define POSTHORN_APPS_POSTHORN_LAYOUT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthorn/privileges.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// Where serve keeps what, below its data directory.
struct Layout {
  explicit Layout(std::string data_dir_in) : data_dir(std::move(data_dir_in)) {}
  std::string data_dir;
  std::string runtime_dir;  // sockets; see PrepareDirectories

  std::string postgres() const { return data_dir + "/postgres"; }
  std::string redis() const { return data_dir + "/redis"; }
  std::string tls() const { return data_dir + "/tls"; }
  std::string log() const { return data_dir + "/log"; }
  std::string service_token() const { return data_dir + "/service-token"; }
  std::string process_table() const { return data_dir + "/processes"; }
  std::string lock() const { return data_dir + "/lock"; }
  std::string redis_socket() const { return runtime_dir + "/redis.sock"; }
};

// Where the sockets of a serve with this configuration are.
std::string RuntimeDirectory(const config::v1::Config& config);

// Makes the data directory and the runtime directory, for `owner` if there is one, and checks that
// the owner can use them. As whoever runs this; before privileges are dropped.
absl::StatusOr<Layout> PrepareDirectories(const config::v1::Config& config,
                                          const std::optional<User>& owner);

// Makes what is inside of the data directory. As the owner.
absl::Status PrepareContents(const Layout& layout);

// Takes the data directory for this process, as long as it lives. Returns the open lock file.
absl::StatusOr<int> LockDataDirectory(const Layout& layout, const std::optional<User>& owner);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_LAYOUT_H_
