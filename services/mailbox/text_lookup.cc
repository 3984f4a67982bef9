// Looking words up in the text index. Which blocks of a segment may have a word is told by few octets of
// its grams, so that what is read grows with what is found and, by so little, with the number of segments.
#include <algorithm>
#include <iterator>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "lib/mime/search_words.h"
#include "services/mailbox/text_index.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Query;
using postgres::Result;

// How often a look at segments that are being merged begins anew.
constexpr int kAttempts = 5;
// Blocks read at once; a packed one is at most some 16 KiB.
constexpr std::size_t kBlocks = 128;
// Rows of grams that are read of a segment: of one word, and about, of all.
constexpr std::size_t kMaxRows = 12;
constexpr std::size_t kMaxRowsOfAll = 256;

constexpr char kSelectUpto[] =
    "SELECT upto FROM mailbox.word_state WHERE tenant_id = $1 AND account_id = $2";
// Of grams, which may be long, but the octets that are asked for are read.
constexpr char kSelectSegments[] =
    "SELECT s.segment_id, s.version, s.emails, s.blocks, s.always, length(s.grams) > 0,"
    " ARRAY(SELECT substr(s.grams, (b.bucket * ((s.blocks + 7) / 8))::int + 1, (s.blocks + 7) / 8)"
    "  FROM unnest($3::bigint[]) WITH ORDINALITY b (bucket, n) ORDER BY b.n)"
    " FROM mailbox.word_segment s WHERE s.tenant_id = $1 AND s.account_id = $2"
    " ORDER BY s.first_email";
constexpr char kSelectBlocks[] =
    "SELECT k.s, k.b, x.words, x.postings FROM unnest($3::bigint[], $4::bigint[]) k (s, b)"
    " CROSS JOIN LATERAL (SELECT words, postings FROM mailbox.word_block WHERE tenant_id = $1"
    "  AND account_id = $2 AND segment_id = k.s AND block = k.b::int OFFSET 0) x";
constexpr char kSelectIds[] =
    "SELECT segment_id, ids FROM mailbox.word_segment WHERE tenant_id = $1 AND account_id = $2"
    " AND segment_id = ANY ($3)";

Params Key(Account account) { return Params::Of(account.tenant, account.account); }

// A word of a needle.
struct Part {
  std::string text;
  std::optional<WordMark> place;
  std::vector<std::size_t> rows;  // of those that are read of each segment
};

// One of the lookups that the index can say something about.
struct Asked {
  std::size_t lookup = 0;
  std::size_t first_part = 0;
  std::size_t parts = 0;
  bool exact = false;  // a message that has the word has the needle
};

struct Question {
  std::vector<Asked> asked;
  std::vector<Part> parts;
  std::vector<std::int64_t> buckets;  // rows of grams to read
};

Question Ask(const std::vector<TextLookup>& lookups) {
  Question question;
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    std::vector<std::string> words = mime::NeedleWords(lookups[i].folded);
    if (words.empty()) continue;
    Asked& asked = question.asked.emplace_back();
    asked.lookup = i;
    asked.first_part = question.parts.size();
    asked.parts = words.size();
    // Several fields have the mark kHeader: there a word may be in another one.
    asked.exact =
        mime::IsOneWord(lookups[i].folded) && lookups[i].place != WordMark::kHeader;
    for (std::string& word : words) {
      Part& part = question.parts.emplace_back();
      part.text = std::move(word);
      part.place = lookups[i].place;
    }
  }
  if (question.parts.empty()) return question;
  const std::size_t each =
      std::clamp<std::size_t>(kMaxRowsOfAll / question.parts.size(), 2, kMaxRows);
  absl::flat_hash_map<std::uint32_t, std::size_t> rows;
  for (Part& part : question.parts) {
    for (const std::uint32_t bucket : BucketsOf(part.text, part.place, each)) {
      const auto [row, is_new] = rows.try_emplace(bucket, question.buckets.size());
      if (is_new) question.buckets.push_back(bucket);
      part.rows.push_back(row->second);
    }
  }
  return question;
}

// A segment while it is looked at.
struct Segment {
  std::int64_t id = 0;
  bool is_known = false;  // its version: otherwise any of its messages may have any word
  std::vector<std::int64_t> always;
  std::vector<std::vector<bool>> found;  // positions, by part
  bool hit(const Asked& asked) const {
    for (std::size_t p = asked.first_part; p < asked.first_part + asked.parts; ++p) {
      if (std::find(found[p].begin(), found[p].end(), true) == found[p].end()) return false;
    }
    return true;
  }
};

// Which parts to look for in a block of a segment (its index).
using Wanted = std::map<std::pair<std::size_t, std::int64_t>, std::vector<std::size_t>>;

void Want(const Question& question, std::size_t segment, std::size_t blocks, bool has_grams,
          const std::vector<std::string>& rows, Wanted& wanted) {
  for (std::size_t p = 0; p < question.parts.size(); ++p) {
    std::string bits(RowOctets(blocks), '\xff');
    for (const std::size_t row : question.parts[p].rows) {
      for (std::size_t i = 0; has_grams && i < bits.size(); ++i) {
        bits[i] = static_cast<char>(bits[i] & (i < rows[row].size() ? rows[row][i] : 0));
      }
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      if ((static_cast<unsigned char>(bits[block / 8]) >> (block % 8) & 1) == 0) continue;
      wanted[{segment, static_cast<std::int64_t>(block)}].push_back(p);
    }
  }
}

absl::Status LookInto(const Question& question, const std::vector<std::size_t>& parts,
                      std::string_view packed_words, std::string_view packed_postings,
                      Segment& segment) {
  const absl::StatusOr<BlockWords> words = BlockWords::Parse(packed_words);
  if (!words.ok()) return words.status();
  for (const std::size_t p : parts) {
    const std::vector<std::uint32_t> with_part =
        words->Find(question.parts[p].text, question.parts[p].place);
    if (with_part.empty()) continue;
    const absl::StatusOr<Positions> positions = PostingsOf(packed_postings, with_part);
    if (!positions.ok()) return positions.status();
    for (const std::uint32_t position : *positions) {
      if (position >= segment.found[p].size()) return absl::DataLossError("damaged text index");
      segment.found[p][position] = true;
    }
  }
  return absl::OkStatus();
}

// What a segment says, to the end of `matches`: segments come in the order of their messages. `ids` is
// empty if no message of it is found.
void AddMatches(const Question& question, const Segment& segment,
                const std::vector<std::int64_t>& ids, TextCandidates& result) {
  for (const Asked& asked : question.asked) {
    TextMatches& matches = *result.lookups[asked.lookup];
    if (!segment.is_known) {
      matches.may.insert(matches.may.end(), ids.begin(), ids.end());
      continue;
    }
    std::vector<std::int64_t> found;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      bool all = true;
      for (std::size_t p = asked.first_part; all && p < asked.first_part + asked.parts; ++p) {
        all = segment.found[p][i];
      }
      if (all) found.push_back(ids[i]);
    }
    std::set_union(found.begin(), found.end(), segment.always.begin(), segment.always.end(),
                   std::back_inserter(matches.may));
    if (!asked.exact) continue;
    std::set_difference(found.begin(), found.end(), segment.always.begin(), segment.always.end(),
                        std::back_inserter(matches.sure));
  }
}

// Reads the blocks that are wanted, and looks into them. False: one is not there any more. The
// references outlive the task.
Task<absl::StatusOr<bool>> Look(postgres::Database& database, Account account,
                                const Question& question, const Wanted& wanted,
                                std::vector<Segment>& segments) {
  absl::flat_hash_map<std::int64_t, std::size_t> by_id;
  for (std::size_t i = 0; i < segments.size(); ++i) by_id[segments[i].id] = i;
  for (auto next = wanted.begin(); next != wanted.end();) {
    std::vector<std::int64_t> ids;
    std::vector<std::int64_t> blocks;
    for (; next != wanted.end() && ids.size() < kBlocks; ++next) {
      ids.push_back(segments[next->first.first].id);
      blocks.push_back(next->first.second);
    }
    Params params = Key(account);
    params.AddInts(ids).AddInts(blocks);
    absl::StatusOr<Result> rows =
        co_await database.QueryFor(account.tenant, kSelectBlocks, std::move(params));
    if (!rows.ok()) co_return rows.status();
    if (rows->rows() != static_cast<int>(ids.size())) co_return false;
    for (int i = 0; i < rows->rows(); ++i) {
      const std::size_t segment = by_id.at(rows->Int(i, 0));
      absl::Status looked =
          LookInto(question, wanted.at({segment, rows->Int(i, 1)}), rows->Bytes(i, 2),
                   rows->Bytes(i, 3), segments[segment]);
      if (!looked.ok()) co_return looked;
    }
  }
  co_return true;
}

}  // namespace

Task<absl::StatusOr<TextCandidates>> TextIndex::Find(Account account,
                                                     std::vector<TextLookup> lookups) {
  const Question question = Ask(lookups);
  TextCandidates none;
  none.lookups.resize(lookups.size());
  if (question.asked.empty()) co_return none;
  // Again if a segment was merged with others while it was looked at.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::vector<Query> queries;
    queries.emplace_back(kSelectUpto, Key(account));
    Params params = Key(account);
    params.AddInts(question.buckets);
    queries.emplace_back(kSelectSegments, std::move(params));
    absl::StatusOr<std::vector<Result>> results =
        co_await bodies_.database().Snapshot(account.tenant, std::move(queries));
    if (!results.ok()) co_return results.status();
    if ((*results)[0].empty()) co_return none;
    TextCandidates result = none;
    result.upto = (*results)[0].Int(0, 0);
    for (const Asked& asked : question.asked) result.lookups[asked.lookup].emplace();
    const Result& rows = (*results)[1];
    std::vector<Segment> segments(static_cast<std::size_t>(rows.rows()));
    Wanted wanted;
    for (int i = 0; i < rows.rows(); ++i) {
      Segment& segment = segments[static_cast<std::size_t>(i)];
      segment.id = rows.Int(i, 0);
      segment.is_known = rows.Int(i, 1) == kTextVersion;
      if (!segment.is_known) continue;
      absl::StatusOr<std::vector<std::int64_t>> always = UnpackIds(rows.Bytes(i, 4));
      if (!always.ok()) co_return always.status();
      segment.always = *std::move(always);
      segment.found.assign(question.parts.size(),
                           std::vector<bool>(static_cast<std::size_t>(rows.Int(i, 2))));
      Want(question, static_cast<std::size_t>(i), static_cast<std::size_t>(rows.Int(i, 3)),
           rows.Bool(i, 5), rows.Texts(i, 6), wanted);
    }
    absl::StatusOr<bool> looked =
        co_await Look(bodies_.database(), account, question, wanted, segments);
    if (!looked.ok()) co_return looked.status();
    if (!*looked) continue;
    std::vector<std::int64_t> with_hits;
    for (const Segment& segment : segments) {
      const bool hit = std::any_of(question.asked.begin(), question.asked.end(),
                                   [&](const Asked& asked) { return segment.hit(asked); });
      if (!segment.is_known || hit) with_hits.push_back(segment.id);
    }
    absl::flat_hash_map<std::int64_t, std::vector<std::int64_t>> ids;
    if (!with_hits.empty()) {
      Params of_hits = Key(account);
      of_hits.AddInts(with_hits);
      absl::StatusOr<Result> read = co_await bodies_.database().QueryFor(
          account.tenant, kSelectIds, std::move(of_hits));
      if (!read.ok()) co_return read.status();
      if (read->rows() != static_cast<int>(with_hits.size())) continue;
      for (int i = 0; i < read->rows(); ++i) {
        absl::StatusOr<std::vector<std::int64_t>> unpacked = UnpackIds(read->Bytes(i, 1));
        if (!unpacked.ok()) co_return unpacked.status();
        ids[read->Int(i, 0)] = *std::move(unpacked);
      }
    }
    for (const Segment& segment : segments) {
      const std::vector<std::int64_t>& its = ids[segment.id];
      if (segment.is_known && !its.empty() && its.size() != segment.found.front().size()) {
        co_return absl::DataLossError("damaged text index");
      }
      AddMatches(question, segment, its, result);
    }
    co_return result;
  }
  co_return none;
}

}  // namespace posthorn::mailbox
