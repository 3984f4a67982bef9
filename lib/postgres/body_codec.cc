#include <openssl/evp.h>
#include <zstd.h>

#include <memory>

#include "lib/postgres/body_store.h"

namespace posthorn::postgres {
namespace {

// Fast rather than small: a delivery pays for it, and mail compresses well at any level.
constexpr int kLevel = 1;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

EVP_MD_CTX* Context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

std::string Compress(std::string_view data) {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  std::string frame(ZSTD_compressBound(data.size()), '\0');
  const std::size_t size = ZSTD_compressCCtx(context.get(), frame.data(), frame.size(), data.data(),
                                             data.size(), kLevel);
  frame.resize(ZSTD_isError(size) ? 0 : size);
  return frame;
}

absl::StatusOr<std::string> Decompress(std::string_view frame, std::size_t max_size) {
  std::string data;
  absl::Status status = DecompressTo(frame, max_size, data);
  if (!status.ok()) return status;
  return data;
}

absl::Status DecompressTo(std::string_view frame, std::size_t max_size, std::string& out) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > max_size) {
    return absl::DataLossError("damaged body");
  }
  const std::size_t before = out.size();
  out.resize(before + size);
  const std::size_t got =
      ZSTD_decompressDCtx(context.get(), out.data() + before, size, frame.data(), frame.size());
  if (ZSTD_isError(got) || got != size) return absl::DataLossError("damaged body");
  return absl::OkStatus();
}

std::string Sha256(std::string_view data) {
  Sha256Stream stream;
  stream.Update(data);
  return stream.Finish();
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  // Fetching the algorithm by name each time costs more than hashing a short message.
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_DigestInit_ex(Context(context_), kSha256, nullptr);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(Context(context_)); }

void Sha256Stream::Update(std::string_view data) {
  EVP_DigestUpdate(Context(context_), data.data(), data.size());
}

std::string Sha256Stream::Finish() {
  std::string digest(32, '\0');
  EVP_DigestFinal_ex(Context(context_), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

}  // namespace posthorn::postgres
