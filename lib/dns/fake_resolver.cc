#include "lib/dns/fake_resolver.h"

namespace posthorn::dns {

void FakeResolver::Add(std::string name, RecordType type, std::string rdata) {
  names_[std::move(name)][type].push_back(std::move(rdata));
}

void FakeResolver::AddMx(std::string name, int preference, std::string host) {
  MxRecord record;
  record.preference = preference;
  record.host = std::move(host);
  Add(std::move(name), RecordType::kMx, EncodeMx(record));
}

void FakeResolver::AddA(std::string name, std::string ip) {
  Add(std::move(name), RecordType::kA, EncodeA(ip));
}

void FakeResolver::AddAaaa(std::string name, std::string ip) {
  Add(std::move(name), RecordType::kAaaa, EncodeAaaa(ip));
}

void FakeResolver::AddTxt(std::string name, std::string text) {
  Add(std::move(name), RecordType::kTxt, EncodeTxt(text));
}

void FakeResolver::AddTlsa(std::string name, TlsaRecord record) {
  Add(std::move(name), RecordType::kTlsa, EncodeTlsa(record));
}

void FakeResolver::AddCname(std::string name, std::string target) {
  cnames_[std::move(name)] = std::move(target);
}

void FakeResolver::Break(std::string name) { broken_[std::move(name)] = true; }
void FakeResolver::Repair(const std::string& name) { broken_.erase(name); }

Task<Answer<std::string>> FakeResolver::Query(std::string name, RecordType type) {
  ++queries_;
  Answer<std::string> answer;
  answer.ttl = ttl_;
  answer.secure = secure_ && !name.ends_with(unsigned_);
  for (int hops = 0; hops < 8 && cnames_.contains(name); ++hops) name = cnames_[name];
  answer.canonical_name = name;
  if (broken_.contains(name)) {
    answer.outcome = Outcome::kTemporary;
    answer.error = "broken by the test";
    co_return answer;
  }
  const auto it = names_.find(name);
  if (it == names_.end()) {
    answer.outcome = Outcome::kNoSuchName;
    co_return answer;
  }
  answer.records = it->second[type];
  answer.outcome = answer.records.empty() ? Outcome::kNoData : Outcome::kAnswer;
  co_return answer;
}

}  // namespace posthorn::dns
