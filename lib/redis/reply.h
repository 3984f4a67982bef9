#ifndef POSTHORN_LIB_REDIS_REPLY_H_
#define POSTHORN_LIB_REDIS_REPLY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::redis {

// One RESP2 value. An error of the server inside an array stays an element; an error as the whole
// answer to a command is turned into a status by the client.
struct Reply {
  enum class Type { kNil, kInteger, kString, kStatus, kError, kArray };

  Type type = Type::kNil;
  std::int64_t integer = 0;     // kInteger
  std::string text;             // kString, kStatus, kError
  std::vector<Reply> elements;  // kArray

  bool is_nil() const { return type == Type::kNil; }
  bool is_error() const { return type == Type::kError; }
};

// The command in RESP, ready to be sent. `args` is not empty.
std::string FormatCommand(const std::vector<std::string>& args);
// The same, appended to `out`, so that a pipeline is one write.
void AppendCommand(const std::vector<std::string>& args, std::string& out);

// Takes bytes as they come and gives whole replies. Knows no socket. After an error the connection
// cannot be used any more.
class ReplyParser {
 public:
  ReplyParser();
  ~ReplyParser();
  ReplyParser(const ReplyParser&) = delete;
  ReplyParser& operator=(const ReplyParser&) = delete;

  absl::Status Feed(std::string_view bytes);
  // The next whole reply; nullopt: more bytes are needed.
  absl::StatusOr<std::optional<Reply>> Next();

 private:
  struct Reader;
  std::unique_ptr<Reader> reader_;
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_REPLY_H_
