#ifndef POSTHORN_SERVICES_MAILBOX_ADDRESS_RULES_H_
#define POSTHORN_SERVICES_MAILBOX_ADDRESS_RULES_H_

namespace posthorn::mailbox {

// Who may post to a list, as stored in directory.list.posting. Its owners always may.
enum class ListPosting {
  kAnyone = 0,
  kTenant = 1,   // addresses of the list's tenant, after a login
  kMembers = 2,  // also of a list that is a member
  kOwners = 3,
  kSenders = 4,  // those named: addresses, or "@domain"
};

// Who sees the members (EXPN), as stored in directory.list.visibility. Its owners always do.
enum class ListVisibility {
  kOwners = 0,
  kMembers = 1,
  kTenant = 2,  // all accounts of the list's tenant
};

// What a tag does, as stored in directory.account.tag_mode.
enum class TagMode {
  kIgnore = 0,    // everything goes to INBOX
  kExisting = 1,  // into the mailbox of that name, if there is one
  kCreate = 2,    // which is created
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADDRESS_RULES_H_
