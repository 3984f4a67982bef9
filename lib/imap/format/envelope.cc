// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP
//            env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
// address  = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
#include "lib/imap/format/format.h"

namespace posthorn::imap {
namespace {

void AppendAddresses(const mime::AddressList& addresses, std::string& out) {
  if (addresses.empty()) {
    out += "NIL";
    return;
  }
  out += '(';
  for (const mime::Address& address : addresses) {
    out += '(';
    AppendNString(address.name, out);
    out += ' ';
    AppendNString(address.route, out);
    out += ' ';
    AppendNString(address.mailbox, out);
    out += ' ';
    AppendNString(address.host, out);
    out += ')';
  }
  out += ')';
}

}  // namespace

void AppendEnvelope(const mime::Envelope& envelope, std::string& out) {
  out += '(';
  AppendNString(envelope.date, out);
  out += ' ';
  AppendNString(envelope.subject, out);
  for (const mime::AddressList* list :
       {&envelope.from, &envelope.SenderOrFrom(), &envelope.ReplyToOrFrom(), &envelope.to,
        &envelope.cc, &envelope.bcc}) {
    out += ' ';
    AppendAddresses(*list, out);
  }
  out += ' ';
  AppendNString(envelope.in_reply_to, out);
  out += ' ';
  AppendNString(envelope.message_id, out);
  out += ')';
}

}  // namespace posthorn::imap
