#ifndef POSTHORN_LIB_SASL_JSON_H_
#define POSTHORN_LIB_SASL_JSON_H_

// For lib/sasl's own .cc files only.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace posthorn::sasl::json {

// Discarded (no type) for what is not JSON; never throws. nlohmann's destructor is iterative and
// its parser keeps its own stack, so depth costs memory only, and tokens are short.
inline nlohmann::json Parse(std::string_view text) {
  return nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

// The string under `key`; empty if there is none.
inline std::string String(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  return found->get<std::string>();
}

}  // namespace posthorn::sasl::json

#endif  // POSTHORN_LIB_SASL_JSON_H_
