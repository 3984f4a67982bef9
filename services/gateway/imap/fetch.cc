// RFC 3501 sections 6.4.5 and 7.4.2. What the snapshot knows costs no call; the rest comes in
// batches, bodies over 64 KiB in pieces, so that a session's memory does not depend on the mailbox.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/imap/date_time.h"
#include "lib/mime/scanner.h"
#include "services/gateway/imap/fetch_binary.h"
#include "services/gateway/imap/fetch_section.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/object_id.h"
#include "services/gateway/imap/search_messages.h"

namespace posthorn::gateway {
namespace {

using imap::FetchItem;
using Kind = imap::FetchItem::Kind;

// One call of the store: a slow client must not outlast its deadline.
constexpr std::size_t kMessagesPerCall = 5000;
constexpr std::uint64_t kOctetsPerCall = 8 * 1024 * 1024;
// The same where answers are kept until the call is done.
constexpr std::size_t kMessagesDownwards = 500;
constexpr std::uint64_t kOctetsDownwards = 1024 * 1024;
constexpr std::uint64_t kOctetsPerRead = 4 * 1024 * 1024;
// Larger bodies come by ReadMessage.
constexpr std::uint64_t kInlineOctets = 64 * 1024;
// As much of a nested header is searched for HEADER.FIELDS.
constexpr std::uint64_t kMaxHeaderOctets = 1024 * 1024;

bool NeedsStore(const FetchParts& parts) {
  return parts.envelope || parts.structure || parts.header || parts.body || parts.saved_at ||
         parts.ids || parts.preview != FetchParts::Preview::kNo;
}

class Fetcher {
 public:
  Fetcher(ImapState& state, const imap::FetchCommand& command)
      : state_(state), command_(command), parts_(PartsFor(command.items)) {
    for (const FetchItem& item : command.items) {
      has_flags_ = has_flags_ || item.kind == Kind::kFlags;
      sets_seen_ = sets_seen_ || SetsSeen(item);
      has_uid_ = has_uid_ || item.kind == Kind::kUid;
      has_modseq_ = has_modseq_ || item.kind == Kind::kModSeq;
    }
  }

  Task<ImapReply> Run() {
    SelectedMailbox& mailbox = *state_.selected;
    indexes_ = mailbox.Select(command_.set, command_.uid);
    if (command_.changed_since) {
      indexes_.erase(std::remove_if(indexes_.begin(), indexes_.end(),
                                    [this](std::size_t index) {
                                      return MessageAt(index).modseq <= *command_.changed_since;
                                    }),
                     indexes_.end());
    }
    if (command_.partial) {
      // RFC 9738 section 3.1.
      const imap::PartialRange& partial = *command_.partial;
      if (partial.last - partial.first >= state_.limits.messages) {
        co_return state_.TooManyMessages(0);
      }
      indexes_ = PartOf(indexes_, partial);
    }
    const Uid lowest = state_.LimitMessages(indexes_);
    const absl::Status seen = co_await SetSeen();
    if (!seen.ok()) co_return ImapReply::Failed(seen);
    // RFC 9738 section 3.1: from the highest UID down where not all are processed.
    downwards_ = lowest != 0;
    if (downwards_) std::reverse(indexes_.begin(), indexes_.end());
    absl::Status done;
    if (!NeedsStore(parts_)) {
      done = co_await WithoutStore();
    } else {
      done = co_await FromStore();
    }
    if (broken_) co_return ImapReply::Broken();
    if (!done.ok()) co_return ImapReply::Failed(done);
    ImapReply reply = ImapReply::Ok("Fetch completed");
    if (unknown_encoding_) {
      reply = ImapReply::No("Unknown content transfer encoding", "UNKNOWN-CTE");
    } else if (missing_) {
      // RFC 5530: the client may want to issue a NOOP.
      reply = ImapReply::Ok("Some messages were already expunged", "EXPUNGEISSUED");
    }
    reply.lowest_processed = lowest;
    co_return reply;
  }

 private:
  const SelectedMailbox::Message& MessageAt(std::size_t index) const {
    return state_.selected->messages()[index];
  }

  // Implicit \Seen, in one call before the answers, which then show it.
  Task<absl::Status> SetSeen() {
    SelectedMailbox& mailbox = *state_.selected;
    if (!sets_seen_ || mailbox.read_only()) co_return absl::OkStatus();
    std::vector<std::size_t> unseen;
    for (const std::size_t index : indexes_) {
      if ((MessageAt(index).system & imap::kSeen) == 0) unseen.push_back(index);
    }
    std::vector<UidRange> uids = mailbox.UidRanges(unseen);
    if (uids.empty()) co_return absl::OkStatus();
    MessageFlags flags;
    flags.system = imap::kSeen;
    absl::StatusOr<StoreFlagsResult> result =
        co_await state_.store().StoreFlags(state_.tenant(), state_.account(), mailbox.id(),
                                           std::move(uids), StoreMode::kAdd, std::move(flags));
    if (!result.ok()) co_return result.status();
    if (mailbox.ApplyFlags(result->changed)) state_.AppendFlagsResponses();
    for (const MailEntry& entry : result->changed) newly_seen_.push_back(entry.uid);
    std::sort(newly_seen_.begin(), newly_seen_.end());
    co_return absl::OkStatus();
  }

  Task<absl::Status> FlushIfDue() {
    if (!state_.flush_due()) co_return absl::OkStatus();
    absl::Status written = co_await state_.Flush();
    if (!written.ok()) broken_ = true;
    co_return written;
  }

  Task<absl::Status> WithoutStore() {
    for (const std::size_t index : indexes_) {
      if (MessageAt(index).expunged) {
        missing_ = true;
        continue;
      }
      Begin(index);
      for (const FetchItem& item : command_.items) AppendSimple(item, index);
      state_.out += ")\r\n";
      if (state_.flush_due()) {
        absl::Status written = co_await FlushIfDue();
        if (!written.ok()) co_return written;
      }
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> FromStore() {
    std::size_t next = 0;
    while (next < indexes_.size()) {
      std::vector<std::size_t> chunk;
      const bool large = TakeChunk(next, chunk);
      if (chunk.empty()) continue;
      absl::Status done = co_await FetchChunk(std::move(chunk), large);
      if (!done.ok()) co_return done;
    }
    co_return absl::OkStatus();
  }

  // The messages of the next call. A large one comes alone: sending it may take longer than a call.
  bool TakeChunk(std::size_t& next, std::vector<std::size_t>& chunk) {
    std::uint64_t octets = 0;
    const std::size_t most = downwards_ ? kMessagesDownwards : kMessagesPerCall;
    const std::uint64_t most_octets = downwards_ ? kOctetsDownwards : kOctetsPerCall;
    for (; next < indexes_.size() && chunk.size() < most; ++next) {
      const SelectedMailbox::Message& message = MessageAt(indexes_[next]);
      if (message.expunged) {
        missing_ = true;
        continue;
      }
      if (parts_.body) {
        if (message.size > kInlineOctets) {
          if (!chunk.empty()) return false;
          chunk.push_back(indexes_[next++]);
          return true;
        }
        octets += message.size;
        if (octets > most_octets && !chunk.empty()) return false;
      }
      chunk.push_back(indexes_[next]);
    }
    return false;
  }

  Task<absl::Status> FetchChunk(std::vector<std::size_t> chunk, bool large) {
    SelectedMailbox& mailbox = *state_.selected;
    if (downwards_) std::reverse(chunk.begin(), chunk.end());
    std::vector<std::pair<std::size_t, MessageData>> kept;
    std::unique_ptr<Reader<std::vector<MessageData>>> reader = state_.store().Fetch(
        state_.tenant(), state_.account(), mailbox.id(), mailbox.UidRanges(chunk), parts_);
    std::size_t position = 0;
    for (;;) {
      absl::StatusOr<std::optional<std::vector<MessageData>>> batch = co_await reader->Next();
      if (!batch.ok()) co_return batch.status();
      if (!batch->has_value()) break;
      if (large) reader.reset();
      for (MessageData& data : **batch) {
        while (position < chunk.size() && MessageAt(chunk[position]).uid < data.uid) {
          missing_ = true;
          ++position;
        }
        if (position == chunk.size() || MessageAt(chunk[position]).uid != data.uid) continue;
        if (downwards_) {
          kept.emplace_back(chunk[position++], std::move(data));
          continue;
        }
        absl::Status sent = co_await Send(chunk[position++], data);
        if (!sent.ok()) co_return sent;
      }
      if (large) break;
    }
    if (position < chunk.size()) missing_ = true;
    reader.reset();
    for (auto message = kept.rbegin(); message != kept.rend(); ++message) {
      absl::Status sent = co_await Send(message->first, message->second);
      if (!sent.ok()) co_return sent;
    }
    co_return absl::OkStatus();
  }

  void Begin(std::size_t index) {
    state_.out += "* ";
    imap::AppendNumber(state_.uid_only ? MessageAt(index).uid : index + 1, state_.out);
    state_.out += state_.uid_only ? " UIDFETCH (" : " FETCH (";
    first_ = true;
    const bool wants_uid = command_.uid || (state_.qresync && IsNewlySeen(index));
    if (!has_uid_ && wants_uid && !state_.uid_only) {
      Separate();
      state_.out += "UID ";
      imap::AppendNumber(MessageAt(index).uid, state_.out);
    }
    if (!IsNewlySeen(index)) return;
    if (state_.condstore && !has_modseq_) {
      Separate();
      AppendModSeq(MessageAt(index).modseq, state_.out);
    }
    if (!has_flags_) {
      Separate();
      state_.out += "FLAGS ";
      state_.selected->AppendFlagsOf(MessageAt(index), state_.out);
    }
  }

  bool IsNewlySeen(std::size_t index) const {
    return std::binary_search(newly_seen_.begin(), newly_seen_.end(), MessageAt(index).uid);
  }

  void Separate() {
    if (!first_) state_.out += ' ';
    first_ = false;
  }

  // Items the snapshot answers; false for others.
  bool AppendSimple(const FetchItem& item, std::size_t index) {
    const SelectedMailbox::Message& message = MessageAt(index);
    switch (item.kind) {
      case Kind::kUid:
        Separate();
        state_.out += "UID ";
        imap::AppendNumber(message.uid, state_.out);
        return true;
      case Kind::kModSeq:
        Separate();
        AppendModSeq(message.modseq, state_.out);
        return true;
      case Kind::kFlags:
        Separate();
        state_.out += "FLAGS ";
        state_.selected->AppendFlagsOf(message, state_.out);
        return true;
      case Kind::kInternalDate:
        Separate();
        state_.out += "INTERNALDATE \"";
        state_.out += imap::FormatDateTime(absl::FromUnixSeconds(message.received_seconds));
        state_.out += '"';
        return true;
      case Kind::kRfc822Size:
        Separate();
        state_.out += "RFC822.SIZE ";
        imap::AppendNumber(message.size, state_.out);
        return true;
      default:
        return false;
    }
  }

  // What was stored with another version of the scanner, or not at all, is scanned now.
  Task<absl::Status> Scan(const MessageData& data, mime::Message& message) {
    mime::Scanner scanner;
    if (data.body_complete) {
      scanner.Feed(std::string_view(data.body).substr(
          std::min<std::size_t>(data.prefix_size, data.body.size())));
    } else if (data.size > data.prefix_size) {
      std::unique_ptr<Reader<std::string>> reader = state_.store().ReadMessage(
          state_.tenant(), state_.account(), state_.selected->id(), data.uid, data.prefix_size, 0);
      for (;;) {
        absl::StatusOr<std::optional<std::string>> piece = co_await reader->Next();
        if (!piece.ok()) co_return piece.status();
        if (!piece->has_value()) break;
        scanner.Feed(**piece);
      }
    }
    message = scanner.Finish();
    co_return absl::OkStatus();
  }

  // One FETCH response.
  Task<absl::Status> Send(std::size_t index, const MessageData& data) {
    std::optional<mime::Envelope> envelope;
    std::optional<mime::Structure> structure;
    bool scan = false;
    if (parts_.envelope) {
      absl::StatusOr<mime::Envelope> parsed = mime::ParseEnvelope(data.envelope);
      if (parsed.ok()) envelope = *std::move(parsed);
      scan = !parsed.ok();
    }
    if (parts_.structure) {
      absl::StatusOr<mime::Structure> parsed = mime::ParseStructure(data.structure);
      if (parsed.ok()) structure = *std::move(parsed);
      scan = scan || !parsed.ok();
    }
    if (scan) {
      mime::Message message;
      const absl::Status scanned = co_await Scan(data, message);
      if (!scanned.ok()) co_return scanned;
      envelope = std::move(message.envelope);
      structure = std::move(message.structure);
    }
    // RFC 3516 section 4.3: the command fails; what else it asks for is answered.
    for (const FetchItem& item : command_.items) {
      if (!IsBinary(item)) continue;
      if (FindBinary(item.section, *structure, data.prefix_size, data.size).unknown_encoding) {
        unknown_encoding_ = true;
        co_return absl::OkStatus();
      }
    }
    Begin(index);
    for (const FetchItem& item : command_.items) {
      if (AppendSimple(item, index)) continue;
      Separate();
      if (IsBinary(item)) {
        absl::Status sent = co_await SendBinary(item, data, *structure);
        if (sent.ok()) continue;
        broken_ = true;
        co_return sent;
      }
      if (item.kind == Kind::kEnvelope) {
        state_.out += "ENVELOPE ";
        imap::AppendEnvelope(*envelope, state_.out);
      } else if (item.kind == Kind::kSaveDate) {
        state_.out += "SAVEDATE \"" + imap::FormatDateTime(data.saved_at) + '"';
      } else if (item.kind == Kind::kEmailId) {
        state_.out += "EMAILID (" + ObjectId(kEmailLetter, data.email_id) + ')';
      } else if (item.kind == Kind::kThreadId) {
        state_.out += "THREADID (" + ObjectId(kThreadLetter, data.thread_id) + ')';
      } else if (item.kind == Kind::kPreview) {
        state_.out += "PREVIEW ";
        imap::AppendNString(data.preview, state_.out);
      } else if (item.kind == Kind::kBody || item.kind == Kind::kBodyStructure) {
        const bool extended = item.kind == Kind::kBodyStructure;
        state_.out += extended ? "BODYSTRUCTURE " : "BODY ";
        imap::AppendBodyStructure(structure->root, extended, state_.out);
      } else {
        AppendItemName(item);
        if (!AppendSmallSection(item, data, structure)) {
          absl::Status sent = co_await SendSection(item, data, structure);
          if (!sent.ok()) {
            // In the middle of a response nothing can be said any more.
            broken_ = true;
            co_return sent;
          }
        }
      }
    }
    state_.out += ")\r\n";
    if (!state_.flush_due()) co_return absl::OkStatus();
    co_return co_await FlushIfDue();
  }

  // BINARY[...] or BINARY.SIZE[...]. The part is read twice where its decoded size is not known.
  Task<absl::Status> SendBinary(const FetchItem& item, const MessageData& data,
                                const mime::Structure& structure) {
    const BinaryPart part = FindBinary(item.section, structure, data.prefix_size, data.size);
    imap::AppendSectionName(item, state_.out);
    state_.out += ' ';
    if (!part.octets) {
      state_.out += item.kind == Kind::kBinary ? "NIL" : "0";
      co_return absl::OkStatus();
    }
    absl::StatusOr<std::uint64_t> size = co_await DecodedSize(state_, data, part);
    if (!size.ok()) co_return size.status();
    if (item.kind == Kind::kBinarySize) {
      imap::AppendNumber(*size, state_.out);
      co_return absl::OkStatus();
    }
    const Octets wanted = Partial(item, Octets{0, *size});
    // Whether there is a NUL, for which a literal would not do, is not known before it is sent.
    state_.out += '~';
    imap::AppendLiteralMark(wanted.length, state_.out);
    co_return co_await SendDecoded(state_, data, part, wanted);
  }

  void AppendItemName(const FetchItem& item) {
    switch (item.kind) {
      case Kind::kRfc822:
        state_.out += "RFC822";
        break;
      case Kind::kRfc822Header:
        state_.out += "RFC822.HEADER";
        break;
      case Kind::kRfc822Text:
        state_.out += "RFC822.TEXT";
        break;
      default:
        imap::AppendSectionName(item, state_.out);
        break;
    }
    state_.out += ' ';
  }

  static bool IsFields(const imap::Section& section) {
    return section.text == imap::Section::Text::kHeaderFields ||
           section.text == imap::Section::Text::kHeaderFieldsNot;
  }

  static Octets Partial(const FetchItem& item, Octets octets) {
    if (!item.partial) return octets;
    const std::uint64_t skip = std::min<std::uint64_t>(item.partial->offset, octets.length);
    return Octets{octets.offset + skip,
                  std::min<std::uint64_t>(item.partial->count, octets.length - skip)};
  }

  void AppendLiteral(const FetchItem& item, std::string_view all) {
    const Octets part = Partial(item, Octets{0, all.size()});
    imap::AppendLiteralMark(part.length, state_.out);
    state_.out += all.substr(part.offset, part.length);
  }

  static std::optional<Octets> Find(const imap::Section& section, const MessageData& data,
                                    const std::optional<mime::Structure>& structure) {
    if (section.part.empty() && section.text == imap::Section::Text::kAll) {
      return Octets{0, data.size};
    }
    if (!structure) return std::nullopt;
    return Locate(section, *structure, data.prefix_size, data.size);
  }

  // A section whose octets are here; false: they have to be read.
  bool AppendSmallSection(const FetchItem& item, const MessageData& data,
                          const std::optional<mime::Structure>& structure) {
    const imap::Section section = *SectionOf(item);
    const bool whole_header =
        section.part.empty() && (section.text == imap::Section::Text::kHeader || IsFields(section));
    if (whole_header) {
      AppendLiteral(item, IsFields(section) ? FilterHeader(data.header, section) : data.header);
      return true;
    }
    const std::optional<Octets> octets = Find(section, data, structure);
    if (!octets) {
      state_.out += "NIL";
      return true;
    }
    if (!data.body_complete) return false;
    const std::string_view bytes =
        std::string_view(data.body).substr(octets->offset, octets->length);
    if (IsFields(section)) {
      AppendLiteral(item, FilterHeader(bytes, section));
    } else {
      AppendLiteral(item, bytes);
    }
    return true;
  }

  // The same by ReadMessage.
  Task<absl::Status> SendSection(const FetchItem& item, const MessageData& data,
                                 const std::optional<mime::Structure>& structure) {
    const imap::Section section = *SectionOf(item);
    const Octets octets = *Find(section, data, structure);
    if (IsFields(section)) {
      std::string header;
      const Octets kept{octets.offset, std::min(octets.length, kMaxHeaderOctets)};
      absl::Status read = co_await Read(data.uid, kept, &header);
      if (!read.ok()) co_return read;
      AppendLiteral(item, FilterHeader(header, section));
      co_return absl::OkStatus();
    }
    const Octets wanted = Partial(item, octets);
    imap::AppendLiteralMark(wanted.length, state_.out);
    co_return co_await Read(data.uid, wanted, nullptr);
  }

  // Octets of a message into `into`, or to the client. Exactly as many as asked for, or an error.
  Task<absl::Status> Read(Uid uid, Octets octets, std::string* into) {
    while (octets.length > 0) {
      const std::uint64_t length = std::min(octets.length, kOctetsPerRead);
      std::unique_ptr<Reader<std::string>> reader = state_.store().ReadMessage(
          state_.tenant(), state_.account(), state_.selected->id(), uid, octets.offset, length);
      std::uint64_t received = 0;
      for (;;) {
        absl::StatusOr<std::optional<std::string>> piece = co_await reader->Next();
        if (!piece.ok()) co_return piece.status();
        if (!piece->has_value()) break;
        received += (*piece)->size();
        if (received > length) break;
        if (into != nullptr) {
          *into += **piece;
          continue;
        }
        state_.out += **piece;
        absl::Status written = co_await FlushIfDue();
        if (!written.ok()) co_return written;
      }
      if (received != length) co_return MakeFailure(Failure::kUnavailable);
      octets.offset += length;
      octets.length -= length;
    }
    co_return absl::OkStatus();
  }

  ImapState& state_;
  const imap::FetchCommand& command_;
  const FetchParts parts_;
  bool has_flags_ = false;
  bool has_uid_ = false;
  bool has_modseq_ = false;
  bool sets_seen_ = false;
  std::vector<std::size_t> indexes_;
  std::vector<Uid> newly_seen_;
  bool first_ = true;
  bool missing_ = false;
  bool unknown_encoding_ = false;
  bool broken_ = false;
  bool downwards_ = false;  // `indexes_` descend
};

bool Asks(const imap::FetchCommand& command, Kind kind) {
  return std::any_of(command.items.begin(), command.items.end(),
                     [kind](const FetchItem& item) { return item.kind == kind; });
}

}  // namespace

Task<ImapReply> HandleFetch(ImapState& state, imap::FetchCommand command) {
  if (!command.uid && !state.selected->ContainsSequences(command.set)) {
    co_return ImapReply::Bad("No such message");
  }
  if (command.vanished) {
    if (!state.qresync) co_return ImapReply::Bad("QRESYNC is not enabled");
    absl::StatusOr<std::vector<imap::SequenceRange>> vanished =
        co_await state.VanishedSince(*command.changed_since, command.set);
    if (!vanished.ok()) co_return ImapReply::Failed(vanished.status());
    imap::AppendVanished(true, *vanished, state.out);
  }
  if (command.changed_since && !Asks(command, Kind::kModSeq)) {
    FetchItem item;
    item.kind = Kind::kModSeq;
    command.items.push_back(std::move(item));
  }
  if (Asks(command, Kind::kModSeq)) state.condstore = true;
  Fetcher fetcher(state, command);
  co_return co_await fetcher.Run();
}

}  // namespace posthorn::gateway
