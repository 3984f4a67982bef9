#include "lib/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace posthorn::config {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    char name[] = "/tmp/posthorn-config-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~ConfigTest() override {
    unlink(File().c_str());
    rmdir(directory_.c_str());
  }

  std::string File() const { return directory_ + "/posthorn.yaml"; }
  absl::StatusOr<v1::Config> LoadText(const std::string& text) {
    std::ofstream(File(), std::ios::binary) << text;
    Source source;
    source.file = File();
    return Load(source);
  }

  std::string directory_;
};

struct BadFile {
  std::string name;
  std::string text;
  std::string error;  // after the directory of the file
};

std::vector<BadFile> BadFiles() {
  return {
      {"UnknownSection", "hostname: a\ngatway: {}\n",
       "posthorn.yaml:2: gatway: unknown key; did you mean \"gateway\"?"},
      {"UnknownKey", "gateway:\n  api_prot: 1\n",
       "posthorn.yaml:2: gateway.api_prot: unknown key; did you mean \"api_port\"?"},
      {"UnknownKeyUnlikeAnything", "gateway:\n  colour: red\n",
       "posthorn.yaml:2: gateway.colour: unknown key"},
      {"TextForNumber", "gateway:\n  api_port: many\n",
       "posthorn.yaml:2: gateway.api_port: must be a whole number, not \"many\""},
      {"FractionForNumber", "gateway: {api_port: 1.5}\n",
       "posthorn.yaml:1: gateway.api_port: must be a whole number, not \"1.5\""},
      {"HugeNumber", "gateway:\n\n  api_port: 99999999999999999999\n",
       "posthorn.yaml:3: gateway.api_port: must be a whole number, not \"99999999999999999999\""},
      {"AboveMaximum", "gateway:\n  api_port: 65536\n",
       "posthorn.yaml:2: gateway.api_port: must be from 0 to 65535, not 65536"},
      {"BelowMinimum", "queue:\n  lease_seconds: 1\n",
       "posthorn.yaml:2: queue.lease_seconds: must be from 2 to 3600, not 1"},
      {"AboveTheTypesRange", "gateway:\n  limits:\n    recipients: 4294967296\n",
       "posthorn.yaml:3: gateway.limits.recipients: must be from 1 to 100000, not 4294967296"},
      {"BadElementOfNumberList", "queue:\n  retry_schedule_seconds: [60, 0]\n",
       "posthorn.yaml:2: queue.retry_schedule_seconds[1]: must be from 1 to 2147483647, not 0"},
      {"EmptyNumberList", "queue:\n  retry_schedule_seconds: []\n",
       "posthorn.yaml:2: queue.retry_schedule_seconds: must have at least one delay"},
      {"NumberForBool", "gateway:\n  api_tls: 1\n",
       "posthorn.yaml:2: gateway.api_tls: must be true or false, not \"1\""},
      {"ListForValue", "hostname: [a, b]\n", "posthorn.yaml:1: hostname: must be a single value"},
      {"ValueForSection", "hostname: a\ngateway: 5\n",
       "posthorn.yaml:2: gateway: must be a section with keys and values"},
      {"ListForSection", "log: [a]\n",
       "posthorn.yaml:1: log: must be a section with keys and values"},
      {"ValueForList", "gateway:\n  smtp_listeners: 25\n",
       "posthorn.yaml:2: gateway.smtp_listeners: must be a list: lines that begin with \"- \", or "
       "[a, b]"},
      {"NoValue", "hostname:\n", "posthorn.yaml:1: hostname: has no value"},
      {"GivenTwice", "hostname: a\nuser: b\nhostname: c\n",
       "posthorn.yaml:3: hostname: given twice"},
      {"NotAllowed", "log:\n  level: loud\n",
       "posthorn.yaml:2: log.level: must be one of trace, debug, info, warn, error, not \"loud\""},
      {"UnknownKeyInList", "gateway:\n  smtp_listeners:\n    - role: mx\n      prot: 25\n",
       "posthorn.yaml:4: gateway.smtp_listeners[0].prot: unknown key; did you mean \"port\"?"},
      {"UnknownRole", "gateway:\n  smtp_listeners:\n    - role: mx\n    - role: imap\n",
       "posthorn.yaml:4: gateway.smtp_listeners[1].role: must be one of mx, submission, "
       "submissions, lmtp, not \"imap\""},
      {"MissingRole", "gateway:\n  imap_listeners:\n    - port: 143\n",
       "posthorn.yaml:3: gateway.imap_listeners[0].role: must be one of imap, imaps, not \"\""},
      {"HostNameForAddress",
       "gateway:\n  pop3_listeners:\n    - {role: pop3, address: localhost}\n",
       "posthorn.yaml:3: gateway.pop3_listeners[0].address: must be an IP address, not "
       "\"localhost\""},
      {"ProxyNetworkThatIsNone",
       "gateway:\n  smtp_listeners:\n    - role: mx\n      proxy_networks: [10.0.0.0/33]\n",
       "posthorn.yaml:4: gateway.smtp_listeners[0].proxy_networks[0]: must be a network, as in "
       "10.0.0.0/8, not \"10.0.0.0/33\""},
      {"XclientNetworkThatIsNone",
       "gateway:\n  smtp_listeners:\n    - role: mx\n      xclient_networks: [\"\"]\n",
       "posthorn.yaml:4: gateway.smtp_listeners[0].xclient_networks[0]: must be a network, as in "
       "10.0.0.0/8, not \"\""},
      {"UnknownTlsPolicy",
       "gateway:\n  smtp_listeners:\n    - role: mx\n      tls: maybe\n",
       "posthorn.yaml:4: gateway.smtp_listeners[0].tls: must be one of offered, required, off, not "
       "\"maybe\""},
      {"TrustedNetworkWithoutTenant",
       "gateway:\n  smtp_listeners:\n    - role: mx\n      trusted_networks: [10.0.0.0/8]\n",
       "posthorn.yaml:4: gateway.smtp_listeners[0].trusted_networks[0]: must be network=tenant, "
       "as in 10.0.0.0/8=acme, not \"10.0.0.0/8\""},
      {"CertificateWithoutKey", "tls:\n  certificate_file: /a.pem\n",
       "posthorn.yaml:2: tls.key_file: must be set too, because tls.certificate_file is"},
      {"RetryRuleForAnAddress",
       "queue:\n  retry_rules:\n    - {destination: 'a@example.net', expiry_seconds: 60}\n",
       "posthorn.yaml:3: queue.retry_rules[0].destination: must be a domain, *.domain, local or *"},
      {"RouteWithoutPort", "delivery:\n  routes:\n    - {pattern: '*', hosts: [relay]}\n",
       "posthorn.yaml:3: delivery.routes[0].hosts[0]: must be host:port or [address]:port, perhaps after smtps:// or lmtp://, or lmtp:///path, not "
       "\"relay\""},
      {"RouteWithoutHosts", "delivery:\n  routes:\n    - pattern: '*'\n",
       "posthorn.yaml:3: delivery.routes[0].hosts: must name at least one host:port"},
      {"RedisAddress", "redis:\n  address: somewhere\n",
       "posthorn.yaml:2: redis.address: must be host:port or the path of a socket, not "
       "\"somewhere\""},
      {"BrokenYaml", "gateway:\n  smtp_listeners: [\n", "is not valid YAML"},
      {"Tab", "gateway:\n\tapi_port: 1\n", "posthorn.yaml:2: is not valid YAML"},
      {"TwoDocuments", "hostname: a\n---\nhostname: b\n", "has more than one YAML document"},
      {"Text", "hello\n", "posthorn.yaml:1: must be a section with keys and values"},
      {"MapAsKey", "{a: b}: c\n", "posthorn.yaml:1: a key must be a plain word"},
  };
}

TEST_F(ConfigTest, NamesPlaceAndKeyOfWhatIsWrongInOneLine) {
  for (const BadFile& row : BadFiles()) {
    SCOPED_TRACE(row.name);
    const absl::StatusOr<v1::Config> config = LoadText(row.text);
    ASSERT_FALSE(config.ok());
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(row.error));
    EXPECT_EQ(config.status().message().find('\n'), absl::string_view::npos);
  }
}

TEST_F(ConfigTest, NamesAMissingFile) {
  Source source;
  source.file = directory_ + "/nothing.yaml";
  const absl::StatusOr<v1::Config> config = Load(source);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().message(), absl::StrCat(source.file,
                                                    ": cannot read the configuration file: "
                                                    "No such file or directory"));
}

TEST_F(ConfigTest, NamesADirectoryGivenAsFile) {
  Source source;
  source.file = directory_;
  const absl::StatusOr<v1::Config> config = Load(source);
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("is a directory"));
}

TEST_F(ConfigTest, HasTheStandardPortsByDefault) {
  const absl::StatusOr<v1::Config> config = Load(Source());
  ASSERT_TRUE(config.ok()) << config.status();
  std::vector<int> ports;
  const v1::Gateway& gateway = config->gateway();
  for (const v1::Listener& listener : gateway.smtp_listeners()) ports.push_back(listener.port());
  for (const v1::Listener& listener : gateway.imap_listeners()) ports.push_back(listener.port());
  for (const v1::Listener& listener : gateway.pop3_listeners()) ports.push_back(listener.port());
  EXPECT_THAT(ports, ::testing::ElementsAre(25, 587, 465, 2424, 143, 993, 110, 995));
  EXPECT_EQ(gateway.smtp_listeners(0).address(), "0.0.0.0");
  EXPECT_EQ(gateway.smtp_listeners(3).address(), "127.0.0.1");
  EXPECT_EQ(gateway.api_port(), 2900);
  EXPECT_EQ(gateway.limits().message_octets(), 52428800);
  EXPECT_TRUE(gateway.api_tls());
}

TEST_F(ConfigTest, ReadsEveryKindOfValue) {
  const absl::StatusOr<v1::Config> config = LoadText(
      "hostname: mx.example.test\n"
      "log:\n"
      "gateway:\n"
      "  api_tls: false\n"
      "  staging_max_octets: 9000000000\n"
      "  smtp_listeners:\n"
      "    - role: mx\n"
      "      port: \"2525\"\n"
      "      trusted_networks: [127.0.0.0/8=demo, \"::1=demo\"]\n"
      "  pop3_listeners: []\n"
      "dns: {cache: off}\n"
      "queue:\n"
      "  retry_schedule_seconds: [1, 2]\n"
      "delivery:\n"
      "  routes:\n"
      "    - pattern: '*.example.net'\n"
      "      hosts: ['127.0.0.1:2626', '[::1]:25']\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hostname(), "mx.example.test");
  EXPECT_EQ(config->log().level(), "info");
  EXPECT_FALSE(config->gateway().api_tls());
  EXPECT_EQ(config->gateway().staging_max_octets(), 9000000000);
  ASSERT_EQ(config->gateway().smtp_listeners_size(), 1);
  EXPECT_EQ(config->gateway().smtp_listeners(0).port(), 2525);
  EXPECT_EQ(config->gateway().smtp_listeners(0).address(), "0.0.0.0");
  EXPECT_EQ(config->gateway().smtp_listeners(0).trusted_networks_size(), 2);
  EXPECT_EQ(config->gateway().imap_listeners_size(), 2);
  EXPECT_EQ(config->gateway().pop3_listeners_size(), 0);
  EXPECT_EQ(config->dns().cache(), "off");
  EXPECT_THAT(config->queue().retry_schedule_seconds(), ::testing::ElementsAre(1, 2));
  EXPECT_EQ(config->delivery().routes(0).hosts_size(), 2);
}

TEST_F(ConfigTest, LetsTheEnvironmentWinOverTheFileAndTheCommandLineOverBoth) {
  std::ofstream(File()) << "hostname: file\nuser: file\ndata_dir: /file\n";
  Source source;
  source.file = File();
  source.environment = {"POSTHORN_USER=environment", "POSTHORN_DATA_DIR=/environment", "HOME=/root"};
  source.overrides = {"data_dir=/command"};
  const absl::StatusOr<v1::Config> config = Load(source);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hostname(), "file");
  EXPECT_EQ(config->user(), "environment");
  EXPECT_EQ(config->data_dir(), "/command");
}

TEST_F(ConfigTest, ReachesIntoListsByOverrideAndEnvironment) {
  Source source;
  source.environment = {"POSTHORN_GATEWAY__SMTP_LISTENERS__0__PORT=2525",
                        "POSTHORN_GATEWAY__POP3_LISTENERS=[]"};
  source.overrides = {"gateway.imap_listeners=[{role: imap, port: 2143}]",
                      "gateway.imap_listeners[1].role=imaps",
                      "delivery.routes[0].pattern=*",
                      "delivery.routes[0].hosts[0]=127.0.0.1:2600",
                      "delivery.routes[0].hosts[1]=127.0.0.1:2601",
                      "delivery.routes[0].hosts[0]=127.0.0.1:2602",
                      "postgres.url=host=/run user='a b'"};
  const absl::StatusOr<v1::Config> config = Load(source);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->gateway().smtp_listeners(0).port(), 2525);
  EXPECT_EQ(config->gateway().smtp_listeners_size(), 4);
  EXPECT_EQ(config->gateway().pop3_listeners_size(), 0);
  ASSERT_EQ(config->gateway().imap_listeners_size(), 2);
  EXPECT_EQ(config->gateway().imap_listeners(1).address(), "0.0.0.0");
  EXPECT_THAT(config->delivery().routes(0).hosts(),
              ::testing::ElementsAre("127.0.0.1:2602", "127.0.0.1:2601"));
  EXPECT_EQ(config->postgres().url(), "host=/run user='a b'");
}

struct BadOverride {
  std::string environment;
  std::string set;
  std::string error;
};

TEST_F(ConfigTest, NamesTheOverrideThatIsWrong) {
  const std::vector<BadOverride> rows = {
      {"", "gateway.api_port", "--set gateway.api_port: write --set key=value"},
      {"", "gateway.api_prot=1", "--set: gateway.api_prot: unknown key"},
      {"", "gateway.api_port=x", "--set: gateway.api_port: must be a whole number, not \"x\""},
      {"", "gateway=1", "--set: gateway: must be a section"},
      {"", "hostname.x=1", "--set: hostname: has no keys below it"},
      {"", "hostname[0]=1", "--set: hostname: is not a list"},
      {"", "gateway.smtp_listeners.port=1", "--set: gateway.smtp_listeners: is a list"},
      {"", "gateway.smtp_listeners[9].port=1",
       "--set: gateway.smtp_listeners[9]: the list has only 4 entries"},
      {"", "gateway.smtp_listeners[x].port=1", "is not a key such as"},
      {"", "=1", "is not a key such as"},
      {"", "queue.retry_schedule_seconds=[", "is not valid YAML"},
      {"POSTHORN_GATEWAY__NOTHING=1", "",
       "environment variable POSTHORN_GATEWAY__NOTHING: gateway.nothing: unknown key"},
      {"POSTHORN_HTTP__PORT=-1", "",
       "environment variable POSTHORN_HTTP__PORT: http.port: must be from 0 to 65535, not -1"},
      {"POSTHORN_DNS__ADDRESS=dns.example", "",
       "environment variable POSTHORN_DNS__ADDRESS: dns.address: must be an IP address"},
  };
  for (const BadOverride& row : rows) {
    SCOPED_TRACE(row.environment + row.set);
    Source source;
    if (!row.environment.empty()) source.environment.push_back(row.environment);
    if (!row.set.empty()) source.overrides.push_back(row.set);
    const absl::StatusOr<v1::Config> config = Load(source);
    ASSERT_FALSE(config.ok());
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(row.error));
  }
}

TEST_F(ConfigTest, IgnoresVariablesThatAreSomebodyElses) {
  Source source;
  source.environment = {"POSTHORN_QUEUE_PORT=tcp://10.0.0.1:2900", "POSTHORN_TOKEN_FILE=/t",
                        "POSTHORN_QUEUE=x"};
  EXPECT_TRUE(Load(source).ok());
}

TEST_F(ConfigTest, PrintsWhatItReadsBackWithoutSecrets) {
  Source source;
  source.overrides = {"redis.password=geheim", "delivery.routes[0].pattern=*",
                      "delivery.routes[0].hosts=['a:1']", "hostname=mail.example"};
  absl::StatusOr<v1::Config> config = Load(source);
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string text = Print(*config);
  EXPECT_EQ(text.find("geheim"), std::string::npos);
  absl::StatusOr<v1::Config> again = LoadText(text);
  ASSERT_TRUE(again.ok()) << again.status();
  config->mutable_redis()->set_password("(hidden)");
  EXPECT_EQ(again->SerializeAsString(), config->SerializeAsString());
}

TEST_F(ConfigTest, NeverShowsASecretInAnError) {
  const absl::StatusOr<v1::Config> config = LoadText("redis:\n  password: [geheim]\n");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().message().find("geheim"), absl::string_view::npos);
}

}  // namespace
}  // namespace posthorn::config
