#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_FILE_IO_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_FILE_IO_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Files with errors that name them.
namespace posthorn::ctl {

inline constexpr std::size_t kFilePiece = 128 * 1024;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

absl::Status FileError(const std::string& path);
absl::StatusOr<File> OpenFile(const std::string& path, const char* mode);
// The next octets, at most kFilePiece; empty: the end.
absl::StatusOr<std::string> ReadPiece(std::FILE* file, const std::string& path);
absl::Status WritePiece(std::FILE* file, const std::string& path, std::string_view piece);
absl::Status CloseWritten(File file, const std::string& path);
// Empty if there is no such file.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);
// In place of what was there, at once.
absl::Status ReplaceFile(const std::string& path, std::string_view content);
absl::Status MakeDirectories(const std::string& path);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_FILE_IO_H_
