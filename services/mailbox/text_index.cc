#include "services/mailbox/text_index.h"

#include <algorithm>

#include "lib/base/failure.h"
#include "lib/mime/search_words.h"
#include "lib/mime/structure.h"
#include "lib/mime/text_search.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Query;
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
// How often a look at segments that are being merged begins anew.
constexpr int kAttempts = 5;
// Found in so many words a part says nothing.
constexpr std::size_t kMaxMatches = 50000;

constexpr char kSelectUpto[] =
    "SELECT upto FROM mailbox.text_state WHERE tenant_id = $1 AND account_id = $2";
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
    "INSERT INTO mailbox.text_state AS s (tenant_id, account_id, upto) VALUES ($1, $2, $3)"
    " ON CONFLICT (tenant_id, account_id) DO UPDATE SET upto = EXCLUDED.upto WHERE s.upto = $4";
constexpr char kInsertSegment[] =
    "INSERT INTO mailbox.text_segment (tenant_id, account_id, first_email, last_email, emails, "
    "gone,"
    " version, ids, words, postings) SELECT $1, $2, $3, $4, $5::int, ($5 - (SELECT count(*)"
    " FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    "  AND email_id BETWEEN $3 AND $4))::int, $6::smallint, $7, $8, $9";
constexpr char kSelectSizes[] =
    "SELECT first_email, emails, gone, version, built_at < now() - interval '1 day'"
    " FROM mailbox.text_segment WHERE tenant_id = $1 AND account_id = $2 ORDER BY first_email";
constexpr char kSelectFirsts[] =
    "SELECT first_email FROM mailbox.text_segment WHERE tenant_id = $1 AND account_id = $2"
    " ORDER BY first_email";
constexpr char kSelectWords[] =
    "SELECT version, ids, words FROM mailbox.text_segment"
    " WHERE tenant_id = $1 AND account_id = $2 AND first_email = $3";
constexpr char kSelectPostings[] =
    "SELECT postings FROM mailbox.text_segment WHERE tenant_id = $1 AND account_id = $2"
    " AND first_email = $3 AND ids = $4";
constexpr char kSelectSegments[] =
    "SELECT first_email, ids, words, postings FROM mailbox.text_segment"
    " WHERE tenant_id = $1 AND account_id = $2 AND first_email = ANY ($3) ORDER BY first_email";
constexpr char kSelectIds[] =
    "SELECT email_id FROM mailbox.email WHERE tenant_id = $1 AND account_id = $2"
    " AND email_id BETWEEN $3 AND $4";
constexpr char kDeleteSegments[] =
    "DELETE FROM mailbox.text_segment WHERE tenant_id = $1 AND account_id = $2"
    " AND first_email = ANY ($3)";

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
                 static_cast<std::int64_t>(ids.size()), kTextVersion, postgres::Bytes(packed.ids),
                 postgres::Bytes(packed.words), postgres::Bytes(packed.postings));
  return transaction.Exec(kInsertSegment, params).status();
}

// `text` outlives the task.
Task<bool> FeedTo(mime::MessageText& text, std::string piece) {
  text.Feed(piece);
  co_return true;
}

std::vector<std::int64_t> Intersection(const std::vector<std::int64_t>& a,
                                       const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
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
  std::size_t words = 0;
  mime::WordSplitter splitter([&](std::string_view word) {
    if (++words > kMaxWords) {
      builder.LookAlways();
    } else {
      builder.AddWord(word);
    }
  });
  mime::MessageText text(*structure, [&](std::string_view folded, bool begins) {
    if (begins) splitter.End();
    splitter.Feed(folded);
  });
  text.FeedPrefix(prefix);
  if (!rows.IsNull(row, kData)) {
    const absl::StatusOr<std::string> body =
        postgres::Decompress(rows.Bytes(row, kData), postgres::kInlineOctets);
    if (!body.ok()) co_return body.status();
    text.Feed(*body);
  } else {
    std::function<Task<bool>(std::string)> sink = [&text](std::string piece) {
      return FeedTo(text, std::move(piece));
    };
    absl::Status read =
        co_await bodies_.Read(account.tenant, rows.Text(row, kSha256), 0, 0, std::move(sink));
    // Deleted and collected since: nobody will find it.
    if (!read.ok() && FailureOf(read) != Failure::kNotFound) co_return read;
  }
  text.Finish();
  splitter.End();
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

Task<absl::StatusOr<bool>> TextIndex::Replace(Account account, std::vector<std::int64_t> firsts) {
  Params params = Key(account);
  params.AddInts(firsts);
  absl::StatusOr<Result> rows =
      co_await bodies_.database().QueryFor(account.tenant, kSelectSegments, std::move(params));
  if (!rows.ok()) co_return rows.status();
  if (rows->rows() != static_cast<int>(firsts.size())) co_return false;
  std::vector<PackedSegment> segments;
  std::int64_t last = 0;
  for (int i = 0; i < rows->rows(); ++i) {
    segments.push_back(PackedSegment{rows->Text(i, 1), rows->Text(i, 2), rows->Text(i, 3)});
  }
  {
    const absl::StatusOr<SegmentWords> words =
        SegmentWords::Parse(segments.back().ids, segments.back().words);
    if (!words.ok()) co_return words.status();
    last = words->ids().back();
  }
  absl::StatusOr<Result> there = co_await bodies_.database().QueryFor(
      account.tenant, kSelectIds,
      Params::Of(account.tenant, account.account, rows->Int(0, 0), last));
  if (!there.ok()) co_return there.status();
  absl::flat_hash_set<std::int64_t> keep;
  for (int i = 0; i < there->rows(); ++i) keep.insert(there->Int(i, 0));
  const absl::StatusOr<PackedSegment> merged = Merge(segments, keep);
  if (!merged.ok()) co_return merged.status();
  const absl::StatusOr<SegmentWords> words = SegmentWords::Parse(merged->ids, merged->words);
  if (!words.ok()) co_return words.status();
  std::function<absl::StatusOr<bool>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<bool> {
    const absl::StatusOr<Result> locked = transaction.Exec(kLockAccount, Key(account));
    if (!locked.ok()) return locked.status();
    Params gone = Key(account);
    gone.AddInts(firsts);
    const absl::StatusOr<Result> deleted = transaction.Exec(kDeleteSegments, gone);
    if (!deleted.ok()) return deleted.status();
    if (deleted->affected() != static_cast<std::int64_t>(firsts.size())) {
      return MakeFailure(Failure::kConflict);  // another replica was faster
    }
    if (words->ids().empty()) return true;
    if (absl::Status s = Insert(transaction, account, *merged, words->ids()); !s.ok()) return s;
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
    std::vector<std::int64_t> firsts;
    std::int64_t emails = 0;
    bool alike = true;
    for (int i = end - count; i < end; ++i) {
      firsts.push_back(rows->Int(i, 0));
      emails += rows->Int(i, 1);
      alike = alike && rows->Int(i, 3) == kTextVersion &&
              TierOf(static_cast<int>(rows->Int(i, 1)), options_) ==
                  TierOf(static_cast<int>(rows->Int(end - 1, 1)), options_);
    }
    if (!alike || emails > options_.max_emails) continue;
    absl::StatusOr<bool> replaced = co_await Replace(account, std::move(firsts));
    co_return replaced;
  }
  co_return false;
}

Task<absl::StatusOr<bool>> TextIndex::RewriteSome(Account account) {
  absl::StatusOr<Result> rows =
      co_await bodies_.database().QueryFor(account.tenant, kSelectSizes, Key(account));
  if (!rows.ok()) co_return rows.status();
  for (int i = 0; i < rows->rows(); ++i) {
    const std::int64_t gone = rows->Int(i, 2);
    if (gone == 0 || (gone * 10 < rows->Int(i, 1) && !rows->Bool(i, 4))) continue;
    std::vector<std::int64_t> firsts(1, rows->Int(i, 0));
    absl::StatusOr<bool> replaced = co_await Replace(account, std::move(firsts));
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

Task<absl::StatusOr<TextIndex::Matches>> TextIndex::FindIn(Account account, std::int64_t first,
                                                           const Needles& needles) {
  Params key = Params::Of(account.tenant, account.account, first);
  absl::StatusOr<Result> row =
      co_await bodies_.database().QueryFor(account.tenant, kSelectWords, key);
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return Matches();
  const absl::StatusOr<SegmentWords> words =
      SegmentWords::Parse(row->Bytes(0, 1), row->Bytes(0, 2));
  if (!words.ok()) co_return words.status();
  const std::vector<std::int64_t>& ids = words->ids();
  std::optional<Result> postings;
  Matches matches;
  matches.emplace();
  for (const std::vector<std::string>& parts : needles) {
    std::vector<std::int64_t> found = ids;
    for (const std::string& part : parts) {
      if (row->Int(0, 0) != kTextVersion) break;  // any of its messages may
      const std::vector<std::uint32_t> with_part = words->Find(part);
      if (with_part.size() > kMaxMatches) continue;
      std::vector<std::int64_t> in_messages;
      if (!with_part.empty()) {
        if (!postings.has_value()) {
          Params same = key;
          same.Add(postgres::Bytes(row->Bytes(0, 1)));
          absl::StatusOr<Result> read = co_await bodies_.database().QueryFor(
              account.tenant, kSelectPostings, std::move(same));
          if (!read.ok()) co_return read.status();
          if (read->empty()) co_return Matches();
          postings.emplace(*std::move(read));
        }
        const absl::StatusOr<Positions> positions = PostingsOf(postings->Bytes(0, 0), with_part);
        if (!positions.ok()) co_return positions.status();
        for (const std::uint32_t position : *positions) {
          if (position >= ids.size()) co_return absl::DataLossError("damaged text index");
          in_messages.push_back(ids[position]);
        }
      }
      found = Intersection(found, in_messages);
      if (found.empty()) break;
    }
    for (const std::uint32_t position : words->always()) found.push_back(ids[position]);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    matches->push_back(std::move(found));
  }
  co_return matches;
}

Task<absl::StatusOr<TextCandidates>> TextIndex::Find(
    Account account, const std::vector<std::string>& folded_needles) {
  Needles needles;
  std::vector<std::size_t> asked;  // which of the needles these are
  for (std::size_t n = 0; n < folded_needles.size(); ++n) {
    std::vector<std::string> parts = mime::NeedleWords(folded_needles[n]);
    if (parts.empty()) continue;
    needles.push_back(std::move(parts));
    asked.push_back(n);
  }
  TextCandidates none;
  none.needles.resize(folded_needles.size());
  if (needles.empty()) co_return none;
  // Again if a segment was merged with others while its neighbours were read.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::vector<Query> queries;
    queries.emplace_back(kSelectUpto, Key(account));
    queries.emplace_back(kSelectFirsts, Key(account));
    absl::StatusOr<std::vector<Result>> rows =
        co_await bodies_.database().Snapshot(account.tenant, std::move(queries));
    if (!rows.ok()) co_return rows.status();
    if ((*rows)[0].empty()) co_return none;
    TextCandidates result = none;
    result.upto = (*rows)[0].Int(0, 0);
    for (const std::size_t n : asked) result.needles[n].emplace();
    bool complete = true;
    for (int i = 0; i < (*rows)[1].rows() && complete; ++i) {
      absl::StatusOr<Matches> matches = co_await FindIn(account, (*rows)[1].Int(i, 0), needles);
      if (!matches.ok()) co_return matches.status();
      complete = matches->has_value();
      for (std::size_t k = 0; complete && k < asked.size(); ++k) {
        std::vector<std::int64_t>& all = *result.needles[asked[k]];
        all.insert(all.end(), (**matches)[k].begin(), (**matches)[k].end());
      }
    }
    if (!complete) continue;
    for (const std::size_t n : asked) {
      std::vector<std::int64_t>& all = *result.needles[n];
      std::sort(all.begin(), all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
    }
    co_return result;
  }
  co_return none;
}

}  // namespace posthorn::mailbox
