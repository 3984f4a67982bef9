#include "services/mailbox/text_index.h"

#include <algorithm>

#include "lib/base/failure.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/search_words.h"
#include "lib/mime/structure.h"
#include "lib/mime/text_search.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;
using postgres::Transaction;

// Messages read at once; their bodies may be 64 KiB each.
constexpr int kBatch = 100;
// A segment ends early when it has taken so much memory.
constexpr std::size_t kSegmentOctets = 32 * 1024 * 1024;
// A message with more words than this is one for every search.
constexpr std::size_t kMaxWords = 100000;
// Of longer headers a search looks at fields in full that the index has cut.
constexpr std::uint64_t kMaxHeader = 128 * 1024;
// Blocks stored or read at once.
constexpr std::size_t kBlocks = 256;

constexpr char kSelectUpto[] =
    "SELECT upto FROM mailbox.word_state WHERE tenant_id = $1 AND account_id = $2";
constexpr char kCountTail[] =
    "SELECT count(*) FROM (SELECT 1 FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    " AND email_id > $3 ORDER BY email_id LIMIT $4) t";
constexpr char kSelectEmails[] =
    "SELECT e.email_id, e.prefix, e.structure, e.sha256, e.body_size, b.data FROM ("
    "  SELECT * FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2 AND email_id > $3"
    "  ORDER BY email_id LIMIT $4) e"
    " CROSS JOIN LATERAL (SELECT data FROM mailbox.body WHERE tenant_id = $1"
    "  AND sha256 = e.sha256 OFFSET 0) b ORDER BY e.email_id";
enum EmailColumn : int { kId, kPrefix, kStructure, kSha256, kBodySize, kData };

// Keeps the account, and its messages, from going while a segment of them is stored.
constexpr char kLockAccount[] =
    "SELECT 1 FROM mailbox.account WHERE tenant_id = $1 AND account_id = $2 FOR KEY SHARE";
constexpr char kAdvance[] =
    "INSERT INTO mailbox.word_state AS s (tenant_id, account_id, upto) VALUES ($1, $2, $3)"
    " ON CONFLICT (tenant_id, account_id) DO UPDATE SET upto = EXCLUDED.upto WHERE s.upto = $4";
constexpr char kInsertSegment[] =
    "INSERT INTO mailbox.word_segment (tenant_id, account_id, first_email, last_email, emails, gone,"
    " version, blocks, octets, ids, always, grams, segment_id)"
    " SELECT $1, $2, $3, $4, $5::int, ($5 - (SELECT count(*)"
    " FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    "  AND email_id BETWEEN $3 AND $4))::int, $6::smallint, $7::int, $8, $9, $10, $11,"
    " nextval('mailbox.word_segment_id') RETURNING segment_id";
constexpr char kInsertBlocks[] =
    "INSERT INTO mailbox.word_block (tenant_id, account_id, segment_id, block, words, postings)"
    " SELECT $1, $2, $3, ($4 + b.n - 1)::int, b.words, b.postings"
    " FROM unnest($5::bytea[], $6::bytea[]) WITH ORDINALITY b (words, postings, n)";
constexpr char kSelectSizes[] =
    "SELECT segment_id, emails, gone, version, built_at < now() - interval '1 day', octets"
    " FROM mailbox.word_segment WHERE tenant_id = $1 AND account_id = $2 ORDER BY first_email";
enum SizeColumn : int { kSegmentId, kEmails, kGone, kVersion, kIsOld, kOctets };
constexpr char kSelectSegments[] =
    "SELECT segment_id, first_email, last_email, ids, always FROM mailbox.word_segment"
    " WHERE tenant_id = $1 AND account_id = $2 AND segment_id = ANY ($3) ORDER BY first_email";
constexpr char kSelectBlocks[] =
    "SELECT words, postings FROM mailbox.word_block WHERE tenant_id = $1 AND account_id = $2"
    " AND segment_id = $3 AND block >= $4 ORDER BY block LIMIT $5";
constexpr char kSelectIds[] =
    "SELECT email_id FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    " AND email_id BETWEEN $3 AND $4";
constexpr char kDeleteSegments[] =
    "DELETE FROM mailbox.word_segment WHERE tenant_id = $1 AND account_id = $2"
    " AND segment_id = ANY ($3)";
constexpr char kDeleteBlocks[] =
    "DELETE FROM mailbox.word_block WHERE tenant_id = $1 AND account_id = $2"
    " AND segment_id = ANY ($3)";

Params Key(Account account) { return Params::Of(account.tenant, account.account); }

// Segments of one tier are of about one size.
int TierOf(int emails, const TextIndexOptions& options) {
  int tier = 0;
  for (std::int64_t size = options.segment_emails; size < emails; size *= options.merge_segments) {
    ++tier;
  }
  return tier;
}

absl::Status Insert(Transaction& transaction, Account account, const PackedSegment& packed,
                    const std::vector<std::int64_t>& ids) {
  Params params =
      Params::Of(account.tenant, account.account, ids.front(), ids.back(),
                 static_cast<std::int64_t>(ids.size()), kTextVersion, packed.blocks.size(),
                 packed.octets(), postgres::Bytes(packed.ids), postgres::Bytes(packed.always),
                 postgres::Bytes(packed.grams));
  const absl::StatusOr<Result> row = transaction.Exec(kInsertSegment, params);
  if (!row.ok()) return row.status();
  for (std::size_t first = 0; first < packed.blocks.size(); first += kBlocks) {
    const std::size_t end = std::min(packed.blocks.size(), first + kBlocks);
    std::vector<std::optional<std::string_view>> words;
    std::vector<std::optional<std::string_view>> postings;
    for (std::size_t i = first; i < end; ++i) {
      words.emplace_back(packed.blocks[i].words);
      postings.emplace_back(packed.blocks[i].postings);
    }
    Params blocks = Params::Of(account.tenant, account.account, row->Int(0, 0), first);
    blocks.AddBytesArray(words).AddBytesArray(postings);
    if (absl::Status s = transaction.Exec(kInsertBlocks, blocks).status(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// Takes what MessageText gives out into a segment, and notes the fields of the message's own header.
class TextTaker {
 public:
  explicit TextTaker(SegmentBuilder& builder)
      : builder_(builder), splitter_([this](std::string_view word) { Take(word); }) {}

  void operator()(const mime::MessageText::Piece& piece) {
    using Kind = mime::MessageText::Kind;
    if (piece.begins) splitter_.End();
    mark_ = WordMark::kBody;
    if (piece.kind == Kind::kFieldName) mark_ = WordMark::kHeader;
    if (piece.kind == Kind::kFieldValue) {
      mark_ = MarkOf(piece.field->name);
      Note(*piece.field, fields_);
    }
    splitter_.Feed(piece.folded);
  }
  // No text follows. `header` is what a search of header fields reads of the message. If that has
  // other fields, or such as are searched otherwise than what was given out, the message is one for
  // every search: what the index has of it is not exactly what is found in it.
  void Finish(std::string_view header) {
    splitter_.End();
    std::string fields;
    mime::HeaderReader reader(header);
    while (std::optional<mime::HeaderField> field = reader.Next()) {
      Note(*field, fields);
      const bool plain = !field->name.empty() && field->name.find("=?") == std::string_view::npos &&
                         std::all_of(field->name.begin(), field->name.end(),
                                     [](unsigned char c) { return c < 0x80; });
      if (!plain) builder_.LookAlways();
    }
    if (fields != fields_) builder_.LookAlways();
  }

 private:
  void Take(std::string_view word) {
    if (++words_ > kMaxWords) {
      builder_.LookAlways();
    } else {
      builder_.AddWord(word, mark_);
    }
  }
  static void Note(const mime::HeaderField& field, std::string& fields) {
    for (const std::string_view text : {field.name, field.value}) {
      fields.append(std::to_string(text.size())).append(":").append(text);
    }
  }

  SegmentBuilder& builder_;
  WordMark mark_ = WordMark::kBody;
  std::size_t words_ = 0;
  std::string fields_;
  mime::WordSplitter splitter_;
};

// `text` and `header` outlive the task. Keeps the first octets of the message in `header`.
Task<bool> FeedTo(mime::MessageText& text, std::string& header, std::size_t header_size,
                  std::string piece) {
  header.append(piece, 0, header_size - std::min(header_size, header.size()));
  text.Feed(piece);
  co_return true;
}

}  // namespace

TextIndex::TextIndex(postgres::BodyStore& bodies, TextIndexOptions options)
    : bodies_(bodies), options_(options) {}

Task<absl::StatusOr<std::int64_t>> TextIndex::Upto(Account account) {
  absl::StatusOr<Result> row =
      co_await bodies_.database().QueryFor(account.tenant, kSelectUpto, Key(account));
  if (!row.ok()) co_return row.status();
  co_return row->empty() ? 0 : row->Int(0, 0);
}

Task<absl::Status> TextIndex::AddText(Account account, const Result& rows, int row,
                                      SegmentBuilder& builder) {
  builder.StartMessage(rows.Int(row, kId));
  const absl::StatusOr<mime::Structure> structure =
      mime::ParseStructure(rows.Bytes(row, kStructure));
  const std::string_view prefix = rows.Bytes(row, kPrefix);
  if (!structure.ok() || structure->root.header_size + prefix.size() > kMaxHeader) {
    builder.LookAlways();
    co_return absl::OkStatus();
  }
  TextTaker taker(builder);
  mime::MessageText text(*structure,
                         [&taker](const mime::MessageText::Piece& piece) { taker(piece); });
  text.FeedPrefix(prefix);
  std::string header(prefix);
  if (!rows.IsNull(row, kData)) {
    const absl::StatusOr<std::string> body =
        postgres::Decompress(rows.Bytes(row, kData), postgres::kInlineOctets);
    if (!body.ok()) co_return body.status();
    text.Feed(*body);
    header.append(*body, 0, mime::HeaderSize(*body).value_or(body->size()));
  } else {
    const std::size_t header_size = prefix.size() + structure->root.header_size;
    std::function<Task<bool>(std::string)> sink = [&, header_size](std::string piece) {
      return FeedTo(text, header, header_size, std::move(piece));
    };
    absl::Status read =
        co_await bodies_.Read(account.tenant, rows.Text(row, kSha256), 0, 0, std::move(sink));
    // Deleted and collected since: nobody will find it.
    if (!read.ok() && FailureOf(read) != Failure::kNotFound) co_return read;
  }
  text.Finish();
  taker.Finish(header);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<int>> TextIndex::IndexSome(Account account) {
  absl::StatusOr<std::int64_t> before = co_await Upto(account);
  if (!before.ok()) co_return before.status();
  SegmentBuilder builder;
  std::vector<std::int64_t> ids;
  while (static_cast<int>(ids.size()) < options_.segment_emails &&
         builder.octets() < kSegmentOctets) {
    const int limit = std::min(kBatch, options_.segment_emails - static_cast<int>(ids.size()));
    Params params = Key(account);
    params.Add(ids.empty() ? *before : ids.back()).Add(limit);
    absl::StatusOr<Result> rows =
        co_await bodies_.database().QueryFor(account.tenant, kSelectEmails, std::move(params));
    if (!rows.ok()) co_return rows.status();
    for (int i = 0; i < rows->rows(); ++i) {
      absl::Status added = co_await AddText(account, *rows, i, builder);
      if (!added.ok()) co_return added;
      ids.push_back(rows->Int(i, kId));
    }
    if (rows->rows() < limit) break;
  }
  if (ids.empty()) co_return 0;
  const PackedSegment packed = builder.Pack();
  const std::int64_t old = *before;
  std::function<absl::StatusOr<bool>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<bool> {
    const absl::StatusOr<Result> locked = transaction.Exec(kLockAccount, Key(account));
    if (!locked.ok()) return locked.status();
    if (locked->empty()) return false;
    const absl::StatusOr<Result> advanced =
        transaction.Exec(kAdvance, Params::Of(account.tenant, account.account, ids.back(), old));
    if (!advanced.ok()) return advanced.status();
    if (advanced->affected() == 0) return false;  // another replica was faster
    if (absl::Status s = Insert(transaction, account, packed, ids); !s.ok()) return s;
    return true;
  };
  absl::StatusOr<bool> stored =
      co_await bodies_.database().TransactFor<bool>(account.tenant, std::move(work));
  if (!stored.ok()) {
    // Both found nothing and stored the first segment.
    const bool raced = postgres::SqlState(stored.status()) == postgres::kUniqueViolation;
    if (!raced) co_return stored.status();
    co_return 0;
  }
  co_return *stored ? static_cast<int>(ids.size()) : 0;
}

Task<absl::StatusOr<bool>> TextIndex::Replace(Account account,
                                              std::vector<std::int64_t> segment_ids) {
  Params params = Key(account);
  params.AddInts(segment_ids);
  absl::StatusOr<Result> rows =
      co_await bodies_.database().QueryFor(account.tenant, kSelectSegments, params);
  if (!rows.ok()) co_return rows.status();
  if (rows->rows() != static_cast<int>(segment_ids.size())) co_return false;
  std::vector<PackedSegment> segments;
  for (int i = 0; i < rows->rows(); ++i) {
    PackedSegment& segment = segments.emplace_back();
    segment.ids = rows->Text(i, 3);
    segment.always = rows->Text(i, 4);
    for (;;) {
      Params page = Key(account);
      page.Add(rows->Int(i, 0)).Add(segment.blocks.size()).Add(kBlocks);
      absl::StatusOr<Result> blocks =
          co_await bodies_.database().QueryFor(account.tenant, kSelectBlocks, std::move(page));
      if (!blocks.ok()) co_return blocks.status();
      for (int k = 0; k < blocks->rows(); ++k) {
        segment.blocks.push_back(PackedBlock{blocks->Text(k, 0), blocks->Text(k, 1)});
      }
      if (blocks->rows() < static_cast<int>(kBlocks)) break;
    }
  }
  absl::StatusOr<Result> there = co_await bodies_.database().QueryFor(
      account.tenant, kSelectIds,
      Params::Of(account.tenant, account.account, rows->Int(0, 1), rows->Int(rows->rows() - 1, 2)));
  if (!there.ok()) co_return there.status();
  absl::flat_hash_set<std::int64_t> keep;
  for (int i = 0; i < there->rows(); ++i) keep.insert(there->Int(i, 0));
  const absl::StatusOr<PackedSegment> merged = Merge(segments, keep);
  if (!merged.ok()) co_return merged.status();
  const absl::StatusOr<std::vector<std::int64_t>> ids = UnpackIds(merged->ids);
  if (!ids.ok()) co_return ids.status();
  std::function<absl::StatusOr<bool>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<bool> {
    const absl::StatusOr<Result> locked = transaction.Exec(kLockAccount, Key(account));
    if (!locked.ok()) return locked.status();
    const absl::StatusOr<Result> deleted = transaction.Exec(kDeleteSegments, params);
    if (!deleted.ok()) return deleted.status();
    if (deleted->affected() != static_cast<std::int64_t>(segment_ids.size())) {
      return MakeFailure(Failure::kConflict);  // another replica was faster
    }
    if (absl::Status s = transaction.Exec(kDeleteBlocks, params).status(); !s.ok()) return s;
    if (ids->empty()) return true;
    if (absl::Status s = Insert(transaction, account, *merged, *ids); !s.ok()) return s;
    return true;
  };
  absl::StatusOr<bool> replaced =
      co_await bodies_.database().TransactFor<bool>(account.tenant, std::move(work));
  if (!replaced.ok() && FailureOf(replaced.status()) == Failure::kConflict) co_return false;
  co_return replaced;
}

Task<absl::StatusOr<bool>> TextIndex::MergeSome(Account account) {
  absl::StatusOr<Result> rows =
      co_await bodies_.database().QueryFor(account.tenant, kSelectSizes, Key(account));
  if (!rows.ok()) co_return rows.status();
  const int count = options_.merge_segments;
  for (int end = rows->rows(); end >= count; --end) {
    std::vector<std::int64_t> segment_ids;
    std::int64_t emails = 0;
    std::int64_t octets = 0;
    bool alike = true;
    for (int i = end - count; i < end; ++i) {
      segment_ids.push_back(rows->Int(i, kSegmentId));
      emails += rows->Int(i, kEmails);
      octets += rows->Int(i, kOctets);
      alike = alike && rows->Int(i, kVersion) == kTextVersion &&
              TierOf(static_cast<int>(rows->Int(i, kEmails)), options_) ==
                  TierOf(static_cast<int>(rows->Int(end - 1, kEmails)), options_);
    }
    if (!alike || emails > options_.max_emails || octets > options_.max_octets) continue;
    absl::StatusOr<bool> replaced = co_await Replace(account, std::move(segment_ids));
    co_return replaced;
  }
  co_return false;
}

Task<absl::StatusOr<bool>> TextIndex::RewriteSome(Account account) {
  absl::StatusOr<Result> rows =
      co_await bodies_.database().QueryFor(account.tenant, kSelectSizes, Key(account));
  if (!rows.ok()) co_return rows.status();
  for (int i = 0; i < rows->rows(); ++i) {
    const std::int64_t gone = rows->Int(i, kGone);
    if (gone == 0 || rows->Int(i, kVersion) != kTextVersion) continue;
    if (gone * 10 < rows->Int(i, kEmails) && !rows->Bool(i, kIsOld)) continue;
    std::vector<std::int64_t> segment_ids(1, rows->Int(i, kSegmentId));
    absl::StatusOr<bool> replaced = co_await Replace(account, std::move(segment_ids));
    co_return replaced;
  }
  co_return false;
}

Task<absl::Status> TextIndex::CatchUp(Account account, const std::atomic<bool>& stop) {
  absl::StatusOr<std::int64_t> upto = co_await Upto(account);
  if (!upto.ok()) co_return upto.status();
  absl::StatusOr<Result> tail = co_await bodies_.database().QueryFor(
      account.tenant, kCountTail, Params::Of(account.tenant, account.account, *upto, kTail));
  if (!tail.ok()) co_return tail.status();
  if (tail->Int(0, 0) < kTail) co_return absl::OkStatus();
  for (;;) {
    absl::StatusOr<int> indexed = co_await IndexSome(account);
    if (!indexed.ok()) co_return indexed.status();
    for (;;) {
      absl::StatusOr<bool> merged = co_await MergeSome(account);
      if (!merged.ok()) co_return merged.status();
      if (!*merged) break;
    }
    // Less than a tail is left: the next call's.
    if (*indexed < options_.segment_emails || stop) co_return absl::OkStatus();
  }
}

}  // namespace posthorn::mailbox
