# The gateway, assembled.
posthorn_library(posthorn_gateway
  SOURCES bind_listeners.cc gateway_settings.cc wiring.cc wiring_local.cc
  PUBLIC posthorn_base posthorn_net
  PRIVATE posthorn_gateway_accept posthorn_gateway_api
          posthorn_gateway_change_hub posthorn_gateway_clients posthorn_gateway_imap
          posthorn_gateway_mailbox_client posthorn_gateway_maildrop posthorn_gateway_pop3 posthorn_gateway_session
          posthorn_gateway_smtp posthorn_maildrop posthorn_proto posthorn_redis_settings posthorn_rpc
          posthorn_telemetry)

posthorn_test(gateway_wiring_test SOURCES wiring_test.cc
  LIBS posthorn_gateway posthorn_config posthorn_rpc)
