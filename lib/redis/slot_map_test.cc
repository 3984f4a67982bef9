#include "lib/redis/slot_map.h"

#include <gtest/gtest.h>

namespace posthorn::redis {
namespace {

Reply Number(std::int64_t number) {
  Reply reply;
  reply.type = Reply::Type::kInteger;
  reply.integer = number;
  return reply;
}
Reply Text(std::string text) {
  Reply reply;
  reply.type = Reply::Type::kString;
  reply.text = std::move(text);
  return reply;
}
Reply List(std::vector<Reply> elements) {
  Reply reply;
  reply.type = Reply::Type::kArray;
  reply.elements = std::move(elements);
  return reply;
}

TEST(SlotTest, IsThatOfTheSpecification) {
  EXPECT_EQ(SlotOf("123456789"), 0x31c3);  // from the specification's appendix
  EXPECT_EQ(SlotOf("foo"), 12182);         // CLUSTER KEYSLOT foo
  EXPECT_EQ(SlotOf(""), 0);
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_EQ(SlotOf("x{user1000}.{other}"), SlotOf("user1000"));
  EXPECT_NE(SlotOf("foo{}{bar}"), SlotOf("bar"));  // an empty tag is none
  EXPECT_EQ(SlotOf("foo{{bar}}zap"), SlotOf("{bar"));
}

TEST(SlotTest, KeysOfCommands) {
  EXPECT_EQ(KeyOf({"GET", "k"}), "k");
  EXPECT_EQ(KeyOf({"EVALSHA", "abc", "2", "{a}1", "{a}2", "argument"}), "{a}1");
  EXPECT_EQ(KeyOf({"EVAL", "return 1", "0"}), std::nullopt);
  EXPECT_EQ(KeyOf({"PUBLISH", "channel", "text"}), std::nullopt);
  EXPECT_EQ(KeyOf({"PING"}), std::nullopt);
}

TEST(SlotMapTest, ReadsWhoServesWhat) {
  const Reply reply =
      List({List({Number(0), Number(5460), List({Text("10.0.0.1"), Number(6379), Text("id")}),
                  List({Text("10.0.0.9"), Number(6379), Text("id of a replica")})}),
            List({Number(5462), Number(16383), List({Text(""), Number(7000), Text("id")})}),
            List({Number(5461), Number(5461), List({Text("10.0.0.1"), Number(6379)})})});
  const absl::StatusOr<SlotMap> map = ParseSlotMap(reply, Endpoint("seed", 1));
  ASSERT_TRUE(map.ok()) << map.status();
  ASSERT_EQ(map->masters.size(), 2u);
  EXPECT_EQ(map->masters[0].ToString(), "10.0.0.1:6379");
  EXPECT_EQ(map->masters[1].ToString(), "seed:7000");
  EXPECT_EQ(map->owner[0], 0);
  EXPECT_EQ(map->owner[5461], 0);
  EXPECT_EQ(map->owner[5462], 1);
}

TEST(SlotMapTest, RefusesNonsense) {
  const Endpoint asked("seed", 1);
  EXPECT_FALSE(ParseSlotMap(Text("no"), asked).ok());
  EXPECT_FALSE(ParseSlotMap(List({}), asked).ok());
  EXPECT_FALSE(ParseSlotMap(List({List({Number(0), Number(1)})}), asked).ok());
  for (const auto& [first, last, port] :
       {std::tuple(-1, 5, 1), std::tuple(0, 16384, 1), std::tuple(5, 4, 1), std::tuple(0, 1, 0)}) {
    const Reply reply = List({List({Number(first), Number(last),
                                    List({Text("h"), Number(port)})})});
    EXPECT_FALSE(ParseSlotMap(reply, asked).ok()) << first << " " << last << " " << port;
  }
}

TEST(RedirectTest, SaysWhereToTurn) {
  using Kind = Redirect::Kind;
  const Endpoint asked("seed", 1);
  struct Row {
    const char* error;
    Kind kind;
    const char* to;
  };
  for (const Row& row : {
           Row{"MOVED 3999 127.0.0.1:6381", Kind::kMoved, "127.0.0.1:6381"},
           Row{"MOVED 3999 2001:db8::1:6381", Kind::kMoved, "[2001:db8::1]:6381"},
           Row{"MOVED 3999 :6381", Kind::kMoved, "seed:6381"},
           Row{"ASK 3999 node.example:6381", Kind::kAsk, "node.example:6381"},
           Row{"TRYAGAIN Multiple keys request during rehashing of slot", Kind::kLater, ""},
           Row{"ERR Script attempted to access a non local key in a cluster node script: abc",
               Kind::kLater, ""},
           Row{"CLUSTERDOWN Hash slot not served", Kind::kDown, ""},
           Row{"LOADING Redis is loading the dataset in memory", Kind::kDown, ""},
           Row{"WRONGTYPE Operation against a key", Kind::kNone, ""},
           Row{"MOVED 3999", Kind::kNone, ""},
           Row{"MOVED 3999 nowhere", Kind::kNone, ""},
       }) {
    const Redirect redirect = ParseRedirect(row.error, asked);
    EXPECT_EQ(redirect.kind, row.kind) << row.error;
    if (*row.to != '\0') {
      EXPECT_EQ(redirect.to.ToString(), row.to);
    }
  }
}

TEST(EndpointTest, ReadsAddresses) {
  EXPECT_EQ(ParseEndpoint("redis:6380")->ToString(), "redis:6380");
  EXPECT_EQ(ParseEndpoint("redis")->ToString(), "redis:6379");
  EXPECT_EQ(ParseEndpoint("[2001:db8::1]:6380")->host, "2001:db8::1");
  EXPECT_EQ(ParseEndpoint("[2001:db8::1]")->port, 6379);
  EXPECT_EQ(ParseEndpoint("/run/redis.sock")->ToString(), "/run/redis.sock");
  for (const char* wrong : {"", "redis:", "redis:0", "redis:70000", "redis:x", "[::1"}) {
    EXPECT_FALSE(ParseEndpoint(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace posthorn::redis
