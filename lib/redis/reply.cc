#include "lib/redis/reply.h"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace posthorn::redis {
namespace {

// Recursion is bounded: hiredis refuses more than 7 levels.
Reply Convert(const redisReply& from) {
  Reply to;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      to.type = Reply::Type::kInteger;
      to.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
      to.type = Reply::Type::kString;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_STATUS:
      to.type = Reply::Type::kStatus;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ERROR:
      to.type = Reply::Type::kError;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ARRAY:
      to.type = Reply::Type::kArray;
      to.elements.reserve(from.elements);
      for (std::size_t i = 0; i < from.elements; ++i) {
        to.elements.push_back(Convert(*from.element[i]));
      }
      break;
    default:
      break;  // nil
  }
  return to;
}

}  // namespace

void AppendCommand(const std::vector<std::string>& args, std::string& out) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> lengths;
  pointers.reserve(args.size());
  lengths.reserve(args.size());
  for (const std::string& arg : args) {
    pointers.push_back(arg.data());
    lengths.push_back(arg.size());
  }
  char* wire = nullptr;
  const int length = redisFormatCommandArgv(&wire, static_cast<int>(args.size()), pointers.data(),
                                            lengths.data());
  if (length < 0) throw std::bad_alloc();  // the only failure the formatter has
  out.append(wire, static_cast<std::size_t>(length));
  redisFreeCommand(wire);
}

std::string FormatCommand(const std::vector<std::string>& args) {
  std::string out;
  AppendCommand(args, out);
  return out;
}

struct ReplyParser::Reader {
  Reader() : reader(redisReaderCreate()) {
    if (reader == nullptr) throw std::bad_alloc();
  }
  ~Reader() { redisReaderFree(reader); }
  redisReader* reader;
};

ReplyParser::ReplyParser() : reader_(std::make_unique<Reader>()) {}
ReplyParser::~ReplyParser() = default;

absl::Status ReplyParser::Feed(std::string_view bytes) {
  if (redisReaderFeed(reader_->reader, bytes.data(), bytes.size()) != REDIS_OK) {
    return absl::UnavailableError(absl::StrCat("Redis protocol: ", reader_->reader->errstr));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Reply>> ReplyParser::Next() {
  void* raw = nullptr;
  if (redisReaderGetReply(reader_->reader, &raw) != REDIS_OK) {
    return absl::UnavailableError(absl::StrCat("Redis protocol: ", reader_->reader->errstr));
  }
  if (raw == nullptr) return std::optional<Reply>();
  Reply reply = Convert(*static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  return std::optional<Reply>(std::move(reply));
}

}  // namespace posthorn::redis
