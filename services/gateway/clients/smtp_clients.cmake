# gRPC clients of what accepting and logging in need.
posthorn_library(posthorn_gateway_clients
  SOURCES body_upload.cc delivery_client.cc directory_client.cc queue_client.cc
          queue_view_client.cc
  PUBLIC posthorn_gateway_interfaces posthorn_gateway_resolve_cache
  PRIVATE posthorn_rpc posthorn_grpc posthorn_net posthorn_telemetry)

posthorn_test(gateway_smtp_clients_test
  SOURCES smtp_clients_test.cc
  LIBS posthorn_gateway_clients posthorn_rpc posthorn_grpc posthorn_net)
