#ifndef POSTHORN_LIB_NET_NET_TEST_SUPPORT_H_
#define POSTHORN_LIB_NET_NET_TEST_SUPPORT_H_

// For lib/net's tests.

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/net/stream.h"

namespace posthorn::net {

template <typename T>
Task<void> Deliver(Task<T> task, std::promise<T>& promise) {
  promise.set_value(co_await std::move(task));
}

// Runs `task` on `loop` and waits for its value.
template <typename T>
T RunOn(EventLoop& loop, Task<T> task) {
  std::promise<T> promise;
  std::future<T> future = promise.get_future();
  Spawn(loop, Deliver(std::move(task), promise));
  return future.get();
}

// Streams are destroyed on their loop.
inline void Destroy(EventLoop& loop, std::unique_ptr<Stream> stream) {
  std::promise<void> done;
  loop.Post([&done, &stream] {
    stream.reset();
    done.set_value();
  });
  done.get_future().wait();
}

// Two connected ends on one loop.
struct SocketPair {
  std::unique_ptr<Stream> server;
  std::unique_ptr<Stream> client;
};
SocketPair MakeSocketPair(EventLoop& loop);

// A self-signed certificate in files of its own.
struct TestCertificate {
  // `names`: subjectAltName as OpenSSL's configuration writes it.
  explicit TestCertificate(std::string names = "DNS:mx.example,DNS:localhost,IP:127.0.0.1");
  ~TestCertificate();
  void Renew();  // another one in the same files
  // One that an authority has signed, which follows it in certificate_file and is alone in
  // issuer_file.
  void RenewIssued();
  const std::string names;
  std::string directory;
  std::string certificate_file;
  std::string key_file;
  std::string issuer_file;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_NET_TEST_SUPPORT_H_
