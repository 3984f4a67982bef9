#include "lib/net/deflate_stream.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <optional>
#include <random>

#include "lib/base/manual_executor.h"
#include "lib/net/memory_stream.h"

namespace posthorn::net {
namespace {

class DeflateStreamTest : public testing::Test {
 protected:
  // What `from` has to give until it waits; nullopt: an error.
  std::optional<std::string> ReadAll(Stream& from) {
    std::string all;
    for (;;) {
      const std::optional<absl::StatusOr<std::string>> bytes =
          executor_.Run(from.ReadSome(absl::Milliseconds(1)));
      if (!bytes.has_value()) {
        executor_.Advance(absl::Milliseconds(2));
        return all;
      }
      if (!bytes->ok()) return std::nullopt;
      if ((*bytes)->empty()) return all + "<closed>";
      EXPECT_LE((*bytes)->size(), 64u * 1024);
      all += **bytes;
    }
  }
  void Write(Stream& to, std::string bytes) {
    const auto written = executor_.Run(to.WriteAll(std::move(bytes), absl::Seconds(1)));
    ASSERT_TRUE(written.has_value());
    EXPECT_TRUE(written->ok()) << *written;
  }
  static std::string Noise(std::size_t size) {
    std::mt19937 random(7);
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    return noise;
  }

  ManualExecutor executor_;
  MemoryPipe pipe_ = MakeMemoryPipe(PeerAddress());
  std::unique_ptr<Stream> server_ = MakeDeflateStream(*pipe_.server);
  std::unique_ptr<Stream> client_ = MakeDeflateStream(*pipe_.client);
};

TEST_F(DeflateStreamTest, WhatIsWrittenArrivesAtOnceAndSmaller) {
  const std::string text = "* 1 FETCH (FLAGS (\\Seen))\r\n";
  for (int i = 0; i < 3; ++i) {
    Write(*server_, text);
    EXPECT_EQ(ReadAll(*client_), text);
  }
  std::string repeated;
  for (int i = 0; i < 1000; ++i) repeated += text;
  Write(*server_, repeated);
  const std::optional<std::string> wire = ReadAll(*pipe_.client);
  ASSERT_TRUE(wire.has_value());
  EXPECT_LT(wire->size(), repeated.size() / 50);
}

TEST_F(DeflateStreamTest, BothDirectionsAndAllSizes) {
  for (const std::size_t size : {1u, 255u, 65536u, 65537u, 300000u}) {
    const std::string noise = Noise(size);
    Write(*server_, noise);
    EXPECT_EQ(ReadAll(*client_), noise) << size;
    Write(*client_, noise + noise);
    EXPECT_EQ(ReadAll(*server_), noise + noise) << size;
  }
}

TEST_F(DeflateStreamTest, AFewOctetsThatBecomeManyComeInPieces) {
  const std::string zeros(20 * 1024 * 1024, '\0');
  Write(*client_, zeros);
  EXPECT_EQ(ReadAll(*server_), zeros);  // which checks the size of each piece
}

TEST_F(DeflateStreamTest, OctetByOctet) {
  Write(*client_, "a NOOP\r\n");
  const std::optional<std::string> wire = ReadAll(*pipe_.server);
  ASSERT_TRUE(wire.has_value());
  std::string text;
  for (const char c : *wire) {
    Write(*pipe_.client, std::string(1, c));
    text += *ReadAll(*server_);
  }
  EXPECT_EQ(text, "a NOOP\r\n");
}

TEST_F(DeflateStreamTest, WhatIsNoDeflateIsAnError) {
  Write(*pipe_.client, "\xff\xff\xff\xff a NOOP\r\n");
  EXPECT_EQ(ReadAll(*server_), std::nullopt);
}

TEST_F(DeflateStreamTest, EndsReadAsClosed) {
  z_stream z{};
  ASSERT_EQ(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  char in[] = "bye";
  char out[100];
  z.next_in = reinterpret_cast<Bytef*>(in);
  z.avail_in = 3;
  z.next_out = reinterpret_cast<Bytef*>(out);
  z.avail_out = sizeof out;
  ASSERT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  Write(*pipe_.client, std::string(out, sizeof out - z.avail_out));
  deflateEnd(&z);
  EXPECT_EQ(ReadAll(*server_), "bye<closed>");
  pipe_.server->Close();
  EXPECT_EQ(ReadAll(*client_), "<closed>");
}

TEST_F(DeflateStreamTest, AnInterruptEndsAReadAndTheStreamGoesOn) {
  std::optional<absl::StatusOr<std::string>> result;
  const auto read = [](Stream& stream,
                       std::optional<absl::StatusOr<std::string>>& into) -> Task<void> {
    into = co_await stream.ReadSome(absl::Seconds(10));
  };
  Spawn(executor_, read(*server_, result));
  executor_.RunUntilIdle();
  server_->Interrupt();
  executor_.RunUntilIdle();
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(absl::IsCancelled(result->status()));
  Write(*client_, "DONE\r\n");
  EXPECT_EQ(ReadAll(*server_), "DONE\r\n");
}

}  // namespace
}  // namespace posthorn::net
