#ifndef POSTHORN_SERVICES_MAILBOX_CHANGE_HINTS_H_
#define POSTHORN_SERVICES_MAILBOX_CHANGE_HINTS_H_

#include "lib/base/ids.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Tells the gateways that an account has changed, after the commit. Best effort: a hint that is
// lost costs a session up to a minute, nothing else. Thread-safe; never blocks.
class ChangeHints {
 public:
  virtual ~ChangeHints() = default;
  virtual void Changed(Account account, ModSeq modseq) = 0;
  // The directory has changed: what is remembered of where addresses lead may be outdated.
  virtual void DirectoryChanged() = 0;
};

// Where there is nobody to tell.
class NoChangeHints final : public ChangeHints {
 public:
  void Changed(Account, ModSeq) override {}
  void DirectoryChanged() override {}
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_CHANGE_HINTS_H_
