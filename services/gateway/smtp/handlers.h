#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_HANDLERS_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_HANDLERS_H_

#include <string>

#include "lib/base/task.h"
#include "lib/smtp/command.h"
#include "lib/smtp/reply.h"
#include "services/gateway/smtp/context.h"

// One handler a verb: takes its command, changes the context, returns the reply. Whether the verb
// is allowed now was checked before (run_command.cc). The session owns both the coroutine and the
// context, so the reference outlives the call.
namespace posthorn::gateway {

// hello.cc
Task<smtp::Reply> HandleHello(smtp::HeloCommand command, SmtpContext& context);
Task<smtp::Reply> HandleHello(smtp::EhloCommand command, SmtpContext& context);
Task<smtp::Reply> HandleHello(smtp::LhloCommand command, SmtpContext& context);
// RFC 5321 section 3.1; never with an enhanced code (RFC 2034 section 4).
smtp::Reply Greeting(const SmtpContext& context);
// What EHLO would list now.
smtp::ExtensionSet OfferedExtensions(const SmtpContext& context);

// mail.cc
Task<smtp::Reply> HandleMail(smtp::MailCommand command, SmtpContext& context);
// Address literals by the listener's policy (RFC 5321 section 4.1.3): kBadAddress.
absl::Status CheckLiteral(const smtp::Mailbox& mailbox, const SmtpContext& context);

// rcpt.cc
Task<smtp::Reply> HandleRcpt(smtp::RcptCommand command, SmtpContext& context);
// The tenant this client may relay for: of its login, or of its trusted network; none if it may
// not relay. An error is temporary.
Task<absl::StatusOr<TenantId>> RelayTenant(SmtpContext& context);

// After VERB: which recipient of the transaction the last one is; empty otherwise.
std::string RecipientNote(const SmtpContext& context);

// local.cc
// The tenant of local mail; temporary errors, also where the domain is not there yet.
Task<absl::StatusOr<TenantId>> LocalTenant(SmtpContext& context);
// May the local user send with this reverse-path? kSenderNotAllowed if not.
Task<absl::Status> AuthorizeLocalSender(std::string reverse_path, SmtpContext& context);
// XQUEUE.
Task<smtp::Reply> HandleXqueue(smtp::XqueueCommand command, SmtpContext& context);

// unknown_recipient.cc
// Refuses a recipient that does not exist: who asks for many waits, and is sent away in the end.
Task<smtp::Reply> RefuseUnknownRecipient(SmtpContext& context);

// bdat.cc
// The reply comes with FinishChunk, when the chunk's octets have been read.
Task<smtp::Reply> HandleBdat(smtp::BdatCommand command, SmtpContext& context);
// The same for a command that is refused: its octets are dropped, then the client reads `refusal`.
smtp::Reply RefuseBdat(const smtp::BdatCommand& command, smtp::Reply refusal,
                       SmtpContext& context);
// After the last octet of a chunk: one reply; after the last chunk as FinishData.
Task<std::vector<smtp::Reply>> FinishChunk(SmtpContext& context);

// data.cc
Task<smtp::Reply> HandleData(smtp::DataCommand command, SmtpContext& context);
// Makes context.data for a message that begins; kOverloaded when too many are received at once.
absl::Status BeginMessage(DataFormat format, SmtpContext& context);
// After the final dot: one reply, for LMTP one a recipient (RFC 2033 section 4.2).
Task<std::vector<smtp::Reply>> FinishData(SmtpContext& context);

// auth.cc
Task<smtp::Reply> HandleAuth(smtp::AuthCommand command, SmtpContext& context);
// A line of the exchange that AUTH began.
Task<smtp::Reply> HandleAuthResponse(std::string line, SmtpContext& context);

// starttls.cc
Task<smtp::Reply> HandleStartTls(smtp::StartTlsCommand command, SmtpContext& context);
// After the handshake nothing that the client said before counts (RFC 3207 section 4.2).
void ForgetClient(SmtpContext& context);

// xclient.cc
Task<smtp::Reply> HandleXclient(smtp::XclientCommand command, SmtpContext& context);

// misc.cc
Task<smtp::Reply> HandleRset(smtp::RsetCommand command, SmtpContext& context);
Task<smtp::Reply> HandleNoop(smtp::NoopCommand command, SmtpContext& context);
Task<smtp::Reply> HandleQuit(smtp::QuitCommand command, SmtpContext& context);
Task<smtp::Reply> HandleHelp(smtp::HelpCommand command, SmtpContext& context);

// verify.cc
Task<smtp::Reply> HandleVrfy(smtp::VrfyCommand command, SmtpContext& context);
Task<smtp::Reply> HandleExpn(smtp::ExpnCommand command, SmtpContext& context);
Task<smtp::Reply> HandleVerb(smtp::VerbCommand command, SmtpContext& context);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_HANDLERS_H_
