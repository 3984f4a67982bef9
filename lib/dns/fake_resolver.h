#ifndef POSTHORN_LIB_DNS_FAKE_RESOLVER_H_
#define POSTHORN_LIB_DNS_FAKE_RESOLVER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/dns/resolver.h"

namespace posthorn::dns {

// For unit tests: answers from what the test has put in. A name with any record exists, so other
// types are kNoData; every other name is kNoSuchName. One thread.
class FakeResolver final : public Resolver {
 public:
  void AddMx(std::string name, int preference, std::string host);
  void AddA(std::string name, std::string ip);
  void AddAaaa(std::string name, std::string ip);
  void AddTxt(std::string name, std::string text);
  void AddTlsa(std::string name, TlsaRecord record);
  // Answers are secure from now on, but those for names that end in `domain`.
  void Secure() { secure_ = true; }
  void Unsign(std::string domain) { unsigned_ = std::move(domain); }
  void AddCname(std::string name, std::string target);
  // From now on all questions for `name` end in kTemporary; Repair ends that.
  void Break(std::string name);
  void Repair(const std::string& name);
  void set_ttl(absl::Duration ttl) { ttl_ = ttl; }
  int queries() const { return queries_; }

  Task<Answer<std::string>> Query(std::string name, RecordType type) override;

 private:
  void Add(std::string name, RecordType type, std::string rdata);

  std::map<std::string, std::map<RecordType, std::vector<std::string>>> names_;
  std::map<std::string, std::string> cnames_;
  std::map<std::string, bool> broken_;
  absl::Duration ttl_ = absl::Seconds(300);
  int queries_ = 0;
  bool secure_ = false;
  std::string unsigned_ = "-";
};

}  // namespace posthorn::dns

#endif  // POSTHORN_LIB_DNS_FAKE_RESOLVER_H_
