// System calls with bad numbers, bad pointers, and anything at all.

#include "UcRunner.h"
#include "boot/BootInfo.h"

using namespace ebbrt;
using test::ExpectStatus;
using test::ReturnsAllFrames;
using test::Run;

namespace {

// More with `test.seeds` and `test.first` on the command line.
constexpr uint64_t kSeeds = 12;
constexpr uint32_t kFuzzMs = 60;

UcLimits SmallLimits() {
  UcLimits limits;
  limits.frames = 1000;
  limits.tmp_pages = 200;
  limits.threads = 8;
  limits.descriptors = 40;
  return limits;
}

void Fuzz(unsigned seed) {
  char number[] = "000";
  number[0] = static_cast<char>('0' + seed / 100);
  number[1] = static_cast<char>('0' + seed / 10 % 10);
  number[2] = static_cast<char>('0' + seed % 10);
  test::UcRunner runner({"calls", "anything", number}, SmallLimits());
  runner.Request(1, kFuzzMs);
  runner.Wait();
}

void BadPointersAreAnswered() {
  for (auto* scenario : {"unknown", "faults", "pointers"}) {
    kprintf("  %s\n", scenario);
    ReturnsAllFrames([scenario] { ExpectStatus(Run({"calls", scenario}), 0); });
  }
}

void SocketsInside() {
  for (auto* scenario : {"inside", "nonsense", "messages", "hoard"}) {
    kprintf("  %s\n", scenario);
    ReturnsAllFrames([scenario] {
      ExpectStatus(Run({"sockets", scenario}, SmallLimits()), 0);
    });
  }
}

// However it ends, the kernel goes on and has all its frames.
void AnythingGoes() {
  auto first = static_cast<unsigned>(boot_info::NumberOption("test.first", 0));
  auto count = boot_info::NumberOption("test.seeds", kSeeds);
  for (auto seed = first; seed < first + count; ++seed) {
    kprintf("  seed %u\n", seed);
    Fuzz(seed);
    if (seed == 1) {
      ReturnsAllFrames([] { Fuzz(1); });
    }
  }
  ExpectStatus(Run({"hello"}), 7);
}

void AnythingOnAllCores() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned core) {
      for (unsigned i = 0; i < 4; ++i)
        Fuzz(100 + core * 4 + i);
    });
  });
}

}  // namespace

void AppMain() {
  test::Case("bad pointers", BadPointersAreAnswered);
  test::Case("sockets inside", SocketsInside);
  test::Case("anything", AnythingGoes);
  test::Case("anything on all cores", AnythingOnAllCores);
  test::Pass();
}
