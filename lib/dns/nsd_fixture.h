#ifndef POSTHORN_LIB_DNS_NSD_FIXTURE_H_
#define POSTHORN_LIB_DNS_NSD_FIXTURE_H_

#include <memory>
#include <string>

namespace posthorn::dns {

// A real authoritative name server (nsd) on a free loopback port, for tests: serves one zone from
// the text given, in a directory of its own; the destructor stops exactly that process.
class NsdFixture {
 public:
  // `records` are lines of a master file below a SOA and NS that the fixture adds. Ends the test
  // process with a message when nsd can't be started.
  NsdFixture(std::string zone, std::string records);
  ~NsdFixture();
  NsdFixture(const NsdFixture&) = delete;
  NsdFixture& operator=(const NsdFixture&) = delete;

  int port() const { return port_; }
  void Stop();
  void Start();                       // again, on the same port
  void SetRecords(std::string records);  // restarts

 private:
  // One try; false: nsd ended at once.
  bool Run();
  void WriteZone();

  std::string zone_;
  std::string records_;
  std::string directory_;
  int port_ = 0;
  int pid_ = -1;
};

}  // namespace posthorn::dns

#endif  // POSTHORN_LIB_DNS_NSD_FIXTURE_H_
