#ifndef POSTHORN_APPS_POSTHORN_FILES_H_
#define POSTHORN_APPS_POSTHORN_FILES_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Small file operations of the process' own state. Errors are one line that names the path.
namespace posthorn::app {

absl::Status ErrnoError(const std::string& what);

absl::StatusOr<std::string> ReadFile(const std::string& path);
// All of an open descriptor, from its start.
absl::StatusOr<std::string> ReadDescriptor(int fd);
// Replaces the file in one step: a crash leaves the old or the new content, never a part.
absl::Status WriteFile(const std::string& path, std::string_view content, mode_t mode);
// mkdir -p; only the last directory gets `mode` and only if it is made.
absl::Status MakeDirectories(const std::string& path, mode_t mode);
bool Exists(const std::string& path);
// Removes a directory with what is in it. Missing is fine.
absl::Status RemoveTree(const std::string& path);
// Against the current directory.
std::string AbsolutePath(const std::string& path);

// The first line of a file that holds a token (at least 16 characters). The file must not be
// readable by others.
absl::StatusOr<std::string> ReadToken(const std::string& path);
// The same; without the file it is written first: 32 random bytes in URL-safe Base64, mode 0600.
absl::StatusOr<std::string> ReadOrCreateToken(const std::string& path);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_FILES_H_
