#include "services/gateway/accept/trace_header.h"

#include "absl/strings/str_cat.h"

namespace posthorn::gateway {
namespace {

absl::string_view ToAbsl(std::string_view s) { return absl::string_view(s.data(), s.size()); }

// RFC 5321 section 4.1.3.
std::string AddressLiteral(const std::string& ip) {
  const bool six = ip.find(':') != std::string::npos;
  return absl::StrCat("[", six ? "IPv6:" : "", ip, "]");
}

std::string FromClause(const TraceInfo& trace) {
  if (trace.helo.empty() && trace.client_ip.empty()) return "";
  std::string clause = "from ";
  if (trace.client_ip.empty()) {
    absl::StrAppend(&clause, trace.helo);
  } else {
    const std::string literal = AddressLiteral(trace.client_ip);
    absl::StrAppend(&clause, trace.helo.empty() ? literal : trace.helo, " (",
                    trace.client_name, trace.client_name.empty() ? "" : " ", literal, ")");
  }
  return clause + "\r\n\t";
}

}  // namespace

std::string FormatMailDate(absl::Time time) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S +0000", time, absl::UTCTimeZone());
}

std::string ReceivedHeader(const TraceInfo& trace, std::string_view hostname, const MessageId& id,
                           std::string_view only_recipient, absl::Time received_at) {
  std::string header = absl::StrCat("Received: ", FromClause(trace), "by ", ToAbsl(hostname),
                                    " (Posthorn) with ", trace.protocol, " id ", id.ToString());
  if (!only_recipient.empty()) {
    absl::StrAppend(&header, "\r\n\tfor <", ToAbsl(only_recipient), ">");
  }
  if (!trace.tls.empty()) absl::StrAppend(&header, "\r\n\ttls ", trace.tls);
  absl::StrAppend(&header, ";\r\n\t", FormatMailDate(received_at), "\r\n");
  return header;
}

std::string DeliveryHeaders(std::string_view reverse_path, std::string_view delivered_to) {
  return absl::StrCat("Return-Path: <", ToAbsl(reverse_path), ">\r\nDelivered-To: ",
                      ToAbsl(delivered_to), "\r\n");
}

}  // namespace posthorn::gateway
