#ifndef POSTHORN_LIB_TELEMETRY_METRICS_H_
#define POSTHORN_LIB_TELEMETRY_METRICS_H_

#include <map>
#include <string>
#include <vector>

// Metrics of this process, served at /metrics. Names: posthorn_<service>_<thing>_<unit>; the help
// text says what an operator should do about it. Make each once and keep the reference:
//   metrics::Counter& accepted = metrics::MakeCounter(
//       "posthorn_gateway_messages_total", "Messages answered with 250. A sudden drop: ...");
// The same name and labels give the same metric. Metrics live as long as the process. Labels have
// few values: never an address, id or host name. Thread-safe.
namespace posthorn::metrics {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  void Increment(double by = 1);

 private:
  friend class Registry;
  explicit Counter(void* real) : real_(real) {}
  void* const real_;
};

class Gauge {
 public:
  void Increment(double by = 1);
  void Decrement(double by = 1);
  void Set(double value);

 private:
  friend class Registry;
  explicit Gauge(void* real) : real_(real) {}
  void* const real_;
};

class Histogram {
 public:
  void Observe(double value);

 private:
  friend class Registry;
  explicit Histogram(void* real) : real_(real) {}
  void* const real_;
};

Counter& MakeCounter(const std::string& name, const std::string& help, const Labels& labels = {});
Gauge& MakeGauge(const std::string& name, const std::string& help, const Labels& labels = {});
// `buckets`: upper bounds, ascending.
Histogram& MakeHistogram(const std::string& name, const std::string& help,
                         const std::vector<double>& buckets, const Labels& labels = {});

// For durations in seconds: 100 us to 10 s.
const std::vector<double>& LatencyBuckets();

// All metrics in the Prometheus text format.
std::string Render();

}  // namespace posthorn::metrics

#endif  // POSTHORN_LIB_TELEMETRY_METRICS_H_
