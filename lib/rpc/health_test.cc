#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "lib/rpc/client.h"
#include "lib/rpc/server.h"
#include "posthorn/common/v1/common.grpc.pb.h"

namespace posthorn::rpc {
namespace {

// grpc.health.v1 has no generated code here: an empty HealthCheckRequest is no octets, and
// HealthCheckResponse is field 1, a varint: 1 SERVING, 2 NOT_SERVING.
std::string Check(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::CompletionQueue queue;
  const grpc::Slice empty("");
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                    grpc::ByteBuffer(&empty, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return status.error_message();
  grpc::Slice slice;
  if (!response.DumpToSingleSlice(&slice).ok()) return "unreadable";
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

TEST(HealthTest, AnswersWithoutACredential) {
  common::v1::Bodies::CallbackService service;
  auto server = Server::Start({&service}, ServerOptions());
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = (*server)->InProcessChannel();
  EXPECT_EQ(Check(channel), "\x08\x01");
  (*server)->SetServing(false);
  EXPECT_EQ(Check(channel), "\x08\x02");
}

}  // namespace
}  // namespace posthorn::rpc
