#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SESSION_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SESSION_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "lib/imap/receiver.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/state.h"

namespace posthorn::gateway {

// One IMAP connection: the shell that reads, feeds the receiver, runs commands and writes. It knows
// which command is allowed when (the table in session.cc) and what happens between commands;
// everything a command does is in its handler. On one executor; Run ends before it is destroyed.
class ImapSession {
 public:
  ImapSession(const ImapDependencies& dependencies, const ImapLimits& limits,
              const ImapListenerOptions& options, net::Stream& stream,
              const std::atomic<bool>& draining);

  Task<void> Run();

 private:
  // Writes what is pending and waits for bytes; false: the session is over.
  Task<bool> ReadMore();
  // The next line after ExpectLine, as RawLine or CommandFailure; NeedMore: the session is over.
  Task<imap::Received> ReadLine();
  void End(std::string_view code, std::string_view text);  // with BYE

  Task<void> RunCommand(imap::Command command);
  Task<void> OnFailure(imap::CommandFailure failure);
  // Untagged news, then the tagged answer, then what an error leads to.
  Task<void> Answer(std::string tag, const char* name, bool sync, bool allow_expunge,
                    ImapReply reply);
  void CountError();
  // The literals a command may have, which depends on whether there was a login.
  void SetLiteralLimit();

  // The filter of RFC 4978, on top of what the connection is.
  Task<void> StartDeflate();
  Task<void> RunAppend(std::string tag, imap::AppendCommand command);

  // One for each command; those not here are in handlers.h.
  Task<ImapReply> Handle(imap::CapabilityCommand command);
  Task<ImapReply> Handle(imap::NoopCommand command);
  Task<ImapReply> Handle(imap::LogoutCommand command);
  Task<ImapReply> Handle(imap::StartTlsCommand command);
  Task<ImapReply> Handle(imap::NamespaceCommand command);
  Task<ImapReply> Handle(imap::CheckCommand command);
  Task<ImapReply> Handle(imap::CloseCommand command);
  Task<ImapReply> Handle(imap::UnselectCommand command);
  Task<ImapReply> Handle(imap::IdleCommand command);
  Task<ImapReply> Handle(imap::IdCommand command);
  Task<ImapReply> Handle(imap::LoginCommand command);
  Task<ImapReply> Handle(imap::AuthenticateCommand command);
  Task<ImapReply> Handle(imap::SelectCommand command);
  Task<ImapReply> Handle(imap::CreateCommand command);
  Task<ImapReply> Handle(imap::DeleteCommand command);
  Task<ImapReply> Handle(imap::RenameCommand command);
  Task<ImapReply> Handle(imap::SubscribeCommand command);
  Task<ImapReply> Handle(imap::ListCommand command);
  Task<ImapReply> Handle(imap::StatusCommand command);
  Task<ImapReply> Handle(imap::AppendCommand command);
  Task<ImapReply> Handle(imap::ExpungeCommand command);
  Task<ImapReply> Handle(imap::StoreCommand command);
  Task<ImapReply> Handle(imap::CopyCommand command);
  Task<ImapReply> Handle(imap::FetchCommand command);
  Task<ImapReply> Handle(imap::SearchCommand command);
  Task<ImapReply> Handle(imap::EnableCommand command);
  Task<ImapReply> Handle(imap::UnauthenticateCommand command);
  Task<ImapReply> Handle(imap::SortCommand command);
  Task<ImapReply> Handle(imap::ThreadCommand command);
  Task<ImapReply> Handle(imap::GetQuotaCommand command);
  Task<ImapReply> Handle(imap::GetQuotaRootCommand command);
  Task<ImapReply> Handle(imap::SetQuotaCommand command);
  Task<ImapReply> Handle(imap::CompressCommand command);

  ImapState state_;
  imap::Receiver receiver_;
  const std::atomic<bool>& draining_;
  int errors_ = 0;
  bool over_ = false;
  bool start_tls_ = false;      // once the OK is out
  bool start_deflate_ = false;  // the same
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SESSION_H_
