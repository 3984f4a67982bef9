# gRPC client of the mailboxes: MailStore.
if(NOT POSTHORN_PURE_ONLY)
  posthorn_library(posthorn_gateway_mailbox_client
    SOURCES mailbox_client.cc mailbox_convert.cc
    PUBLIC posthorn_gateway_interfaces
    PRIVATE posthorn_rpc posthorn_grpc)
endif()
