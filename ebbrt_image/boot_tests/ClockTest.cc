#include "Support.h"
#include "arch/Apic.h"
#include "mm/DirectMap.h"

using namespace ebbrt;
using test::kMillisecond;

namespace {

constexpr uint64_t kSecond = 1000000000;

// Parts in a million by which uptime and the APIC's count differ over a while.
uint64_t Deviation() {
  constexpr uint64_t kInterval = 20 * kMillisecond;
  apic::StartReference();
  auto reference = apic::ReadReference();
  auto uptime = clock::Uptime();
  while (apic::ReadReference() - reference < kInterval)
    __builtin_ia32_pause();
  auto passed = clock::Uptime() - uptime;
  auto expected = apic::ReadReference() - reference;
  auto difference = passed > expected ? passed - expected : expected - passed;
  return difference * 1000000 / expected;
}

// The host may stop us between two reads, so the best of several tries counts.
void TscAgreesWithApic() {
  auto best = ~uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    auto deviation = Deviation();
    if (deviation < best)
      best = deviation;
  }
  kprintf("uptime differs by %lu ppm\n", best);
  kassert(best < 10000);
}

void UptimeNeverGoesBack() {
  auto last = clock::Uptime();
  for (int i = 0; i < 100000; ++i) {
    auto now = clock::Uptime();
    kbugon(now < last, "%lu after %lu", now, last);
    last = now;
  }
  // Nor from core to core.
  for (int i = 0; i < 50; ++i)
    for (unsigned core = 0; core < cpu::Count(); ++core)
      test::RunOn(core, [&last] {
        auto now = clock::Uptime();
        kbugon(now < last, "%lu after %lu", now, last);
        last = now;
      });
}

void SyncSetsWallTime() {
  constexpr uint64_t kWall = 1700000000 * kSecond;
  auto before = clock::Uptime();
  clock::Sync(kWall, 7);
  auto wall = clock::Wall();
  auto after = clock::Uptime();
  kassert(after >= before);
  kassert(wall >= kWall && wall - kWall <= after - before);
  auto* page = ToPointer<const TimePage>(clock::TimePageFrame());
  kassert(page->generation == 7 && page->sequence % 2 == 0);
  // Back in time, as after the restore of a snapshot by a host set right.
  clock::Sync(kWall - 1000 * kSecond, 8);
  kassert(clock::Wall() < kWall && clock::Uptime() >= after);
}

void WallAdvancesWithUptime() {
  auto offset = clock::Wall() - clock::Uptime();
  test::Sleep(3 * kMillisecond);
  auto later = clock::Wall() - clock::Uptime();
  // The two are read one after the other.
  kassert(offset - later < kMillisecond || later - offset < kMillisecond);
}

// Readers on other cores see either the old or the new figures.
void SyncDoesNotDisturbReaders() {
  static unsigned reading;
  test::RunOnAll([](unsigned core) {
    __atomic_add_fetch(&reading, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&reading, __ATOMIC_RELAXED) < cpu::Count())
      __builtin_ia32_pause();
    if (core == 0) {
      for (int i = 0; i < 20000; ++i)
        clock::Sync(1700000000 * kSecond, 9);
      return;
    }
    auto last = clock::Uptime();
    for (int i = 0; i < 20000; ++i) {
      auto now = clock::Uptime();
      kbugon(now < last || now - last > 60 * kSecond, "%lu after %lu", now,
             last);
      last = now;
      auto wall = clock::Wall();
      kbugon(wall < 1600000000 * kSecond || wall > 1700000060 * kSecond,
             "wall time %lu", wall);
    }
  });
}

}  // namespace

void AppMain() {
  test::Case("tsc and apic", TscAgreesWithApic);
  test::Case("uptime", UptimeNeverGoesBack);
  test::Case("sync", SyncSetsWallTime);
  test::Case("wall", WallAdvancesWithUptime);
  test::Case("sync and readers", SyncDoesNotDisturbReaders);
  test::Pass();
}
