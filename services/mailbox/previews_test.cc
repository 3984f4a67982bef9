#include "services/mailbox/previews.h"

#include <gtest/gtest.h>

#include <optional>

#include "services/mailbox/message_facts.h"
#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class PreviewsTest : public StoreTest {
 protected:
  std::vector<std::optional<std::string>> Previews(bool make,
                                                   const std::string& mailbox = "INBOX") {
    FetchItems items;
    items.preview = true;
    items.make_previews = make;
    FetchCursor cursor(bodies, alice, Info(alice, mailbox).id, {UidRange(1, 0xffffffff)}, items);
    std::vector<std::optional<std::string>> previews;
    for (;;) {
      absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || batch->empty()) return previews;
      for (const FetchedMessage& message : *batch) previews.push_back(message.preview);
    }
  }
};

TEST_F(PreviewsTest, AreMadeOnceAndKept) {
  DeliverTo(alice, "Subject: a\r\n\r\nfirst text\r\n");
  DeliverTo(alice, "MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx");
  using Texts = std::vector<std::optional<std::string>>;
  EXPECT_EQ(Previews(false), (Texts{std::nullopt, std::nullopt}));
  EXPECT_EQ(Previews(true), (Texts{"first text", ""}));
  EXPECT_EQ(Previews(false), (Texts{"first text", ""}));
  // Not from the body any more, and the same for a copy.
  Superuser("UPDATE mailbox.email SET preview = 'kept' WHERE email_id = 2");
  ASSERT_TRUE(
      loop.Run(store.Copy(alice, Info(alice, "INBOX").id, {UidRange(1, 1)}, "Sent", false)).ok());
  EXPECT_EQ(Previews(true, "Sent"), Texts{"kept"});
}

TEST_F(PreviewsTest, OfALargeBodyReadsTheTextPart) {
  const std::string body =
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
      "Content-Type: application/octet-stream\r\n\r\n" +
      std::string(600000, 'x') +
      "\r\n--b\r\nContent-Type: text/plain\r\n\r\nbehind it\r\n--b--\r\n";
  postgres::BodyWriter writer(bodies, alice.tenant);
  ASSERT_TRUE(loop.Run(writer.Write(body)).ok());
  absl::StatusOr<postgres::StoredBody> stored = loop.Run(writer.Finish(PackFacts(FactsOf(body))));
  ASSERT_TRUE(stored.ok()) << stored.status();
  NewMessage message = Message(alice, "");
  message.body = *loop.Run(deliveries.PrepareStored(alice.tenant, stored->sha256));
  ASSERT_TRUE(Deliver(std::move(message)).ok());
  EXPECT_EQ(Previews(true), std::vector<std::optional<std::string>>{"behind it"});
}

}  // namespace
}  // namespace posthorn::mailbox
