#ifndef POSTHORN_LIB_POSTGRES_POSTGRES_TEST_H_
#define POSTHORN_LIB_POSTGRES_POSTGRES_TEST_H_

#include "tests/support/postgres_fixture.h"

namespace posthorn::postgres {

// One server for all suites of this binary.
inline testing::PostgresServer& TestServer() {
  static testing::PostgresServer server;
  return server;
}

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_POSTGRES_TEST_H_
