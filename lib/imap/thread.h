#ifndef POSTHORN_LIB_IMAP_THREAD_H_
#define POSTHORN_LIB_IMAP_THREAD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace posthorn::imap {

// Puts messages into threads (RFC 5256). Add them all, then ask once. Of each message it keeps its
// identification, the ids it refers to and its base subject, each different one once; depth and
// cycles of references are bounded, whatever the messages say.
class Threader {
 public:
  struct Message {
    std::uint32_t number = 0;     // shown in the answer; different for each message
    std::int64_t sent = 0;        // seconds since the epoch
    std::string_view message_id;  // header values, unfolded; empty where there is none
    std::string_view references;
    std::string_view in_reply_to;
    std::string_view subject;
  };
  void Add(const Message& message);

  // About what is kept, in octets.
  std::size_t octets() const { return octets_; }

  // The answer's thread lists: "(2)(3 6 (4 23)(44 7 96))"; empty without messages.
  std::string References();
  std::string OrderedSubject();

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  struct Item {
    std::uint32_t number = 0;
    std::int64_t sent = 0;
    Index subject = 0;  // 0: empty
    bool reply = false;
  };
  // A message, or a place for one that others refer to.
  struct Node {
    Index item = kNone;
    Index parent = kNone;
    std::vector<Index> children;
  };

  Index NewNode();
  Index NodeOf(std::string_view id);
  Index InternSubject(std::string folded);
  bool IsDummy(Index node) const { return nodes_[node].item == kNone; }
  // Unless that would make a cycle.
  void Link(Index parent, Index child);
  bool Reaches(Index from, Index node) const;

  // The steps of section 3 (REFERENCES).
  std::vector<Index> Prune();
  void SortSiblings(std::vector<Index>& siblings) const;
  void MergeBySubject(std::vector<Index>& roots);
  const Item& ItemOf(Index node) const;  // of a dummy: its first child's

  std::string Format(const std::vector<Index>& roots) const;

  std::vector<Item> items_;
  std::vector<Node> nodes_;
  absl::flat_hash_map<std::string, Index> ids_;
  absl::flat_hash_map<std::string, Index> subjects_;
  std::size_t refused_links_ = 0;
  std::size_t octets_ = 0;
};

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_THREAD_H_
