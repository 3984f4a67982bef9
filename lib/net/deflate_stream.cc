#include "lib/net/deflate_stream.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthorn::net {
namespace {

constexpr std::size_t kMaxRead = 64 * 1024;
// What is compressed at once: bounds the buffer for what comes out.
constexpr std::size_t kMaxWrite = 64 * 1024;
// The peer may use the largest window; ours is smaller, and with it the state: 64 KiB.
constexpr int kInflateWindowBits = -15;
constexpr int kDeflateWindowBits = -13;
constexpr int kDeflateMemory = 6;

Bytef* Octets(const char* data) {
  // zlib's input pointer is not const, unless it was built so.
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

class DeflateStream final : public Stream {
 public:
  explicit DeflateStream(Stream& inner) : inner_(inner) {
    const bool ready = inflateInit2(&inflate_, kInflateWindowBits) == Z_OK &&
                       deflateInit2(&deflate_, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                    kDeflateWindowBits, kDeflateMemory, Z_DEFAULT_STRATEGY) == Z_OK;
    // The only way for these to fail is to find no memory.
    if (!ready) throw std::bad_alloc();
  }
  ~DeflateStream() override {
    inflateEnd(&inflate_);
    deflateEnd(&deflate_);
  }

  Task<absl::StatusOr<std::string>> ReadSome(absl::Duration timeout) override {
    for (;;) {
      if (more_) {
        absl::StatusOr<std::string> bytes = Inflate();
        if (!bytes.ok() || !bytes->empty() || ended_) co_return bytes;
      }
      absl::StatusOr<std::string> received = co_await inner_.ReadSome(timeout);
      if (!received.ok() || received->empty()) co_return received;
      input_ = *std::move(received);
      inflate_.next_in = Octets(input_.data());
      inflate_.avail_in = static_cast<uInt>(input_.size());
      more_ = true;
    }
  }

  Task<absl::Status> WriteAll(std::string bytes, absl::Duration timeout) override {
    for (std::size_t at = 0; at < bytes.size(); at += kMaxWrite) {
      std::string compressed = Deflate(std::string_view(bytes).substr(at, kMaxWrite));
      absl::Status written = co_await inner_.WriteAll(std::move(compressed), timeout);
      if (!written.ok()) co_return written;
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> StartTlsServer(const TlsContext& context, absl::Duration timeout) override {
    return inner_.StartTlsServer(context, timeout);
  }
  Task<absl::Status> StartTlsClient(const TlsContext& context, TlsPeer peer,
                                    absl::Duration timeout) override {
    return inner_.StartTlsClient(context, std::move(peer), timeout);
  }
  Task<absl::Status> AcceptProxyHeader(absl::Duration timeout) override {
    return inner_.AcceptProxyHeader(timeout);
  }
  bool HasInput() override { return more_ || inner_.HasInput(); }
  const TlsInfo& tls() const override { return inner_.tls(); }
  std::vector<TlsBinding> TlsBindings() const override { return inner_.TlsBindings(); }
  const PeerAddress& peer() const override { return inner_.peer(); }
  const PeerAddress& local() const override { return inner_.local(); }
  void Interrupt() override { inner_.Interrupt(); }
  void Close() override { inner_.Close(); }

 private:
  // What comes next, at most kMaxRead octets; empty: more input is needed, or the end.
  absl::StatusOr<std::string> Inflate() {
    if (ended_) return std::string();
    std::string out(kMaxRead, '\0');
    inflate_.next_out = Octets(out.data());
    inflate_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&inflate_, Z_SYNC_FLUSH);
    out.resize(out.size() - inflate_.avail_out);
    ended_ = result == Z_STREAM_END;
    // Without progress there is nothing wrong: all that came is used up.
    if (result != Z_OK && result != Z_BUF_ERROR && !ended_) {
      return absl::UnavailableError("the peer's compressed data are broken");
    }
    // With room left nothing is held back; else there may be more, also without further input.
    if (inflate_.avail_out > 0) {
      more_ = ended_;
      std::string().swap(input_);
    }
    out.shrink_to_fit();
    return out;
  }

  std::string Deflate(std::string_view bytes) {
    std::string out;
    deflate_.next_in = Octets(bytes.data());
    deflate_.avail_in = static_cast<uInt>(bytes.size());
    do {
      const std::size_t before = out.size();
      out.resize(before + std::max<std::size_t>(bytes.size() / 2, 256));
      deflate_.next_out = Octets(out.data() + before);
      deflate_.avail_out = static_cast<uInt>(out.size() - before);
      deflate(&deflate_, Z_SYNC_FLUSH);
      out.resize(out.size() - deflate_.avail_out);
    } while (deflate_.avail_out == 0);
    return out;
  }

  Stream& inner_;
  z_stream inflate_{};
  z_stream deflate_{};
  std::string input_;   // where inflate_ reads
  bool more_ = false;   // inflate_ may have something without another read
  bool ended_ = false;  // the peer has ended its data
};

}  // namespace

std::unique_ptr<Stream> MakeDeflateStream(Stream& inner) {
  return std::make_unique<DeflateStream>(inner);
}

}  // namespace posthorn::net
