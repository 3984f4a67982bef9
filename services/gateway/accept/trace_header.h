#ifndef POSTHORN_SERVICES_GATEWAY_ACCEPT_TRACE_HEADER_H_
#define POSTHORN_SERVICES_GATEWAY_ACCEPT_TRACE_HEADER_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "services/gateway/accept/message_acceptor.h"

namespace posthorn::gateway {

// "Mon, 02 Jan 2006 15:04:05 +0000" (RFC 5322 section 3.3).
std::string FormatMailDate(absl::Time time);

// The Received field (RFC 5321 section 4.4), folded, ending in CRLF. `only_recipient` is empty
// unless the message has a single one: the others must not learn of each other.
std::string ReceivedHeader(const TraceInfo& trace, std::string_view hostname, const MessageId& id,
                           std::string_view only_recipient, absl::Time received_at);

// Return-Path and Delivered-To, which final delivery puts above the Received field.
std::string DeliveryHeaders(std::string_view reverse_path, std::string_view delivered_to);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_ACCEPT_TRACE_HEADER_H_
