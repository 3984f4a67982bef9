#include "services/mailbox/delivery_store.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "absl/strings/escaping.h"
#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

using DeliveryTest = StoreTest;

constexpr char kBody[] = "Subject: hello\r\nMessage-ID: <1@x>\r\n\r\ntext\r\n";

TEST_F(DeliveryTest, StoresPrefixAndBody) {
  const StoredMessage stored = DeliverTo(alice, kBody);
  EXPECT_FALSE(stored.duplicate);
  EXPECT_EQ(stored.uid, 1u);
  const MailboxInfo info = Info(alice, "INBOX");
  EXPECT_EQ(info.messages, 1u);
  EXPECT_EQ(info.unseen, 1u);
  EXPECT_EQ(info.recent, 1u);
  EXPECT_EQ(info.uid_next, 2u);
  EXPECT_EQ(info.highest_modseq, stored.modseq);
  FetchItems items;
  items.body = items.header = items.envelope = items.structure = true;
  FetchCursor cursor(bodies, alice, info.id, {UidRange(1, 10)}, items);
  absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_EQ(batch->size(), 1u);
  EXPECT_EQ((*batch)[0].body, std::string("Return-Path: <>\r\n") + kBody);
  EXPECT_EQ((*batch)[0].size, (*batch)[0].body.size());
  EXPECT_EQ((*batch)[0].header,
            "Return-Path: <>\r\nSubject: hello\r\nMessage-ID: <1@x>\r\n\r\n");
  EXPECT_EQ((*batch)[0].prefix_size, 17u);
  EXPECT_FALSE((*batch)[0].envelope.empty());
  EXPECT_FALSE((*batch)[0].structure.empty());
  ExpectExactCounts();
}

TEST_F(DeliveryTest, TheSameMessageIdIsStoredOnceAnAccount) {
  const MessageId id = MessageId::Generate(absl::Now());
  absl::StatusOr<StoredMessage> first = Deliver(Message(alice, kBody, id));
  ASSERT_TRUE(first.ok());
  absl::StatusOr<StoredMessage> again = Deliver(Message(alice, kBody, id));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->uid, first->uid);
  absl::StatusOr<StoredMessage> other = Deliver(Message(bob, kBody, id));
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(other->duplicate);
  EXPECT_EQ(Info(alice, "INBOX").messages, 1u);
  ExpectExactCounts();
}

TEST_F(DeliveryTest, AnExpungeBringsNothingBack) {
  const MessageId id = MessageId::Generate(absl::Now());
  ASSERT_TRUE(Deliver(Message(alice, kBody, id)).ok());
  ASSERT_TRUE(loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(1, 9)}, false)).ok());
  absl::StatusOr<StoredMessage> again = Deliver(Message(alice, kBody, id));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(Info(alice, "INBOX").messages, 0u);
}

TEST_F(DeliveryTest, ExactlyOnceUnderConcurrentRetriesInOneGroupAndInMany) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 100; ++i) {
    const MessageId id = MessageId::Generate(absl::Now());
    for (int copy = 0; copy < 3; ++copy) {
      messages.push_back(Message(i % 2 == 0 ? alice : bob, absl::StrCat(kBody, i), id));
    }
  }
  int stored = 0;
  for (const absl::StatusOr<StoredMessage>& result : DeliverAll(std::move(messages))) {
    ASSERT_TRUE(result.ok()) << result.status();
    if (!result->duplicate) ++stored;
  }
  EXPECT_EQ(stored, 100);
  EXPECT_EQ(Info(alice, "INBOX").messages, 50u);
  EXPECT_EQ(Info(bob, "INBOX").messages, 50u);
  ExpectExactCounts();
}

TEST_F(DeliveryTest, AResendIsRecognisedByItsKeyForADay) {
  NewMessage first = Message(alice, kBody);
  first.resend_key = "key-a";
  ASSERT_TRUE(Deliver(first).ok());
  NewMessage resent = Message(alice, kBody);
  resent.resend_key = "key-a";
  absl::StatusOr<StoredMessage> duplicate = Deliver(resent);
  ASSERT_TRUE(duplicate.ok());
  EXPECT_TRUE(duplicate->duplicate);
  // The key is made of sender, Message-ID and body: a message that differs has another one.
  NewMessage other = Message(alice, kBody);
  other.resend_key = "key-b";
  EXPECT_FALSE(Deliver(other)->duplicate);
  // Another account's key is not ours.
  NewMessage for_bob = Message(bob, kBody);
  for_bob.resend_key = "key-a";
  EXPECT_FALSE(Deliver(for_bob)->duplicate);
  // Without a key there is no such check.
  EXPECT_FALSE(Deliver(Message(alice, kBody))->duplicate);
  Superuser("UPDATE mailbox.delivery SET delivered_at = now() - interval '25 hours'");
  NewMessage later = Message(alice, kBody);
  later.resend_key = "key-a";
  EXPECT_FALSE(Deliver(later)->duplicate);
  EXPECT_EQ(Info(alice, "INBOX").messages, 4u);
}

TEST_F(DeliveryTest, ConcurrentResendsAreStoredOnce) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 20; ++i) {
    messages.push_back(Message(alice, kBody));
    messages.back().resend_key = "same";
  }
  int stored = 0;
  for (const auto& result : DeliverAll(std::move(messages))) {
    ASSERT_TRUE(result.ok()) << result.status();
    if (!result->duplicate) ++stored;
  }
  EXPECT_EQ(stored, 1);
}

TEST_F(DeliveryTest, QuotaIsExactAndRefusesOnlyWhatDoesNotFit) {
  const std::string body(1000, 'x');
  const std::uint64_t size = body.size() + 17;
  const Account small = AddAccount("one", "one.test", "small@one.test", 3 * size + 10);
  std::vector<NewMessage> messages;
  for (int i = 0; i < 10; ++i) messages.push_back(Message(small, body));
  messages.push_back(Message(small, ""));  // 17 octets: never fits beside three
  int stored = 0;
  int refused = 0;
  for (const auto& result : DeliverAll(std::move(messages))) {
    if (result.ok()) {
      ++stored;
    } else {
      EXPECT_EQ(FailureOf(result.status()), Failure::kOverQuota);
      ++refused;
    }
  }
  EXPECT_GE(stored, 3);
  EXPECT_EQ(stored + refused, 11);
  absl::StatusOr<AccountRecord> record = loop.Run(admin.GetAccount("small@one.test"));
  ASSERT_TRUE(record.ok());
  EXPECT_LE(record->used_bytes, record->quota_bytes);
  ExpectExactCounts();
}

TEST_F(DeliveryTest, UnknownAccountsAndMailboxesAreRefused) {
  const Account gone(alice.tenant, AccountId(999999));
  EXPECT_EQ(FailureOf(Deliver(Message(gone, kBody)).status()), Failure::kNoSuchRecipient);
  NewMessage nowhere = Message(alice, kBody);
  nowhere.mailbox = MailboxId(999999);
  EXPECT_EQ(FailureOf(Deliver(nowhere).status()), Failure::kNoSuchMailbox);
  NewMessage bobs = Message(alice, kBody);
  bobs.mailbox = Info(bob, "INBOX").id;
  EXPECT_EQ(FailureOf(Deliver(bobs).status()), Failure::kNoSuchMailbox);
}

TEST_F(DeliveryTest, OneGroupSpansTenantsAndSharesBodies) {
  const Account carol = AddAccount("two", "two.test", "carol@two.test");
  std::vector<NewMessage> messages;
  for (int i = 0; i < 30; ++i) {
    messages.push_back(Message(i % 3 == 0 ? alice : i % 3 == 1 ? bob : carol, kBody));
  }
  for (const auto& result : DeliverAll(std::move(messages))) EXPECT_TRUE(result.ok());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.body").Int(0, 0), 2);
  EXPECT_EQ(Superuser("SELECT sum(refs) FROM mailbox.body").Bytes(0, 0).empty(), false);
  EXPECT_EQ(Info(carol, "INBOX").messages, 10u);
  ExpectExactCounts();
}

TEST_F(DeliveryTest, UidAndModseqAreVisibleInOrder) {
  // A reader that has seen high-water mark z never later finds a message at or below z.
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    testing::TestLoop own;
    std::set<Uid> seen;
    ModSeq high = 0;
    Uid uid_next = 1;
    const MailboxId inbox = own.Run(store.Get(alice, "INBOX"))->id;
    while (!stop) {
      absl::StatusOr<Changes> changes = own.Run(store.GetChanges(alice, inbox, high, false));
      ASSERT_TRUE(changes.ok()) << changes.status();
      for (const Entry& entry : changes->changed) {
        EXPECT_GT(entry.modseq, high);
        EXPECT_LE(entry.modseq, changes->info.highest_modseq);
        EXPECT_GE(entry.uid, uid_next);
        EXPECT_LT(entry.uid, changes->info.uid_next);
        seen.insert(entry.uid);
      }
      EXPECT_EQ(seen.size(), changes->info.messages);
      high = changes->info.highest_modseq;
      uid_next = changes->info.uid_next;
    }
  });
  for (int round = 0; round < 10; ++round) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < 40; ++i) messages.push_back(Message(alice, absl::StrCat(round, "/", i)));
    for (const auto& result : DeliverAll(std::move(messages))) ASSERT_TRUE(result.ok());
  }
  stop = true;
  reader.join();
}

TEST_F(DeliveryTest, KilledConnectionsLoseAndRepeatNothing) {
  std::atomic<bool> stop{false};
  std::thread killer([&] {
    while (!stop) {
      Superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%mailbox.deliver%'"
                " AND pid <> pg_backend_pid() AND state = 'active'");
      absl::SleepFor(absl::Milliseconds(20));
    }
  });
  int accepted = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<NewMessage> messages;
    for (int i = 0; i < 50; ++i) messages.push_back(Message(alice, absl::StrCat(round, "/", i)));
    // What got no answer is sent again under its id, as the queue does.
    for (int attempt = 0; attempt < 50 && !messages.empty(); ++attempt) {
      std::vector<absl::StatusOr<StoredMessage>> results = DeliverAll(messages);
      std::vector<NewMessage> rest;
      for (std::size_t i = 0; i < messages.size(); ++i) {
        if (results[i].ok()) {
          ++accepted;
        } else {
          rest.push_back(messages[i]);
        }
      }
      messages = std::move(rest);
    }
    ASSERT_TRUE(messages.empty());
  }
  stop = true;
  killer.join();
  EXPECT_EQ(accepted, 1000);
  EXPECT_EQ(Info(alice, "INBOX").messages, 1000u);
  ExpectExactCounts();
}

TEST_F(DeliveryTest, LargeBodiesAreStoredAheadAndCollectedWhenUnreferenced) {
  std::string body = "Subject: large\r\n\r\n";
  while (body.size() < 600 * 1024) absl::StrAppend(&body, body.size(), " line of text\r\n");
  struct Writer {
    static Task<absl::StatusOr<postgres::StoredBody>> Put(postgres::BodyStore& bodies,
                                                          TenantId tenant, std::string body) {
      postgres::BodyWriter writer(bodies, tenant);
      for (std::size_t at = 0; at < body.size(); at += 100000) {
        std::string piece = body.substr(at, 100000);
        absl::Status status = co_await writer.Write(std::move(piece));
        if (!status.ok()) co_return status;
      }
      std::string info = PackFacts(FactsOf(body));
      absl::StatusOr<postgres::StoredBody> stored = co_await writer.Finish(std::move(info));
      co_return stored;
    }
    static Task<bool> Append(std::string& out, std::string piece) {
      EXPECT_LE(piece.size(), postgres::kChunkOctets);
      out += piece;
      co_return true;
    }
  };
  absl::StatusOr<postgres::StoredBody> put = loop.Run(Writer::Put(bodies, alice.tenant, body));
  ASSERT_TRUE(put.ok()) << put.status();
  absl::StatusOr<postgres::StoredBody> twice = loop.Run(Writer::Put(bodies, alice.tenant, body));
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(twice->sha256, put->sha256);
  EXPECT_EQ(Superuser("SELECT count(DISTINCT chunks_id) FROM mailbox.body_chunk").Int(0, 0), 1);
  auto prepared = loop.Run(deliveries.PrepareStored(alice.tenant, put->sha256));
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  NewMessage message = Message(alice, "");
  message.body = *prepared;
  ASSERT_TRUE(Deliver(message).ok());
  const MailboxId inbox = Info(alice, "INBOX").id;
  const std::string whole = message.prefix + body;
  for (const auto& [offset, length] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 0}, {5, 3}, {10, 20}, {17, 1}, {262144, 262144}, {262150, 400000}, {whole.size(), 5}}) {
    std::string read;
    std::function<Task<bool>(std::string)> sink = [&read](std::string piece) {
      return Writer::Append(read, std::move(piece));
    };
    ASSERT_TRUE(loop.Run(ReadMessage(bodies, alice, inbox, 1, offset, length, sink)).ok());
    EXPECT_EQ(read, whole.substr(offset, length == 0 ? std::string::npos : length)) << offset;
  }
  FetchItems items;
  items.header = items.body = true;
  FetchCursor cursor(bodies, alice, inbox, {UidRange(1, 1)}, items);
  absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_FALSE((*batch)[0].body_complete);
  EXPECT_EQ((*batch)[0].header, message.prefix + "Subject: large\r\n\r\n");
  // Referenced: it stays. Unreferenced and old enough: it goes, with its chunks.
  EXPECT_EQ(*loop.Run(bodies.Collect(alice.tenant, absl::ZeroDuration(), 100)), 0);
  ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(1, 1)}, false)).ok());
  EXPECT_EQ(*loop.Run(bodies.Collect(alice.tenant, absl::Hours(1), 100)), 0);
  EXPECT_EQ(*loop.Run(bodies.Collect(alice.tenant, absl::ZeroDuration(), 100)), 1);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.body_chunk").Int(0, 0), 0);
  message.id = MessageId::Generate(absl::Now());
  EXPECT_EQ(FailureOf(Deliver(message).status()), Failure::kUnavailable);
}

// One message by itself goes through mailbox.deliver_one, several through mailbox.deliver.
TEST_F(DeliveryTest, AMessageAloneFaresAsInAGroup) {
  const MessageId known = MessageId::Generate(absl::Now());
  NewMessage first = Message(alice, kBody, known);
  first.resend_key = "known";
  ASSERT_TRUE(Deliver(first).ok());
  const Account small = AddAccount("one", "one.test", "small@one.test", 1000);
  const std::string filler = absl::StrCat("Subject: filler\r\n\r\n", std::string(900, 'x'));
  ASSERT_TRUE(Deliver(Message(small, filler)).ok());
  const Account few = AddAccount("one", "one.test", "few@one.test");
  Superuser(absl::StrCat("UPDATE mailbox.account SET quota_messages = 1 WHERE account_id = ",
                         few.account.value()));
  ASSERT_TRUE(Deliver(Message(few, kBody)).ok());
  const std::string sent = absl::StrCat(
      "SELECT mailbox_id FROM mailbox.mailbox WHERE name = 'Sent' AND account_id = ",
      alice.account.value());
  const std::string tenant = absl::StrCat(alice.tenant.value());
  const auto of = [](Account account) { return absl::StrCat(account.account.value()); };
  const auto bytea = [](const std::string& bytes) {
    return absl::StrCat("'\\x", absl::BytesToHexString(bytes), "'::bytea");
  };
  const std::string new_id = bytea(std::string(16, 'n'));
  const std::string new_body = bytea(std::string(32, 'b'));
  const std::string stored_body = bytea(postgres::Sha256(kBody));
  const std::string null = "NULL::bytea";

  struct Case {
    const char* what;
    std::string sha256, data, account, mailbox, id, resend, flags, keywords;
    int outcome;
  };
  const std::vector<Case> cases = {
      {"new", new_body, "'d'", of(alice), "0", new_id, null, "0", "", 1},
      {"with flags", new_body, "'d'", of(alice), "(" + sent + ")", new_id, null, "5", "$a $b", 1},
      {"of a known body", stored_body, "'d'", of(bob), "0", new_id, null, "1", "", 1},
      {"of a body stored ahead", stored_body, null, of(bob), "0", new_id, null, "0", "", 1},
      {"of a body that is not stored", new_body, null, of(bob), "0", new_id, null, "0", "", 6},
      {"with a resend key", new_body, "'d'", of(alice), "0", new_id, "'new'", "0", "", 1},
      {"resent", new_body, "'d'", of(alice), "0", new_id, "'known'", "0", "", 2},
      {"known", new_body, "'d'", of(alice), "0", bytea(known.bytes()), null, "0", "", 2},
      {"known, and the mailbox is gone", new_body, "'d'", of(alice), "99999", bytea(known.bytes()),
       null, "0", "", 2},
      {"for another's mailbox", new_body, "'d'", of(bob), "(" + sent + ")", new_id, null, "0", "", 5},
      {"for nobody", new_body, "'d'", "99999", "0", new_id, null, "0", "", 4},
      {"too large", new_body, "'d'", of(small), "0", new_id, null, "0", "", 3},
      {"one too many", new_body, "'d'", of(few), "0", new_id, null, "0", "", 3},
      {"too large, of a body that is not stored", new_body, null, of(small), "0", new_id, null, "0",
       "", 6},
  };
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(ConnectionFor(url));
  ASSERT_TRUE(connection.ok()) << connection.status();
  const auto exec = [&](const std::string& sql) {
    absl::StatusOr<postgres::Result> result = (*connection)->Exec(sql);
    EXPECT_TRUE(result.ok()) << sql << ": " << result.status();
    return result.ok() ? *std::move(result) : postgres::Result();
  };
  // What it answers, and all rows of the tenant after it; then it is undone.
  const auto run = [&](const std::string& sql) {
    exec("SAVEPOINT s");
    std::vector<std::string> found;
    const postgres::Result answer = exec(absl::StrCat("SELECT a::text, a.o_outcome::bigint FROM (", sql, ") a"));
    found.push_back(answer.Text(0, 0));
    for (const char* table : {"account", "mailbox", "entry", "email", "body", "delivery"}) {
      const postgres::Result rows = exec(absl::StrCat(
          "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM mailbox.", table, " t"));
      found.push_back(rows.Text(0, 0));
    }
    exec("ROLLBACK TO s");
    return std::pair(answer.Int(0, 1), found);
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    exec("BEGIN");
    exec(absl::StrCat("SELECT set_config('app.t', '{", tenant, "}', true)"));
    const auto alone = run(absl::StrCat(
        "SELECT o_outcome, o_uid, o_modseq, o_uid_validity FROM mailbox.deliver_one(", tenant, ", ",
        c.sha256, ", 500, ", c.data, ", 'e', 's', ", c.account, ", ", c.mailbox, ", ", c.id, ", ",
        c.resend, ", 'prefix', now(), ", c.flags, ", '", c.keywords, "', 7::smallint)"));
    const auto grouped = run(absl::StrCat(
        "SELECT o_outcome, o_uid, o_modseq, o_uid_validity FROM mailbox.deliver('{", tenant,
        "}', ARRAY[", tenant, "], ARRAY[", c.sha256, "], ARRAY[500], ARRAY[", c.data,
        "]::bytea[], ARRAY['e'::bytea], ARRAY['s'::bytea], ARRAY[1], ARRAY[", c.account, "], ARRAY[",
        c.mailbox, "], ARRAY[", c.id, "], ARRAY[", c.resend, "]::bytea[], ARRAY['prefix'::bytea],"
        " ARRAY[now()], ARRAY[", c.flags, "], ARRAY['", c.keywords, "'], 7::smallint)"));
    EXPECT_EQ(alone.first, c.outcome);
    EXPECT_EQ(alone.second, grouped.second);
    exec("ROLLBACK");
  }
}

TEST_F(DeliveryTest, StoresAllOfSeveralOrNone) {
  const Account carol = AddAccount("one", "one.test", "carol@one.test", 200);
  const auto messages = [&](int count, std::size_t size) {
    std::vector<NewMessage> all;
    for (int i = 0; i < count; ++i) all.push_back(Message(carol, std::string(size - 18, 'x') + "\n"));
    return all;
  };
  absl::StatusOr<std::vector<StoredMessage>> stored =
      loop.Run(deliveries.StoreAll(messages(2, 50)));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ((*stored)[0].uid, 1u);
  EXPECT_EQ((*stored)[1].uid, 2u);
  EXPECT_EQ(Info(carol, "INBOX").highest_modseq, (*stored)[1].modseq);
  // The first two would fit.
  EXPECT_EQ(FailureOf(loop.Run(deliveries.StoreAll(messages(3, 50))).status()),
            Failure::kOverQuota);
  EXPECT_EQ(FailureOf(loop.Run(deliveries.StoreAll(messages(1, 500))).status()),
            Failure::kOverQuota);
  std::vector<NewMessage> lost = messages(2, 50);
  lost[1].mailbox = MailboxId(999999);
  EXPECT_EQ(FailureOf(loop.Run(deliveries.StoreAll(std::move(lost))).status()),
            Failure::kNoSuchMailbox);
  EXPECT_EQ(Info(carol, "INBOX").messages, 2u);
  EXPECT_EQ(Info(carol, "INBOX").uid_next, 3u);
  ASSERT_TRUE(loop.Run(deliveries.StoreAll(messages(2, 50))).ok());
  ExpectExactCounts();
}

}  // namespace
}  // namespace posthorn::mailbox
