// Threads of UCs, time limits, and UCs side by side.

#include "UcRunner.h"

using namespace ebbrt;
using test::Expect;
using test::ExpectStatus;
using test::kMillisecond;
using test::ReturnsAllFrames;
using test::Run;
using test::UcRunner;

namespace {

constexpr const char* kScenarios[] = {
    "ping-pong", "futexes",   "slices", "registers",
    "poll",      "full-pipe", "sleep",  "last-thread",
};

void ThreadsWork() {
  for (auto* scenario : kScenarios) {
    kprintf("  %s\n", scenario);
    ReturnsAllFrames([scenario] {
      ExpectStatus(Run({"threads", scenario}), 0);
    });
  }
}

void ThreadsAreLimited() {
  ReturnsAllFrames([] {
    UcLimits limits;
    limits.threads = 12;
    ExpectStatus(Run({"threads", "limit", "12"}, limits), 0);
    ExpectStatus(Run({"threads", "limit", "64"}), 0);
  });
}

void ThreadsEndTogether() {
  ReturnsAllFrames([] {
    ExpectStatus(Run({"threads", "exit-with-threads"}), 3);
    Expect(Run({"threads", "thread-faults"}), EndKind::kFault,
           "execution of address 0x8");
  });
}

void TimeLimitEndsTheUc() {
  ReturnsAllFrames([] {
    for (auto* scenario : {"spin", "wait"}) {
      UcRunner runner({"threads", scenario});
      // It waits for the request, and time runs from there.
      test::Sleep(2 * kMillisecond);
      kassert(!runner.ended());
      runner.Request(77, 20);
      auto start = clock::Uptime();
      Expect(runner.Wait(), EndKind::kTimeout, "20 ms");
      kassert(clock::Uptime() - start >= 20 * kMillisecond);
    }
  });
}

// A UC that never gives up the core does not keep others from it: events of
// this core, events of other cores, timers, other UCs.
void SpinningUcSharesItsCore() {
  ReturnsAllFrames([] {
    for (unsigned core = 0; core < cpu::Count(); ++core) {
      UcRunner* spinner = nullptr;
      test::RunOn(core, [&spinner] {
        spinner = new UcRunner({"threads", "spin-unbounded"});
        test::Sleep(2 * kMillisecond);
      });
      // From another core, while the spinner has this one to itself.
      for (int i = 0; i < 3; ++i)
        test::RunOn(core, [core] { kassert(cpu::Index() == core); });
      test::RunOn(core, [&spinner] {
        ExpectStatus(Run({"hello"}), 7);
        test::Sleep(2 * kMillisecond);
        spinner->uc().End(EndKind::kExit, "enough");
        Expect(spinner->Wait(), EndKind::kExit, "enough");
        delete spinner;
      });
    }
  });
}

// Many at once on one core, of different programs.
void ManyOnOneCore() {
  ReturnsAllFrames([] {
    constexpr unsigned kUcs = 12;
    std::unique_ptr<UcRunner> runners[kUcs];
    for (unsigned i = 0; i < kUcs; ++i)
      runners[i] =
          std::make_unique<UcRunner>(std::initializer_list<std::string_view>{
              "threads", kScenarios[i % std::size(kScenarios)]});
    for (auto& runner : runners)
      ExpectStatus(runner->Wait(), 0);
  });
}

void ManyOnAllCores() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned core) {
      for (unsigned i = 0; i < 3; ++i) {
        UcRunner first({"threads", kScenarios[(core + i) % 8]});
        UcRunner second({"threads", kScenarios[(core + i + 3) % 8]});
        UcRunner third({"hello"});
        ExpectStatus(third.Wait(), 7);
        ExpectStatus(second.Wait(), 0);
        ExpectStatus(first.Wait(), 0);
      }
    });
  });
}

}  // namespace

void AppMain() {
  test::Case("threads", ThreadsWork);
  test::Case("limit", ThreadsAreLimited);
  test::Case("ends", ThreadsEndTogether);
  test::Case("time limit", TimeLimitEndsTheUc);
  test::Case("spinning", SpinningUcSharesItsCore);
  test::Case("many on a core", ManyOnOneCore);
  test::Case("many on all cores", ManyOnAllCores);
  test::Pass();
}
