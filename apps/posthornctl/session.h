#ifndef POSTHORN_APPS_POSTHORNCTL_SESSION_H_
#define POSTHORN_APPS_POSTHORNCTL_SESSION_H_

// Includes gRPC: only for session.cc and the actions.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apps/posthornctl/options.h"
#include "posthorn/admin/v1/admin.grpc.pb.h"

namespace posthorn::ctl {

// The administration API of one platform, and how results are shown. Calls block.
class Session {
 public:
  using Stub = admin::v1::Admin::Stub;

  // Finds the token, the target and the certification authority where the options leave them out.
  static absl::StatusOr<std::unique_ptr<Session>> Open(const Options& options);

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request,
                                absl::Duration timeout = absl::Seconds(30)) {
    grpc::ClientContext context;
    Prepare(context, timeout);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return ToStatus(status);
    return response;
  }

  // For calls that stream: the credential and a deadline; then what came of it.
  Stub& stub() { return *stub_; }
  void Prepare(grpc::ClientContext& context, absl::Duration timeout) const;
  absl::Status ToStatus(const grpc::Status& status) const;

  bool json() const { return options_.json; }
  const std::string& target() const { return target_; }

 private:
  Session(Options options, std::string target, std::string token,
          std::shared_ptr<grpc::Channel> channel);

  const Options options_;
  const std::string target_;
  const std::string token_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_SESSION_H_
