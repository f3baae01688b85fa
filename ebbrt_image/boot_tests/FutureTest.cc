#include "event/Future.h"

#include <memory>

#include "Support.h"
#include "mm/PageAllocator.h"

using namespace ebbrt;

namespace {

void ThenBeforeTheValue() {
  Promise<int> promise;
  auto future = promise.GetFuture();
  int seen = 0;
  auto next = future.Then([&seen](int value) {
    seen = value;
    return value + 1;
  });
  kassert(!future.ready() && !next.ready());
  promise.SetValue(41);
  // The continuation has run before SetValue returned.
  kassert(seen == 41 && next.ready());
  kassert(next.Block() == 42);
}

void ThenAfterTheValue() {
  auto future = MakeReadyFuture(7);
  kassert(future.ready());
  bool ran = false;
  auto done = future.Then([&ran](int value) { ran = value == 7; });
  kassert(ran && done.Block());
}

void Chains() {
  Promise<int> promise;
  auto end = promise.GetFuture()
                 .Then([](int n) { return n * 2; })
                 .Then([](int n) { return std::make_unique<int>(n); })
                 .Then([](std::unique_ptr<int> n) { return *n + 1; });
  promise.SetValue(10);
  kassert(end.Block() == 21);
}

void BlockWaits() {
  Promise<int> promise;
  int steps = 0;
  event_manager->Spawn([&] {
    ++steps;
    promise.SetValue(5);
    ++steps;
  });
  kassert(promise.GetFuture().Block() == 5);
  kassert(steps == 2);
}

void MoveOnlyValues() {
  Promise<std::unique_ptr<int>> promise;
  auto future = promise.GetFuture();
  event_manager->Spawn([promise = std::move(promise)]() mutable {
    promise.SetValue(std::make_unique<int>(3));
  });
  auto value = future.Block();
  kassert(value && *value == 3);
}

// Another core fulfils a promise by an event on the promise's core.
void OtherCoreFulfils() {
  for (unsigned core = 0; core < cpu::Count(); ++core) {
    Promise<unsigned> promise;
    EventManager::SpawnRemote(
        [&promise] {
          auto index = cpu::Index();
          EventManager::SpawnRemote(
              [&promise, index] { promise.SetValue(index); }, 0);
        },
        core);
    kassert(promise.GetFuture().Block() == core);
  }
}

void NothingIsLeftBehind() {
  auto use = [] {
    for (int i = 0; i < 2000; ++i) {
      Promise<int> promise;
      auto future = promise.GetFuture().Then([](int n) { return n; });
      promise.SetValue(i);
      kassert(future.Block() == i);
      // Never fulfilled, with nobody who waits.
      Promise<std::unique_ptr<int>> lost;
      auto lost_future = lost.GetFuture();
    }
  };
  use();
  auto before = PageAllocator::FreeFrames();
  use();
  kassert(PageAllocator::FreeFrames() == before);
}

// A continuation must not keep its own state alive.
void LostContinuationsAreFreed() {
  auto use = [] {
    for (int i = 0; i < 2000; ++i) {
      Promise<int> promise;
      auto future = promise.GetFuture().Then([](int n) { return n; });
    }
  };
  use();
  auto before = PageAllocator::FreeFrames();
  use();
  kassert(PageAllocator::FreeFrames() == before);
}

}  // namespace

void AppMain() {
  test::Case("then before the value", ThenBeforeTheValue);
  test::Case("then after the value", ThenAfterTheValue);
  test::Case("chains", Chains);
  test::Case("block", BlockWaits);
  test::Case("move-only values", MoveOnlyValues);
  test::Case("other cores", OtherCoreFulfils);
  test::Case("nothing left", NothingIsLeftBehind);
  test::Case("lost continuations", LostContinuationsAreFreed);
  test::Pass();
}
