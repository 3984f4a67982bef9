#ifndef POSTHORN_LIB_SMTP_VERP_H_
#define POSTHORN_LIB_SMTP_VERP_H_

#include <string>
#include <string_view>

namespace posthorn::smtp {

// Variable envelope return paths, as Postfix has them (VERP_README): each recipient of a list gets
// the message with a reverse-path of its own, so that a bounce tells who it is for.

// Two characters, each one of "-", "=" and "+".
bool IsVerpDelimiters(std::string_view text);
inline constexpr char kDefaultVerpDelimiters[] = "+=";

// "owner-list@origin" for "user@domain" is "owner-list+user=domain@origin" with the usual delimiters.
// `reverse_path` itself where one of the addresses has no domain, or cannot be read.
std::string VerpSender(std::string_view reverse_path, std::string_view recipient,
                       std::string_view delimiters);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_VERP_H_
