# Tells sessions that their account has changed.
posthorn_library(posthorn_gateway_change_hub
  SOURCES change_hub.cc hint_subscriber.cc
  PUBLIC posthorn_gateway_interfaces posthorn_net posthorn_redis)
posthorn_test(gateway_change_hub_test
  SOURCES change_hub_test.cc
  LIBS posthorn_gateway_change_hub posthorn_gateway_mail_store_fake)
