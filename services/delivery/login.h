#ifndef POSTHORN_SERVICES_DELIVERY_LOGIN_H_
#define POSTHORN_SERVICES_DELIVERY_LOGIN_H_

#include <memory>

#include "lib/smtp/client/session.h"
#include "services/delivery/host_access.h"

namespace posthorn::delivery {

// The login of a smart host by name and password, or nullptr where it has none.
std::unique_ptr<smtp::client::Authenticator> MakeLogin(const HostAccess* access);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_LOGIN_H_
