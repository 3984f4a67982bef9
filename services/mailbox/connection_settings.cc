#include "services/mailbox/connection_settings.h"

#include <utility>

namespace posthorn::mailbox {

postgres::ConnectionOptions ConnectionFor(std::string url, bool keep_deleted) {
  postgres::ConnectionOptions options;
  options.url = std::move(url);
  options.role = "posthorn_mailbox";
  options.application_name = "posthorn mailbox";
  for (const char* setting : {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin",
                              "enable_mergejoin", "enable_material"}) {
    options.settings.emplace_back(setting, "off");
  }
  options.settings.emplace_back("plan_cache_mode", "force_generic_plan");
  if (keep_deleted) options.settings.emplace_back("app.keep_deleted", "'on'");
  return options;
}

}  // namespace posthorn::mailbox
