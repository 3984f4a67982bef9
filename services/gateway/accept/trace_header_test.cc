#include "services/gateway/accept/trace_header.h"

#include "gtest/gtest.h"

namespace posthorn::gateway {
namespace {

const absl::Time kTime = absl::FromUnixSeconds(1136214245);  // 2 January 2006, 15:04:05 UTC

TraceInfo Trace(std::string helo, std::string ip, std::string protocol, std::string tls) {
  TraceInfo trace;
  trace.helo = std::move(helo);
  trace.client_ip = std::move(ip);
  trace.protocol = std::move(protocol);
  trace.tls = std::move(tls);
  return trace;
}

TEST(TraceHeaderTest, FormatsReceived) {
  const MessageId id = MessageId::Parse("01890000-0000-7000-8000-000000000001").value();
  EXPECT_EQ(ReceivedHeader(Trace("client.example", "192.0.2.1", "ESMTP", ""), "mx.example", id,
                           "a@b.example", kTime),
            "Received: from client.example ([192.0.2.1])\r\n"
            "\tby mx.example (Posthorn) with ESMTP id 01890000-0000-7000-8000-000000000001\r\n"
            "\tfor <a@b.example>;\r\n"
            "\tMon, 02 Jan 2006 15:04:05 +0000\r\n");
  EXPECT_EQ(ReceivedHeader(Trace("c", "2001:db8::1", "ESMTPSA", "X (TLSv1.3)"), "mx.example", id,
                           "a@b.example", kTime),
            "Received: from c ([IPv6:2001:db8::1])\r\n"
            "\tby mx.example (Posthorn) with ESMTPSA id 01890000-0000-7000-8000-000000000001\r\n"
            "\tfor <a@b.example>\r\n"
            "\ttls X (TLSv1.3);\r\n"
            "\tMon, 02 Jan 2006 15:04:05 +0000\r\n");
  TraceInfo named = Trace("c", "192.0.2.1", "ESMTP", "");
  named.client_name = "host.example";
  EXPECT_EQ(ReceivedHeader(named, "mx.example", id, "", kTime),
            "Received: from c (host.example [192.0.2.1])\r\n"
            "\tby mx.example (Posthorn) with ESMTP id 01890000-0000-7000-8000-000000000001;\r\n"
            "\tMon, 02 Jan 2006 15:04:05 +0000\r\n");
  EXPECT_EQ(ReceivedHeader(Trace("", "", "HTTP", ""), "mx.example", id, "", kTime),
            "Received: by mx.example (Posthorn) with HTTP id 01890000-0000-7000-8000-000000000001;"
            "\r\n\tMon, 02 Jan 2006 15:04:05 +0000\r\n");
}

TEST(TraceHeaderTest, FormatsDeliveryHeaders) {
  EXPECT_EQ(DeliveryHeaders("", "a@b.example"), "Return-Path: <>\r\nDelivered-To: a@b.example\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
