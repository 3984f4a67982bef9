#include "services/mailbox/connection_settings.h"

#include <utility>

namespace posthorn::mailbox {

postgres::ConnectionOptions ConnectionFor(std::string url) {
  postgres::ConnectionOptions options;
  options.url = std::move(url);
  options.role = "posthorn_mailbox";
  options.application_name = "posthorn mailbox";
  for (const char* setting : {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin",
                              "enable_mergejoin", "enable_material"}) {
    options.settings.emplace_back(setting, "off");
  }
  options.settings.emplace_back("plan_cache_mode", "force_generic_plan");
  return options;
}

}  // namespace posthorn::mailbox
