#include "apps/posthornctl/mail/file_io.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace posthorn::ctl {

absl::Status FileError(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(errno)));
}

absl::StatusOr<File> OpenFile(const std::string& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode));
  if (file == nullptr) return FileError(path);
  return file;
}

absl::StatusOr<std::string> ReadPiece(std::FILE* file, const std::string& path) {
  std::string piece(kFilePiece, '\0');
  piece.resize(std::fread(piece.data(), 1, piece.size(), file));
  if (std::ferror(file) != 0) return FileError(path);
  return piece;
}

absl::Status WritePiece(std::FILE* file, const std::string& path, std::string_view piece) {
  if (std::fwrite(piece.data(), 1, piece.size(), file) != piece.size()) return FileError(path);
  return absl::OkStatus();
}

absl::Status CloseWritten(File file, const std::string& path) {
  const bool flushed = std::fflush(file.get()) == 0 && fsync(fileno(file.get())) == 0;
  if (!flushed) return FileError(path);
  return std::fclose(file.release()) == 0 ? absl::OkStatus() : FileError(path);
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    if (errno == ENOENT) return std::string();
    return FileError(path);
  }
  std::string content;
  for (;;) {
    absl::StatusOr<std::string> piece = ReadPiece(file.get(), path);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return content;
    content += *piece;
  }
}

absl::Status ReplaceFile(const std::string& path, std::string_view content) {
  const std::string next = path + ".new";
  absl::StatusOr<File> file = OpenFile(next, "wb");
  if (!file.ok()) return file.status();
  if (absl::Status s = WritePiece(file->get(), next, content); !s.ok()) return s;
  if (absl::Status s = CloseWritten(*std::move(file), next); !s.ok()) return s;
  return std::rename(next.c_str(), path.c_str()) == 0 ? absl::OkStatus() : FileError(path);
}

absl::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(path, ": ", error.message()));
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
