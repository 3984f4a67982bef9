#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_CONNECTION_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthornctl/mail/imap_wire.h"

namespace posthorn::ctl {

// A blocking connection to an IMAP server. Lines and literals that are kept have bounds; the
// literal of a message goes out in pieces. A server that is silent for five minutes is an error.
class ImapConnection {
 public:
  static absl::StatusOr<std::unique_ptr<ImapConnection>> Connect(const std::string& host,
                                                                 const std::string& port);
  ~ImapConnection();

  // Checks the server's certificate against `ca_file` (empty: the system's) and its name.
  absl::Status StartTls(const std::string& host, const std::string& ca_file);
  // `sink` takes the literal of BODY[]; without one such a literal is an error.
  absl::StatusOr<ImapResponse> Read(
      const std::function<absl::Status(std::string_view)>& sink = nullptr);
  absl::Status Write(std::string_view data);
  // Nothing may be left over from before TLS.
  bool HasInput() const { return at_ < buffer_.size(); }

 private:
  struct Tls;
  explicit ImapConnection(int socket);
  absl::Status Fill();
  absl::StatusOr<std::string> ReadLine();

  const int socket_;
  std::unique_ptr<Tls> tls_;
  std::string buffer_;
  std::size_t at_ = 0;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_IMAP_CONNECTION_H_
