#ifndef POSTHORN_LIB_SASL_MECHANISMS_H_
#define POSTHORN_LIB_SASL_MECHANISMS_H_

// For lib/sasl's own .cc files only.

#include <memory>
#include <string_view>

#include "lib/sasl/exchange.h"

namespace posthorn::sasl {

std::unique_ptr<Exchange> MakePlain();
std::unique_ptr<Exchange> MakeLogin();
std::unique_ptr<Exchange> MakeScram(bool plus, ServerSide server);
std::unique_ptr<Exchange> MakeOauthBearer();
std::unique_ptr<Exchange> MakeXoauth2();

// Failed with kSyntax or kAuthenticationFailed.
Step Malformed(std::string_view what);
Step Refuse();

// Longest name or password that is taken.
inline constexpr std::size_t kMaxField = 1024;

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_MECHANISMS_H_
