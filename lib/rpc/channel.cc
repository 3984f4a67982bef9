#include "lib/rpc/channel.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "lib/rpc/in_process.h"
#include "lib/rpc/tls_files.h"

namespace posthorn::rpc {

std::shared_ptr<grpc::Channel> Connect(const std::string& target, const TlsFiles& tls,
                                       const std::string& server_name) {
  internal::KeepCallbackThreads();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageOctets);
  arguments.SetMaxSendMessageSize(kMaxMessageOctets);
  arguments.SetLoadBalancingPolicyName("round_robin");
  // A peer that vanished without a word is noticed within half a minute, also between calls.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A service that was killed is back within a second or two; don't wait longer for it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2'000);

  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!tls.empty()) {
    grpc::experimental::TlsChannelCredentialsOptions options;
    if (auto provider = internal::WatchFiles(tls)) {
      options.set_certificate_provider(provider);
      if (!tls.ca_file.empty()) options.watch_root_certs();
      if (!tls.certificate_file.empty()) options.watch_identity_key_cert_pairs();
    }
    if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
    credentials = grpc::experimental::TlsCredentials(options);
  }
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

bool IsConnected(grpc::Channel& channel) {
  return internal::IsInProcess(channel) ||
         channel.GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY;
}

}  // namespace posthorn::rpc
