#include "lib/dns/resolver.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace posthorn::dns {
namespace {

template <typename T>
Answer<T> Typed(Answer<std::string> raw, std::optional<T> (*parse)(std::string_view)) {
  Answer<T> answer;
  answer.outcome = raw.outcome;
  answer.canonical_name = std::move(raw.canonical_name);
  answer.ttl = raw.ttl;
  answer.secure = raw.secure;
  answer.error = std::move(raw.error);
  for (const std::string& rdata : raw.records) {
    std::optional<T> record = parse(rdata);
    if (!record.has_value()) {
      answer.outcome = Outcome::kTemporary;
      answer.records.clear();
      answer.error = absl::StrCat("malformed record for ", answer.canonical_name);
      break;
    }
    answer.records.push_back(*std::move(record));
  }
  return answer;
}

}  // namespace

Task<Answer<MxRecord>> Resolver::QueryMx(std::string name) {
  Answer<std::string> raw = co_await Query(std::move(name), RecordType::kMx);
  co_return Typed<MxRecord>(std::move(raw), &ParseMx);
}

Task<Answer<std::string>> Resolver::QueryA(std::string name) {
  Answer<std::string> raw = co_await Query(std::move(name), RecordType::kA);
  co_return Typed<std::string>(std::move(raw), &ParseA);
}

Task<Answer<std::string>> Resolver::QueryAaaa(std::string name) {
  Answer<std::string> raw = co_await Query(std::move(name), RecordType::kAaaa);
  co_return Typed<std::string>(std::move(raw), &ParseAaaa);
}

Task<Answer<std::string>> Resolver::QueryTxt(std::string name) {
  Answer<std::string> raw = co_await Query(std::move(name), RecordType::kTxt);
  co_return Typed<std::string>(std::move(raw), &ParseTxt);
}

Task<Answer<TlsaRecord>> Resolver::QueryTlsa(std::string name) {
  Answer<std::string> raw = co_await Query(std::move(name), RecordType::kTlsa);
  co_return Typed<TlsaRecord>(std::move(raw), &ParseTlsa);
}

}  // namespace posthorn::dns
