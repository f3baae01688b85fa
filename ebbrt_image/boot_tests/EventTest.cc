#include "Support.h"
#include "lib/Vector.h"
#include "mm/PageAllocator.h"

using namespace ebbrt;

namespace {

constexpr unsigned kRounds = 200;

void SpawnOrder() {
  Vector<int> order;
  for (int i = 0; i < 5; ++i)
    event_manager->Spawn([&order, i] { order.PushBack(i); });
  kassert(order.empty());
  event_manager->Yield();
  kassert(order.size() == 5);
  for (int i = 0; i < 5; ++i)
    kassert(order[static_cast<size_t>(i)] == i);
}

void SpawnedByAnEventGoesBehind() {
  Vector<int> order;
  event_manager->Spawn([&order] {
    event_manager->Spawn([&order] { order.PushBack(3); });
    order.PushBack(1);
  });
  event_manager->Spawn([&order] { order.PushBack(2); });
  event_manager->Yield();
  event_manager->Yield();
  kassert(order.size() == 3);
  kassert(order[0] == 1 && order[1] == 2 && order[2] == 3);
}

void YieldTakesTurns() {
  Vector<int> order;
  for (int id = 0; id < 3; ++id)
    event_manager->Spawn([&order, id] {
      for (unsigned i = 0; i < kRounds; ++i) {
        order.PushBack(id);
        event_manager->Yield();
      }
    });
  while (order.size() < 3 * kRounds)
    event_manager->Yield();
  for (unsigned i = 0; i < 3 * kRounds; ++i)
    kassert(order[i] == static_cast<int>(i % 3));
  event_manager->Yield();
}

void QueuedEventsRunBeforeThoseThatYielded() {
  Vector<int> order;
  event_manager->Spawn([&order] {
    event_manager->Spawn([&order] { order.PushBack(2); });
    event_manager->Yield();
    order.PushBack(3);
  });
  event_manager->Spawn([&order] { order.PushBack(1); });
  while (order.size() < 3)
    event_manager->Yield();
  for (int i = 0; i < 3; ++i)
    kassert(order[static_cast<size_t>(i)] == i + 1);
  kassert(!event_manager->queued() && !event_manager->yielded());
}

void SteppingAsideKeepsTheTurn() {
  Vector<int> order;
  event_manager->Spawn([&order] {
    event_manager->Yield();
    order.PushBack(2);
  });
  event_manager->Spawn([&order] {
    event_manager->Spawn([&order] { order.PushBack(0); });
    event_manager->StepAside();
    order.PushBack(1);
  });
  while (order.size() < 3)
    event_manager->Yield();
  for (int i = 0; i < 3; ++i)
    kassert(order[static_cast<size_t>(i)] == i);
}

// Fills the callee-saved registers, blocks, and looks at them.
bool KeepsRegisters(uint64_t salt, EventContext& context) {
  uint64_t a = salt * 3, b = salt * 5, c = salt * 7, d = salt * 11,
           e = salt * 13;
  asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
  event_manager->SaveContext(context);
  asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
  return a == salt * 3 && b == salt * 5 && c == salt * 7 && d == salt * 11 &&
         e == salt * 13;
}

void BlockedEventsResumeWhole() {
  constexpr unsigned kEvents = 8;
  EventContext contexts[kEvents];
  unsigned good = 0;
  for (unsigned i = 0; i < kEvents; ++i)
    event_manager->Spawn(
        [&, i] { good += KeepsRegisters(i + 1, contexts[i]); });
  event_manager->Yield();
  kassert(good == 0);
  for (unsigned i = kEvents; i-- > 0;)
    EventManager::ActivateContext(contexts[i]);
  event_manager->Yield();
  kassert(good == kEvents);
}

[[noreturn]] void DeepExit(unsigned depth) {
  if (depth == 0)
    event_manager->Exit();
  DeepExit(depth - 1);
}

void ExitEndsTheEvent() {
  bool after = false, next = false;
  event_manager->Spawn([&after] {
    DeepExit(20);
    after = true;
  });
  event_manager->Spawn([&next] { next = true; });
  event_manager->Yield();
  kassert(next && !after);
}

void StacksAreReused() {
  auto block_some = [] {
    constexpr unsigned kEvents = 10;
    EventContext contexts[kEvents];
    unsigned done = 0;
    for (auto& context : contexts)
      event_manager->Spawn([&] {
        event_manager->SaveContext(context);
        ++done;
      });
    event_manager->Yield();
    for (auto& context : contexts)
      EventManager::ActivateContext(context);
    event_manager->Yield();
    kassert(done == kEvents);
  };
  block_some();
  auto stacks = StackPool::Count();
  kassert(stacks >= 11);
  for (int i = 0; i < 20; ++i)
    block_some();
  kassert(StackPool::Count() == stacks);
  // Events that end need no stack at all.
  for (unsigned i = 0; i < kRounds; ++i) {
    event_manager->Spawn([] {});
    event_manager->Yield();
  }
  kassert(StackPool::Count() == stacks);
}

// So many events block at the same time on this core, each deep in its stack.
void BlockMany(unsigned events) {
  Vector<EventContext*> blocked;
  unsigned whole = 0;
  for (unsigned i = 0; i < events; ++i)
    event_manager->Spawn([&] {
      EventContext context;
      blocked.PushBack(&context);
      whole += KeepsRegisters(i + 1, context);
    });
  while (blocked.size() < events)
    event_manager->Yield();
  for (size_t i = 0; i < events; ++i)
    EventManager::ActivateContext(*blocked[i]);
  while (whole < events)
    event_manager->Yield();
}

constexpr unsigned kManyEvents = 300;
constexpr size_t kStackFrames = kEventStackSize / kPageSize;
// What all cores may keep: the pool, what each core has free, and what it runs
// and blocks on.
size_t MostStacks() {
  return StackPool::kKept + StackPool::kBatch + cpu::Count() * 11;
}

// Flushing is the other cores' work too.
void AwaitFewStacks() {
  while (StackPool::Count() > MostStacks())
    event_manager->Yield();
}

void StacksAreGivenBack() {
  BlockMany(kManyEvents);  // page tables for so many stay
  AwaitFewStacks();
  auto frames = PageAllocator::FreeFrames();
  auto stacks = StackPool::Count();
  for (unsigned round = 0; round < 5; ++round)
    BlockMany(kManyEvents);
  AwaitFewStacks();
  // A batch leaves the count before all cores have flushed and its frames are
  // free.
  auto expected = frames + (stacks - StackPool::Count()) * kStackFrames;
  auto deadline = clock::Uptime() + 10000 * test::kMillisecond;
  while (PageAllocator::FreeFrames() + cpu::Count() < expected) {
    kbugon(clock::Uptime() > deadline, "%lu frames free, %lu expected",
           PageAllocator::FreeFrames(), expected);
    event_manager->Yield();
    expected = frames + (stacks - StackPool::Count()) * kStackFrames;
  }
}

void StacksServeAllCores() {
  constexpr unsigned kEvents = 40;
  BlockMany(kManyEvents);
  AwaitFewStacks();
  auto stacks = StackPool::Count();
  for (unsigned core = 0; core < cpu::Count(); ++core)
    test::RunOn(core, [] { BlockMany(kEvents); });
  kbugon(StackPool::Count() > stacks, "%lu stacks, before %lu",
         StackPool::Count(), stacks);
}

// Cores write to each other's stacks while those come and go.
void StacksChangeHands() {
  test::RunOnAll([](unsigned core) {
    for (unsigned round = 0; round < 4; ++round) {
      unsigned whole = 0;
      for (unsigned i = 0; i < kManyEvents / 2; ++i)
        event_manager->Spawn([&whole, core, i] {
          auto answer = ~0u;
          auto other = (core + 1) % cpu::Count();
          EventManager::CallRemote([&answer, i] { answer = i; }, other);
          kbugon(answer != i, "%u instead of %u", answer, i);
          ++whole;
        });
      while (whole < kManyEvents / 2)
        event_manager->Yield();
    }
  });
  AwaitFewStacks();
}

void WaitQueueWakesInOrder() {
  WaitQueue queue;
  Vector<int> order;
  for (int i = 0; i < 4; ++i)
    event_manager->Spawn([&, i] {
      kassert(queue.Wait());
      order.PushBack(i);
    });
  event_manager->Yield();
  queue.WakeOne();
  event_manager->Yield();
  kassert(order.size() == 1 && order[0] == 0);
  queue.WakeAll();
  kassert(queue.empty());
  event_manager->Yield();
  kassert(order.size() == 4 && order[3] == 3);
  queue.WakeOne();
}

void WaitQueueKeepsDeadlines() {
  WaitQueue queue;
  auto deadline = clock::Uptime() + 5 * test::kMillisecond;
  kassert(!queue.Wait(deadline));
  kassert(clock::Uptime() >= deadline);
  kassert(queue.empty());
  // One that has passed already.
  kassert(!queue.Wait(1));
  // Woken before the deadline; the timer must not touch the waiter then.
  bool woken = false;
  event_manager->Spawn([&] {
    WaitQueue local;
    event_manager->Spawn([&local] { local.WakeOne(); });
    woken = local.Wait(clock::Uptime() + 10 * test::kMillisecond);
  });
  event_manager->Yield();
  event_manager->Yield();
  event_manager->Yield();
  kassert(woken);
  test::Sleep(20 * test::kMillisecond);
}

void RemoteEventsRunThere() {
  for (unsigned core = 0; core < cpu::Count(); ++core) {
    auto seen = ~0u;
    test::RunOn(core, [&seen] { seen = cpu::Index(); });
    kassert(seen == core);
    kassert(cpu::Index() == 0);
  }
}

// Each hop is queued by the core before.
void Hop(unsigned hops, EventContext& done) {
  if (hops == 0) {
    EventManager::ActivateContext(done);
    return;
  }
  EventManager::SpawnRemote([hops, &done] { Hop(hops - 1, done); },
                            (cpu::Index() + 1) % cpu::Count());
}

void EventsGoRoundTheCores() {
  EventContext done;
  event_manager->Spawn([&done] { Hop(kRounds * cpu::Count(), done); });
  event_manager->SaveContext(done);
}

// All cores send to all at once: none is lost, and each sender's come in order.
void RemoteEventsKeepTheirOrder() {
  static uint32_t last[kMaxCores][kMaxCores];
  test::RunOnAll([](unsigned sender) {
    for (unsigned i = 1; i <= kRounds; ++i)
      for (unsigned core = 0; core < cpu::Count(); ++core)
        EventManager::SpawnRemote(
            [sender, i] {
              auto& before = last[cpu::Index()][sender];
              kbugon(before + 1 != i, "event %u of core %u after %u", i, sender,
                     before);
              before = i;
            },
            core);
  });
  test::RunOnAll([](unsigned core) {
    for (unsigned sender = 0; sender < cpu::Count(); ++sender)
      while (last[core][sender] != kRounds)
        event_manager->Yield();
  });
}

// The waker may be quicker than the event that is about to block.
void OtherCoresActivate() {
  for (unsigned i = 0; i < kRounds; ++i)
    for (unsigned core = 0; core < cpu::Count(); ++core)
      test::RunOn(core, [core] {
        auto other = (core + 1) % cpu::Count();
        EventContext context;
        EventManager::SpawnRemote(
            [&context] { EventManager::ActivateContext(context); }, other);
        event_manager->SaveContext(context);
        kassert(cpu::Index() == core);
      });
}

}  // namespace

void AppMain() {
  test::Case("spawn order", SpawnOrder);
  test::Case("nested spawn", SpawnedByAnEventGoesBehind);
  test::Case("yield", YieldTakesTurns);
  test::Case("queued first", QueuedEventsRunBeforeThoseThatYielded);
  test::Case("step aside", SteppingAsideKeepsTheTurn);
  test::Case("save and activate", BlockedEventsResumeWhole);
  test::Case("exit", ExitEndsTheEvent);
  test::Case("stacks", StacksAreReused);
  test::Case("stacks go back", StacksAreGivenBack);
  test::Case("stacks of all cores", StacksServeAllCores);
  test::Case("stacks change hands", StacksChangeHands);
  test::Case("wait queue", WaitQueueWakesInOrder);
  test::Case("deadlines", WaitQueueKeepsDeadlines);
  test::Case("remote", RemoteEventsRunThere);
  test::Case("round the cores", EventsGoRoundTheCores);
  test::Case("remote order", RemoteEventsKeepTheirOrder);
  test::Case("remote activation", OtherCoresActivate);
  test::Pass();
}
