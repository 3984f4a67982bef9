// The shape of a report's mail (RFC 8460 section 5.3):
//   multipart/report; report-type="tlsrpt"
//     text/plain               for people
//     application/tlsrpt+gzip  the report, base64

#include "lib/tlsrpt/report.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/dsn/text.h"

namespace posthorn::tlsrpt {
namespace {

constexpr int kGzipWindow = 15 + 16;  // with gzip's header
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kBase64Line = 76;

// A JSON string (RFC 8259 section 7).
std::string Quoted(std::string_view raw) {
  const std::string text = dsn::OneLineUtf8(raw, kMaxText);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

std::string QuotedList(const std::vector<std::string>& values) {
  return absl::StrCat("[",
                      absl::StrJoin(values, ", ",
                                    [](std::string* out, const std::string& value) {
                                      out->append(Quoted(value));
                                    }),
                      "]");
}

// Members of an object, in order.
class Object {
 public:
  void Raw(std::string_view name, std::string_view json) {
    absl::StrAppend(&members_, members_.empty() ? "" : ", ", Quoted(name), ": ",
                    absl::string_view(json.data(), json.size()));
  }
  void Text(std::string_view name, std::string_view value) { Raw(name, Quoted(value)); }
  void TextIfAny(std::string_view name, std::string_view value) {
    if (!value.empty()) Text(name, value);
  }
  void Number(std::string_view name, std::int64_t value) { Raw(name, absl::StrCat(value)); }
  std::string ToString() const { return absl::StrCat("{", members_, "}"); }

 private:
  std::string members_;
};

std::string DateTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string ToJson(const FailureDetail& failure) {
  Object object;
  object.Text("result-type", failure.result_type);
  object.TextIfAny("sending-mta-ip", failure.sending_ip);
  object.TextIfAny("receiving-mx-hostname", failure.mx_host);
  object.TextIfAny("receiving-ip", failure.receiving_ip);
  object.Number("failed-session-count", failure.sessions);
  object.TextIfAny("failure-reason-code", failure.reason);
  return object.ToString();
}

std::string ToJson(const PolicyResults& results) {
  Object policy;
  policy.Text("policy-type", results.type);
  if (!results.text.empty()) policy.Raw("policy-string", QuotedList(results.text));
  policy.Text("policy-domain", results.domain);
  if (!results.mx.empty()) policy.Raw("mx-host", QuotedList(results.mx));
  Object summary;
  summary.Number("total-successful-session-count", results.successful);
  summary.Number("total-failure-session-count", results.failed);
  Object object;
  object.Raw("policy", policy.ToString());
  object.Raw("summary", summary.ToString());
  if (!results.failures.empty()) {
    object.Raw("failure-details",
               absl::StrCat("[",
                            absl::StrJoin(results.failures, ", ",
                                          [](std::string* out, const FailureDetail& failure) {
                                            out->append(ToJson(failure));
                                          }),
                            "]"));
  }
  return object.ToString();
}

std::string WrappedBase64(std::string_view data) {
  const std::string encoded = absl::Base64Escape(absl::string_view(data.data(), data.size()));
  std::string lines;
  for (std::size_t i = 0; i < encoded.size(); i += kBase64Line) {
    lines.append(encoded, i, kBase64Line);
    lines.append("\r\n");
  }
  return lines;
}

std::string TextFor(const Report& report, std::string_view submitter) {
  std::int64_t successful = 0, failed = 0;
  for (const PolicyResults& policy : report.policies) {
    successful += policy.successful;
    failed += policy.failed;
  }
  return absl::StrCat(
      "This is an aggregate report about TLS with the mail servers of ", report.domain,
      "\r\n(RFC 8460), from ", absl::string_view(submitter.data(), submitter.size()),
      ", for the time from\r\n", DateTime(report.start), " to ", DateTime(report.end), ":\r\n",
      successful, " sessions succeeded, ", failed, " failed. The report is attached.\r\n");
}

}  // namespace

std::string ToJson(const Report& report) {
  Object range;
  range.Text("start-datetime", DateTime(report.start));
  range.Text("end-datetime", DateTime(report.end));
  Object object;
  object.Text("organization-name", report.organization_name);
  object.Raw("date-range", range.ToString());
  object.Text("contact-info", report.contact_info);
  object.Text("report-id", report.id);
  object.Raw("policies",
             absl::StrCat("[",
                          absl::StrJoin(report.policies, ", ",
                                        [](std::string* out, const PolicyResults& policy) {
                                          out->append(ToJson(policy));
                                        }),
                          "]"));
  return object.ToString();
}

std::string Gzip(std::string_view data) {
  z_stream stream = {};
  std::string compressed;
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return compressed;  // no memory
  }
  compressed.resize(deflateBound(&stream, data.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  const int result = deflate(&stream, Z_FINISH);
  compressed.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return compressed;
}

std::string FileName(const Report& report, std::string_view submitter) {
  return absl::StrCat(absl::string_view(submitter.data(), submitter.size()), "!", report.domain,
                      "!", absl::ToUnixSeconds(report.start), "!", absl::ToUnixSeconds(report.end),
                      "!", report.id.substr(0, report.id.find('@')), ".json.gz");
}

std::string ComposeMail(const Report& report, const Mail& mail, std::string_view compressed) {
  // Base64 and the text have no such line.
  const std::string boundary = absl::StrCat("=_tlsrpt/", mail.message_id.substr(0, 36));
  std::string to;
  for (const std::string& address : mail.to) {
    absl::StrAppend(&to, to.empty() ? "" : ",\r\n ", "<", address, ">");
  }
  return absl::StrCat(
      "From: <", mail.from, ">\r\nTo: ", to, "\r\nSubject: Report Domain: ", report.domain,
      "\r\n Submitter: ", mail.submitter, "\r\n Report-ID: <", report.id, ">\r\nDate: ",
      dsn::DateTime(mail.date), "\r\nMessage-ID: <", mail.message_id,
      ">\r\nTLS-Report-Domain: ", report.domain, "\r\nTLS-Report-Submitter: ", mail.submitter,
      "\r\nTLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"",
      boundary, "\"\r\n\r\nThis is a MIME-encapsulated message.\r\n\r\n--", boundary,
      "\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
      TextFor(report, mail.submitter), "\r\n--", boundary,
      "\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
      "Content-Disposition: attachment;\r\n filename=\"",
      FileName(report, mail.submitter), "\"\r\n\r\n", WrappedBase64(compressed), "--", boundary,
      "--\r\n");
}

}  // namespace posthorn::tlsrpt
