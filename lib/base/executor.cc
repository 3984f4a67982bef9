#include "lib/base/executor.h"

#include <utility>

namespace posthorn {
namespace {
thread_local Executor* current_executor = nullptr;
thread_local int synchronous_depth = 0;
}  // namespace

Executor* Executor::Current() { return current_executor; }

Executor::Scope::Scope(Executor* executor)
    : previous_(std::exchange(current_executor, executor)),
      previous_depth_(std::exchange(synchronous_depth, 0)) {}

Executor::Scope::~Scope() {
  current_executor = previous_;
  synchronous_depth = previous_depth_;
}

namespace internal {
int& SynchronousDepth() { return synchronous_depth; }
}  // namespace internal

}  // namespace posthorn
