#ifndef POSTHORN_LIB_RPC_CHANNEL_H_
#define POSTHORN_LIB_RPC_CHANNEL_H_

#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace posthorn::rpc {

// No gRPC message is larger, on any channel or server.
inline constexpr int kMaxMessageOctets = 64 * 1024 * 1024;

// PEM files.
struct TlsFiles {
  std::string certificate_file;  // together with key_file
  std::string key_file;
  std::string ca_file;

  bool empty() const { return certificate_file.empty() && key_file.empty() && ca_file.empty(); }
};

// A channel to "host:port", "dns:///name:port" or "unix:/path". Connects when first used and again
// whenever it breaks; calls fail at once while nobody answers there. Spreads calls over all
// addresses of the name. `tls.ca_file`: the server is verified against it; `server_name`, if not
// empty, is the name its certificate must have instead of the target's.
std::shared_ptr<grpc::Channel> Connect(const std::string& target, const TlsFiles& tls,
                                       const std::string& server_name = {});

// Whether `channel` is connected now; starts connecting if it was idle. Does not block.
bool IsConnected(grpc::Channel& channel);

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_CHANNEL_H_
