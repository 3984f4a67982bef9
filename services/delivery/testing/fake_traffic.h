#ifndef POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_TRAFFIC_H_
#define POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_TRAFFIC_H_

#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/delivery/traffic_port.h"

namespace posthorn::delivery {

// For unit tests: grants unless told otherwise, and keeps what it is asked and told.
class FakeTraffic final : public TrafficPort {
 public:
  std::deque<Answer> answers;  // the next ones; then all is granted
  absl::Status failure = absl::OkStatus();
  absl::Duration free_for = absl::ZeroDuration();
  std::vector<Question> questions;
  std::vector<Notice> notices;
  std::set<std::string> standing;  // connections, by token
  int most_standing = 0;
  std::vector<std::size_t> kept;   // how many, by call

  static Answer Wait(absl::Duration wait, bool whole_site, std::string reason = "slow down") {
    Answer answer;
    answer.granted = false;
    answer.wait = wait;
    answer.whole_site = whole_site;
    answer.reason = std::move(reason);
    return answer;
  }
  static Answer Probe() {
    Answer answer;
    answer.probe = true;
    return answer;
  }

  Task<absl::StatusOr<Answer>> Admit(Question question) override {
    questions.push_back(std::move(question));
    if (!failure.ok()) co_return failure;
    Answer answer;
    answer.free_for = free_for;
    if (!answers.empty()) {
      answer = answers.front();
      answers.pop_front();
    }
    co_return answer;
  }
  Task<absl::StatusOr<SlotAnswer>> TakeConnection(TenantId, Slot slot, int limit) override {
    if (!failure.ok()) co_return failure;
    SlotAnswer answer;
    answer.granted = static_cast<int>(standing.size()) < limit;
    answer.wait = absl::Seconds(1);
    if (answer.granted) standing.insert(slot.token);
    most_standing = std::max(most_standing, static_cast<int>(standing.size()));
    co_return answer;
  }
  Task<absl::Status> HoldConnections(std::vector<Slot> keep, std::vector<Slot> drop) override {
    kept.push_back(keep.size());
    for (const Slot& slot : keep) standing.insert(slot.token);
    for (const Slot& slot : drop) standing.erase(slot.token);
    co_return failure;
  }
  Task<absl::Status> Note(Notice notice) override {
    notices.push_back(std::move(notice));
    co_return failure;
  }
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TESTING_FAKE_TRAFFIC_H_
