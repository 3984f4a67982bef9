#include "services/gateway/smtp/run_command.h"

#include <array>
#include <chrono>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
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
  kOutsideTransaction = 8,  // not between MAIL and the end of the message
  kNotLmtp = 16,            // RFC 2033 section 4.1
  kOnlyLmtp = 32,
  kOnlySubmission = 64,
  kNotImplemented = 128,
  kUnknown = 256,
  kLast = 512,          // the last of a pipelined group (RFC 2920 section 3.1): it changes too much
  kBeforeTls = 1024,    // also where TLS is required (RFC 3207 section 4)
  kBeforeChunks = 2048,  // not after BDAT (RFC 3030 section 2)
  kHasOctets = 4096,    // what follows is not the next command
  kAnyTime = 8192,      // whatever waits behind it
  kOnlyLocal = 16384,
};

struct Row {
  std::string_view name;
  unsigned flags;
};

// In the order of smtp::Command.
constexpr std::array<Row, std::variant_size_v<smtp::Command>> kTable = {{
    {"HELO", kNotLmtp | kLast | kBeforeTls},
    {"EHLO", kNotLmtp | kLast | kBeforeTls},
    {"LHLO", kOnlyLmtp | kLast | kBeforeTls},
    {"MAIL", kNeedsHello | kOutsideTransaction},
    {"RCPT", kNeedsHello | kNeedsTransaction | kBeforeChunks},
    {"DATA", kNeedsHello | kNeedsTransaction | kNeedsRecipient | kBeforeChunks | kLast},
    {"RSET", 0},
    {"NOOP", kLast | kBeforeTls},
    {"QUIT", kBeforeTls | kAnyTime},
    {"HELP", kLast | kBeforeTls},
    {"VRFY", kLast},
    {"EXPN", kLast},
    {"VERB", kLast},
    {"STARTTLS", kOutsideTransaction | kLast | kBeforeTls},
    {"AUTH", kNeedsHello | kOutsideTransaction | kOnlySubmission | kLast},
    {"BDAT", kNeedsHello | kNeedsTransaction | kNeedsRecipient | kHasOctets},
    {"XCLIENT", kOutsideTransaction | kLast | kBeforeTls},
    {"XQUEUE", kNeedsHello | kOutsideTransaction | kOnlyLocal | kLast},
    {"other", kNotImplemented},
    {"unknown", kUnknown},
}};

// A client may send on without waiting only after EHLO, and not behind what has to be the last of a
// group.
bool IsTooEarly(const Row& row, bool more_waits, const SmtpContext& context) {
  if (!more_waits || (row.flags & (kHasOctets | kAnyTime)) != 0) return false;
  return (row.flags & kLast) != 0 || !context.esmtp;
}

absl::Status CheckTable(const Row& row, const SmtpContext& context) {
  const unsigned flags = row.flags;
  if ((flags & kUnknown) != 0 || ((flags & kNotLmtp) != 0 && context.IsLmtp()) ||
      ((flags & kOnlyLmtp) != 0 && !context.IsLmtp()) ||
      ((flags & kOnlyLocal) != 0 && !context.local.has_value())) {
    return MakeFailure(Failure::kUnknownCommand);
  }
  if ((flags & kBeforeTls) == 0 && context.options.tls == SmtpTls::kRequired &&
      !context.stream.tls().active) {
    return MakeFailure(Failure::kTlsRequired);
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
  if ((flags & kBeforeChunks) != 0 && context.data != nullptr) {
    return MakeFailure(Failure::kBadSequence, "Not after BDAT");
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
  Task<smtp::Reply> operator()(smtp::HelpCommand c) const {
    return HandleHelp(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::VrfyCommand c) const {
    return HandleVrfy(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::StartTlsCommand c) const {
    return HandleStartTls(c, context);
  }
  Task<smtp::Reply> operator()(smtp::AuthCommand c) const {
    return HandleAuth(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::BdatCommand c) const { return HandleBdat(c, context); }
  Task<smtp::Reply> operator()(smtp::XclientCommand c) const {
    return HandleXclient(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::ExpnCommand c) const {
    return HandleExpn(std::move(c), context);
  }
  Task<smtp::Reply> operator()(smtp::VerbCommand c) const { return HandleVerb(c, context); }
  Task<smtp::Reply> operator()(smtp::XqueueCommand c) const {
    return HandleXqueue(std::move(c), context);
  }
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
  // Users of this machine guess nothing, and who hands their mail over would never get further.
  if (context.local.has_value()) return reply;
  if (reply.code >= 500 && ++context.errors >= context.limits.errors) {
    log::Info("smtp", "too many errors",
              {{"client", context.client().ip}, {"last", reply.text}});
    return smtp::ReplyFor(MakeFailure(Failure::kTooManyErrors));
  }
  return reply;
}

// The rate of this client, over all its sessions here.
absl::Status CheckRate(SmtpContext& context) {
  const int limit = context.options.commands_per_minute;
  if (limit == 0 ||
      context.shared.commands.Add(context.client().ip, context.deps.clock->Now()) <= limit) {
    return absl::OkStatus();
  }
  return MakeFailure(Failure::kTooManyErrors, "Too many commands a minute, closing connection");
}

bool IsBdat(std::string_view line) {
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
  return absl::StartsWithIgnoreCase(absl::string_view(line.data(), line.size()), "BDAT");
}

}  // namespace

smtp::Reply RefuseEarlyTalk(std::string_view where, const SmtpContext& context) {
  static metrics::Counter& counter = metrics::MakeCounter(
      "posthorn_gateway_smtp_early_talkers_total",
      "Sessions closed because the client did not wait for a reply that it needed. Mostly spam "
      "software; if the log names a client you know, it has to be mended there.");
  counter.Increment();
  log::Info("smtp", "sent before its turn", {{"client", context.client().ip}, {"where", where}});
  return smtp::ThenClose(smtp::ReplyFor(MakeFailure(Failure::kPipelining)));
}

Task<smtp::Reply> RunCommand(std::string line, bool more_waits, SmtpContext& context) {
  if (++context.commands > context.limits.commands) {
    co_return smtp::ReplyFor(
        MakeFailure(Failure::kTooManyErrors, "Too many commands, closing connection"));
  }
  if (const absl::Status s = CheckRate(context); !s.ok()) co_return smtp::ReplyFor(s);
  const smtp::PathSyntax syntax =
      context.options.strict_paths ? smtp::PathSyntax::kStrict : smtp::PathSyntax::kLenient;
  absl::StatusOr<smtp::Command> command =
      smtp::ParseCommand(line, syntax, OfferedExtensions(context), context.options.local_domain);
  if (!command.ok()) {
    smtp::Reply refusal = Count(smtp::ReplyFor(command.status()), context);
    // How many octets of a chunk follow cannot be told, and none of them may run as a command.
    if (IsBdat(line)) co_return smtp::ThenClose(std::move(refusal));
    co_return refusal;
  }
  const std::size_t verb = command->index();
  const Row& row = kTable[verb];
  if (IsTooEarly(row, more_waits, context)) co_return RefuseEarlyTalk(row.name, context);
  absl::Status allowed = CheckTable(row, context);
  if (!allowed.ok()) {
    smtp::Reply refusal = Count(smtp::ReplyFor(allowed), context);
    const auto* const bdat = std::get_if<smtp::BdatCommand>(&*command);
    if (bdat != nullptr) co_return RefuseBdat(*bdat, std::move(refusal), context);
    co_return refusal;
  }
  if ((row.flags & kOnlySubmission) != 0 &&
      (!context.IsSubmission() || context.local.has_value())) {
    co_return Count(smtp::Reply(502, "5.5.1", "Command not available here"), context);
  }
  const auto begin = std::chrono::steady_clock::now();
  const int unknown_recipients = context.unknown_recipients;
  const Dispatch dispatch{context};
  Task<smtp::Reply> handler = std::visit(dispatch, *std::move(command));
  smtp::Reply reply = co_await std::move(handler);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  Latency(verb).Observe(took.count());
  if (reply.code >= 400) {
    log::Debug("smtp", "refused",
               {{"verb", row.name}, {"code", reply.code}, {"client", context.client().ip}});
  }
  // These have a limit of their own, and are no mistakes of a client that hands on mail of others.
  if (context.unknown_recipients != unknown_recipients) co_return reply;
  co_return Count(std::move(reply), context);
}

smtp::Reply RefuseLongLine(SmtpContext& context) {
  context.auth.reset();
  if (context.input == SmtpInput::kAuthResponse) context.input = SmtpInput::kCommand;
  return Count(smtp::ReplyFor(MakeFailure(Failure::kLineTooLong)), context);
}

Task<smtp::Reply> RunAuthResponse(std::string line, bool more_waits, SmtpContext& context) {
  if (more_waits) co_return RefuseEarlyTalk("AUTH exchange", context);
  smtp::Reply reply = co_await HandleAuthResponse(std::move(line), context);
  co_return Count(std::move(reply), context);
}

}  // namespace posthorn::gateway
