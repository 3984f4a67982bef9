if(BUILD_TESTING)
  posthorn_library(posthorn_gateway_mail_store_fake
    SOURCES fake_mail_store.cc
    PUBLIC posthorn_gateway_interfaces
    PRIVATE posthorn_mime)
endif()
