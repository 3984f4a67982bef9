#include "services/mailbox/passwords.h"

#include <sodium.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/base/one_shot.h"
#include "services/mailbox/password_hash.h"

namespace posthorn::mailbox {
namespace {

// OWASP's minimum for Argon2id: 19 MiB, two passes.
constexpr unsigned long long kPasses = 2;
constexpr std::size_t kMemory = 19 * 1024 * 1024;
constexpr absl::Duration kRemember = absl::Minutes(5);
constexpr std::size_t kMaxRemembered = 100000;
// Waiting longer than this many checks a thread makes clients time out: better to say so.
constexpr std::size_t kMaxWaitingPerThread = 50;

// Without what is easily taken for something else.
constexpr std::string_view kEasyLetters = "abcdefghjkmnpqrstuvwxyz23456789";
constexpr std::size_t kGroups = 6;
constexpr std::size_t kGroupSize = 4;

std::string HashNow(const std::string& password) {
  char hash[crypto_pwhash_STRBYTES];
  if (crypto_pwhash_str_alg(hash, password.data(), password.size(), kPasses, kMemory,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return "";
  }
  return hash;
}

}  // namespace

struct Passwords::Impl {
  Impl(int thread_count, const Clock& clock_in) : clock(clock_in) {
    if (sodium_init() < 0) std::abort();
    randombytes_buf(cache_key, sizeof(cache_key));
    // What unknown names are checked against, so that they take as long.
    decoy = HashNow("decoy");
    max_waiting = kMaxWaitingPerThread * static_cast<std::size_t>(std::max(1, thread_count));
    for (int i = 0; i < std::max(1, thread_count); ++i) threads.emplace_back([this] { Work(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    ready.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void Work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ready.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (jobs.empty()) return;
      std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }

  bool Submit(std::function<void()> job) {
    {
      std::lock_guard lock(mutex);
      if (stopping || jobs.size() >= max_waiting) return false;
      jobs.push_back(std::move(job));
    }
    ready.notify_one();
    return true;
  }

  std::string CacheKey(AccountId account, std::int64_t version, const std::string& password) {
    const std::string input = absl::StrCat(account.value(), "/", version, "/", password);
    std::string key(crypto_generichash_BYTES, '\0');
    crypto_generichash(reinterpret_cast<unsigned char*>(key.data()), key.size(),
                       reinterpret_cast<const unsigned char*>(input.data()), input.size(),
                       cache_key, sizeof(cache_key));
    return key;
  }

  bool IsRemembered(const std::string& key) {
    std::lock_guard lock(mutex);
    const auto found = remembered.find(key);
    if (found == remembered.end()) return false;
    if (found->second > clock.Now()) return true;
    remembered.erase(found);
    return false;
  }

  void Remember(std::string key) {
    const absl::Time now = clock.Now();
    std::lock_guard lock(mutex);
    if (remembered.size() >= kMaxRemembered) {
      absl::erase_if(remembered, [now](const auto& entry) { return entry.second <= now; });
      if (remembered.size() >= kMaxRemembered) remembered.clear();
    }
    remembered[std::move(key)] = now + kRemember;
  }

  const Clock& clock;
  unsigned char cache_key[crypto_generichash_KEYBYTES];
  std::string decoy;
  std::size_t max_waiting;
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::function<void()>> jobs;                      // guarded by mutex
  absl::flat_hash_map<std::string, absl::Time> remembered;     // guarded by mutex
  bool stopping = false;                                       // guarded by mutex
  std::vector<std::thread> threads;
};

Passwords::Passwords(int threads, const Clock& clock)
    : impl_(std::make_unique<Impl>(threads, clock)) {}

Passwords::~Passwords() = default;

Task<absl::StatusOr<PasswordRecord>> Passwords::Make(std::string password,
                                                     ScramParameters parameters) {
  if (password.empty() || password.size() > kMaxPasswordOctets) {
    co_return MakeFailure(Failure::kInvalidArgument, "a password has 1 to 1024 octets");
  }
  PasswordRecord record;
  record.scram = std::move(parameters);
  OneShot<bool> done;
  const bool accepted = impl_->Submit([&] {
    record.hash = HashNow(sasl::PreparePassword(password));
    record.keys = sasl::MakeScramKeys(password, record.scram.salt, record.scram.iterations);
    done.Set(true);
  });
  if (!accepted) co_return MakeFailure(Failure::kAuthenticationBusy);
  co_await done;
  if (record.hash.empty()) co_return MakeFailure(Failure::kAuthenticationBusy);
  co_return record;
}

Task<absl::Status> Passwords::Check(AccountId account, std::int64_t credential_version,
                                    std::string hash, std::string password) {
  if (password.size() > kMaxPasswordOctets) co_return MakeFailure(Failure::kAuthenticationFailed);
  const bool known = !hash.empty();
  std::string key = impl_->CacheKey(account, credential_version, password);
  if (known && impl_->IsRemembered(key)) co_return absl::OkStatus();
  const std::string& against = known ? hash : impl_->decoy;
  OneShot<bool> done;
  const bool accepted = impl_->Submit([&] {
    const std::string prepared = sasl::PreparePassword(password);
    // Other systems hash what was typed.
    done.Set(VerifyPasswordHash(against, prepared) ||
             (prepared != password && VerifyPasswordHash(against, password)));
  });
  if (!accepted) co_return MakeFailure(Failure::kAuthenticationBusy);
  const bool matches = co_await done;
  if (!matches || !known) co_return MakeFailure(Failure::kAuthenticationFailed);
  impl_->Remember(std::move(key));
  co_return absl::OkStatus();
}

std::string NewApiKey() {
  unsigned char bytes[32];
  randombytes_buf(bytes, sizeof(bytes));
  char text[64];
  sodium_bin2base64(text, sizeof(text), bytes, sizeof(bytes),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  return absl::StrCat("ph_", text);
}

std::string HashApiKey(std::string_view key) {
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                     reinterpret_cast<const unsigned char*>(key.data()), key.size());
  return hash;
}

std::string NewAppPassword() {
  std::string password;
  for (std::size_t group = 0; group < kGroups; ++group) {
    if (group > 0) password += '-';
    for (std::size_t i = 0; i < kGroupSize; ++i) {
      password += kEasyLetters[randombytes_uniform(kEasyLetters.size())];
    }
  }
  return password;
}

bool LooksLikeAppPassword(std::string_view password) {
  if (password.size() != kGroups * (kGroupSize + 1) - 1) return false;
  for (std::size_t i = 0; i < password.size(); ++i) {
    const bool separator = i % (kGroupSize + 1) == kGroupSize;
    if (separator ? password[i] != '-'
                  : kEasyLetters.find(password[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace posthorn::mailbox
