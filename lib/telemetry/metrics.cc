#include "lib/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <mutex>
#include <utility>

namespace posthorn::metrics {

// Never destroyed: metrics outlive every static that counts.
class Registry {
 public:
  static Registry& Get() {
    static auto* const registry = new Registry();
    return *registry;
  }

  Counter& MakeCounter(const std::string& name, const std::string& help, const Labels& labels) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Counter>& slot = counters_[{name, labels}];
    if (slot == nullptr) {
      auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
      slot.reset(new Counter(&family.Add(labels)));
    }
    return *slot;
  }

  Gauge& MakeGauge(const std::string& name, const std::string& help, const Labels& labels) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Gauge>& slot = gauges_[{name, labels}];
    if (slot == nullptr) {
      auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
      slot.reset(new Gauge(&family.Add(labels)));
    }
    return *slot;
  }

  Histogram& MakeHistogram(const std::string& name, const std::string& help,
                           const std::vector<double>& buckets, const Labels& labels) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Histogram>& slot = histograms_[{name, labels}];
    if (slot == nullptr) {
      auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
      slot.reset(new Histogram(&family.Add(labels, buckets)));
    }
    return *slot;
  }

  std::string Render() { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

 private:
  using Key = std::pair<std::string, Labels>;

  prometheus::Registry registry_;
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Counter>> counters_;      // guarded by mutex_
  std::map<Key, std::unique_ptr<Gauge>> gauges_;          // guarded by mutex_
  std::map<Key, std::unique_ptr<Histogram>> histograms_;  // guarded by mutex_
};

void Counter::Increment(double by) { static_cast<prometheus::Counter*>(real_)->Increment(by); }
void Gauge::Increment(double by) { static_cast<prometheus::Gauge*>(real_)->Increment(by); }
void Gauge::Decrement(double by) { static_cast<prometheus::Gauge*>(real_)->Decrement(by); }
void Gauge::Set(double value) { static_cast<prometheus::Gauge*>(real_)->Set(value); }
void Histogram::Observe(double value) {
  static_cast<prometheus::Histogram*>(real_)->Observe(value);
}

Counter& MakeCounter(const std::string& name, const std::string& help, const Labels& labels) {
  return Registry::Get().MakeCounter(name, help, labels);
}
Gauge& MakeGauge(const std::string& name, const std::string& help, const Labels& labels) {
  return Registry::Get().MakeGauge(name, help, labels);
}
Histogram& MakeHistogram(const std::string& name, const std::string& help,
                         const std::vector<double>& buckets, const Labels& labels) {
  return Registry::Get().MakeHistogram(name, help, buckets, labels);
}

const std::vector<double>& LatencyBuckets() {
  static const auto* const buckets = new std::vector<double>{
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
      1,      2.5,     5,      10};
  return *buckets;
}

std::string Render() { return Registry::Get().Render(); }

}  // namespace posthorn::metrics
