#ifndef POSTHORN_SERVICES_DELIVERY_PORTS_H_
#define POSTHORN_SERVICES_DELIVERY_PORTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "services/delivery/types.h"

// What the delivery service needs of others, as narrow interfaces. clients/ has the real ones over
// gRPC. All may be called from any executor and resume there; they outlive the tasks they return.
namespace posthorn::delivery {

// A body in pieces of bounded size. Destroying it ends the transfer.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next piece; empty: the end.
  virtual Task<absl::StatusOr<std::string>> Next() = 0;
};

struct LeasedJobs {
  std::vector<Job> jobs;
  absl::Duration lease = absl::Seconds(60);
};

class QueuePort {
 public:
  virtual ~QueuePort() = default;
  // Waits up to `wait` for the first job.
  virtual Task<absl::StatusOr<LeasedJobs>> Lease(std::string worker_id, int max_jobs,
                                                 absl::Duration wait) = 0;
  // The ids of those that are no longer the worker's.
  virtual Task<absl::StatusOr<std::vector<JobId>>> Heartbeat(std::string worker_id,
                                                             std::vector<LeaseKey> jobs) = 0;
  // Committed when it returns. `reports` stays the caller's until then.
  virtual Task<absl::Status> Report(std::string worker_id,
                                    const std::vector<JobReport>& reports) = 0;
  // Copies a body into the spool, piece by piece, for a message that refers to it.
  virtual Task<absl::StatusOr<BodyRef>> PutBody(TenantId tenant, BodyReader& body) = 0;
  // `length` octets from the front; 0: all.
  virtual std::unique_ptr<BodyReader> ReadBody(TenantId tenant, const BodyRef& body,
                                               std::uint64_t length) = 0;
  // Committed when it returns OK; a message with an id that is known already is OK too.
  virtual Task<absl::Status> Enqueue(OutboundMessage message) = 0;
};

struct ResolvedTarget {
  AccountId account;           // or
  std::string remote_address;  // an alias that leaves the platform, or
  std::string list_address;
  std::string address;         // where the alias chain ended, with its tag
};
struct Resolution {
  enum class Kind { kLocal, kNoSuchRecipient, kRemote, kRefused };
  Kind kind = Kind::kRemote;
  TenantId tenant;
  std::vector<ResolvedTarget> targets;
  absl::Status refusal;  // of kRefused: the account or domain is suspended
};

// Whom a list reaches: accounts of its tenant, and remote addresses.
struct ListExpansion {
  TenantId tenant;
  std::string address;  // of the list
  std::string bounces;  // the reverse-path of what it sends
  std::vector<ResolvedTarget> targets;
};

// Where the mail of a domain leaves.
struct SmartHostSettings {
  std::vector<std::string> hosts;  // "host:port" and so on, in the order to try; none: by MX
  std::string username;            // empty: without a login
  std::string password;
  std::string tls;  // "required", ...; empty: as usual
};

class DirectoryPort {
 public:
  virtual ~DirectoryPort() = default;
  virtual Task<absl::StatusOr<Resolution>> Resolve(std::string address) = 0;
  // The domain's, else its tenant's, else none.
  virtual Task<absl::StatusOr<SmartHostSettings>> FindSmartHosts(TenantId tenant,
                                                                 std::string domain) = 0;
  // May a message from `sender`, who has proven nothing, go to the list? kPostNotAllowed, kNotFound.
  virtual Task<absl::Status> AuthorizePost(std::string list, std::string sender) = 0;
  // kNotFound: no such list any more.
  virtual Task<absl::StatusOr<ListExpansion>> ExpandList(std::string list) = 0;
};

struct MailboxRecipient {
  AccountId account;
  std::string address;
  std::string prefix;
};
struct MailboxDelivery {
  TenantId tenant;
  MessageId message_id;
  std::string reverse_path;
  std::vector<MailboxRecipient> recipients;
  std::string inline_body;
  std::optional<BodyRef> stored_body;
  absl::Time received_at;
  std::string resend_key;  // empty: no resend detection
};

class MailboxPort {
 public:
  virtual ~MailboxPort() = default;
  // A status for each recipient, in order: OK is stored, also when it was stored before.
  virtual Task<absl::StatusOr<std::vector<absl::Status>>> Deliver(MailboxDelivery delivery) = 0;
  // Copies a body into the tenant's store, piece by piece.
  virtual Task<absl::StatusOr<BodyRef>> PutBody(TenantId tenant, BodyReader& body) = 0;
};

// Opens TCP connections, and for an `ip` that is a path those to unix sockets; lib/net's in what runs,
// memory streams in unit tests. `source_ip`: where from; empty: the system chooses.
// FAILED_PRECONDITION: this machine does not have it.
class Connector {
 public:
  virtual ~Connector() = default;
  virtual Task<absl::StatusOr<std::unique_ptr<net::Stream>>> Connect(std::string ip, int port,
                                                                     std::string source_ip,
                                                                     absl::Duration timeout) = 0;
};

// Whether this worker still holds a job's lease firmly enough to end a message: after the final
// dot the peer owns it.
class LeaseView {
 public:
  virtual ~LeaseView() = default;
  // Confirmed within half its length.
  virtual bool MaySendFinalDot() const = 0;
  // The queue has said that it is another's now.
  virtual bool Lost() const = 0;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_PORTS_H_
