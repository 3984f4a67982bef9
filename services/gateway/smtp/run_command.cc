#include "services/gateway/smtp/run_command.h"

#include <array>
#include <chrono>
#include <utility>
#include <variant>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

enum Flag : unsigned {
  kNeedsHello = 1,          // after HELO, EHLO or LHLO (RFC 5321 section 4.1.4)
  kNeedsTransaction = 2,    // after MAIL
  kNeedsRecipient = 4,      // after an accepted RCPT
  kOutsideTransaction = 8,  // not between MAIL and the end of DATA
  kNotLmtp = 16,            // RFC 2033 section 4.1
  kOnlyLmtp = 32,
  kOnlySubmission = 64,
  kNotImplemented = 128,
  kUnknown = 256,
};

struct Row {
  std::string_view name;
  unsigned flags;
};

// In the order of smtp::Command.
constexpr std::array<Row, std::variant_size_v<smtp::Command>> kTable = {{
    {"HELO", kNotLmtp},
    {"EHLO", kNotLmtp},
    {"LHLO", kOnlyLmtp},
    {"MAIL", kNeedsHello | kOutsideTransaction},
    {"RCPT", kNeedsHello | kNeedsTransaction},
    {"DATA", kNeedsHello | kNeedsTransaction | kNeedsRecipient},
    {"RSET", 0},
    {"NOOP", 0},
    {"QUIT", 0},
    {"HELP", 0},
    {"VRFY", 0},
    {"EXPN", 0},
    {"VERB", 0},
    {"STARTTLS", kOutsideTransaction},
    {"AUTH", kNeedsHello | kOutsideTransaction | kOnlySubmission},
    {"other", kNotImplemented},
    {"unknown", kUnknown},
}};

absl::Status CheckTable(const Row& row, const SmtpContext& context) {
  const unsigned flags = row.flags;
  if ((flags & kUnknown) != 0 || ((flags & kNotLmtp) != 0 && context.IsLmtp()) ||
      ((flags & kOnlyLmtp) != 0 && !context.IsLmtp())) {
    return MakeFailure(Failure::kUnknownCommand);
  }
  if ((flags & kNeedsHello) != 0 && context.helo.empty()) {
    return MakeFailure(Failure::kBadSequence,
                       context.IsLmtp() ? "Send LHLO first" : "Send EHLO or HELO first");
  }
  if ((flags & kOutsideTransaction) != 0 && context.transaction.has_value()) {
    return MakeFailure(Failure::kBadSequence, "Not within a mail transaction");
  }
  if ((flags & kNeedsTransaction) != 0 && !context.transaction.has_value()) {
    return MakeFailure(Failure::kBadSequence, "Send MAIL first");
  }
  if ((flags & kNeedsRecipient) != 0 && context.transaction->recipients.empty()) {
    return MakeFailure(Failure::kBadSequence, "No valid recipients");
  }
  return absl::OkStatus();
}

struct Dispatch {
  SmtpContext& context;
  Task<smtp::Reply> operator()(smtp::HeloCommand c) const {
    return HandleHello(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::EhloCommand c) const {
    return HandleHello(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::LhloCommand c) const {
    return HandleHello(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::MailCommand c) const {
    return HandleMail(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::RcptCommand c) const {
    return HandleRcpt(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::DataCommand c) const { return HandleData(c, context); }
  Task<smtp::Reply> operator()(smtp::RsetCommand c) const { return HandleRset(c, context); }
  Task<smtp::Reply> operator()(smtp::NoopCommand c) const { return HandleNoop(c, context); }
  Task<smtp::Reply> operator()(smtp::QuitCommand c) const { return HandleQuit(c, context); }
  Task<smtp::Reply> operator()(smtp::HelpCommand c) const { return HandleHelp(c, context); }
  Task<smtp::Reply> operator()(smtp::VrfyCommand c) const {
    return HandleVrfy(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::StartTlsCommand c) const {
    return HandleStartTls(c, context);
  }
  Task<smtp::Reply> operator()(smtp::AuthCommand c) const {
    return HandleAuth(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::ExpnCommand c) const {
    return HandleExpn(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::VerbCommand c) const { return HandleVerb(c, context); }
  Task<smtp::Reply> operator()(smtp::UnimplementedCommand) const { return NotImplemented(); }
  Task<smtp::Reply> operator()(smtp::UnknownCommand) const { return NotImplemented(); }

  static Task<smtp::Reply> NotImplemented() {
    co_return smtp::Reply(502, "5.5.1", "Command not implemented");
  }
};

metrics::Histogram& Latency(std::size_t verb) {
  static const std::array<metrics::Histogram*, kTable.size()>* const histograms = [] {
    auto* all = new std::array<metrics::Histogram*, kTable.size()>;
    for (std::size_t i = 0; i < kTable.size(); ++i) {
      (*all)[i] = &metrics::MakeHistogram(
          "posthorn_gateway_smtp_command_seconds",
          "Time to answer a command. RCPT slow: the directory (mailbox service) is.",
          metrics::LatencyBuckets(), {{"verb", std::string(kTable[i].name)}});
    }
    return all;
  }();
  return *(*histograms)[verb];
}

// Counts a refusal; too many end the session (RFC 5321 section 7.8).
smtp::Reply Count(smtp::Reply reply, SmtpContext& context) {
  if (reply.code >= 500 && ++context.errors >= context.limits.errors) {
    log::Info("smtp", "too many errors",
              {{"client", context.stream.peer().ip}, {"last", reply.text}});
    return smtp::ReplyFor(MakeFailure(Failure::kTooManyErrors));
  }
  return reply;
}

}  // namespace

Task<smtp::Reply> RunCommand(std::string line, SmtpContext& context) {
  if (++context.commands > context.limits.commands) {
    co_return smtp::ReplyFor(
        MakeFailure(Failure::kTooManyErrors, "Too many commands, closing connection"));
  }
  const smtp::PathSyntax syntax =
      context.options.strict_paths ? smtp::PathSyntax::kStrict : smtp::PathSyntax::kLenient;
  absl::StatusOr<smtp::Command> command = smtp::ParseCommand(line, syntax);
  if (!command.ok()) co_return Count(smtp::ReplyFor(command.status()), context);
  const std::size_t verb = command->index();
  const Row& row = kTable[verb];
  if (const absl::Status s = CheckTable(row, context); !s.ok()) {
    co_return Count(smtp::ReplyFor(s), context);
  }
  if ((row.flags & kOnlySubmission) != 0 && !context.IsSubmission()) {
    co_return Count(smtp::Reply(502, "5.5.1", "Command not available here"), context);
  }
  const auto begin = std::chrono::steady_clock::now();
  const Dispatch dispatch{context};
  Task<smtp::Reply> handler = std::visit(dispatch, *std::move(command));
  smtp::Reply reply = co_await std::move(handler);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  Latency(verb).Observe(took.count());
  if (reply.code >= 400) {
    log::Debug("smtp", "refused",
               {{"verb", row.name}, {"code", reply.code}, {"client", context.stream.peer().ip}});
  }
  co_return Count(std::move(reply), context);
}

smtp::Reply RefuseLongLine(SmtpContext& context) {
  context.auth.reset();
  if (context.input == SmtpInput::kAuthResponse) context.input = SmtpInput::kCommand;
  return Count(smtp::ReplyFor(MakeFailure(Failure::kLineTooLong)), context);
}

Task<smtp::Reply> RunAuthResponse(std::string line, SmtpContext& context) {
  smtp::Reply reply = co_await HandleAuthResponse(std::move(line), context);
  co_return Count(std::move(reply), context);
}

}  // namespace posthorn::gateway
