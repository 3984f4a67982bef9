#ifndef POSTHORN_LIB_TLSRPT_REPORT_H_
#define POSTHORN_LIB_TLSRPT_REPORT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace posthorn::tlsrpt {

// A failure with how often it came (RFC 8460 section 4.4). Empty fields are left out of the report.
struct FailureDetail {
  std::string result_type;  // section 4.3: "certificate-expired"
  std::string sending_ip;
  std::string mx_host;
  std::string receiving_ip;
  std::string reason;  // an error message, for people
  std::int64_t sessions = 0;
};

struct PolicyResults {
  std::string type;                 // "sts", "tlsa", "no-policy-found"
  std::vector<std::string> text;    // the policy, a line or record each
  std::string domain;               // that published it
  std::vector<std::string> mx;      // of "sts": its patterns
  std::int64_t successful = 0;
  std::int64_t failed = 0;
  std::vector<FailureDetail> failures;
};

// What one domain is told of one day.
struct Report {
  std::string organization_name;
  std::string contact_info;
  std::string id;      // unique, without angle brackets
  std::string domain;  // whom it is for
  absl::Time start;
  absl::Time end;      // the last second that counts
  std::vector<PolicyResults> policies;
};

// Section 4.4. Text that is not UTF-8 has '?' for what is not ASCII.
std::string ToJson(const Report& report);

std::string Gzip(std::string_view data);

// Who sends it: a header field (section 5.3), and part of the attachment's name.
struct Mail {
  std::string from;             // address
  std::vector<std::string> to;  // addresses, at least one
  std::string submitter;        // domain
  std::string message_id;       // without angle brackets
  absl::Time date;
};

// "sender.example!example.net!1751241600!1751327999!id.json.gz" (section 5.1).
std::string FileName(const Report& report, std::string_view submitter);

// The message of section 5.3 around `compressed`, which is Gzip(ToJson(report)). Lines end in CRLF.
std::string ComposeMail(const Report& report, const Mail& mail, std::string_view compressed);

}  // namespace posthorn::tlsrpt

#endif  // POSTHORN_LIB_TLSRPT_REPORT_H_
