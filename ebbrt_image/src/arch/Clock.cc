#include "arch/Clock.h"

#include "arch/Apic.h"
#include "arch/Cpu.h"
#include "arch/Cpuid.h"
#include "arch/DebugConsole.h"
#include "arch/Msr.h"
#include "boot/BootInfo.h"
#include "mm/DirectMap.h"

namespace {

// KVM's per-core time record (Documentation/virt/kvm/x86/msr.rst).
struct [[gnu::packed]] KvmTime {
  uint32_t version;
  uint32_t pad0;
  uint64_t tsc_timestamp;
  uint64_t system_time;
  uint32_t tsc_to_system_mul;
  int8_t tsc_shift;
  uint8_t flags;
  uint8_t pad[2];
};
static_assert(sizeof(KvmTime) == 32);

constexpr unsigned kShift = 32;
constexpr uint64_t kCalibration = 5000000;  // ns
constexpr int kTries = 32;

// Ring 3 sees the whole page, so nothing else may lie in it.
struct alignas(ebbrt::kPageSize) PaddedTimePage {
  ebbrt::TimePage page;
};
static_assert(sizeof(PaddedTimePage) == ebbrt::kPageSize);
PaddedTimePage padded_time_page;
constexpr auto& time_page = padded_time_page.page;
alignas(64) volatile KvmTime kvm_time;

// ns per TSC tick, as a fraction of 2^kShift.
uint64_t KvmRate() {
  using namespace ebbrt;
  msr::Write(msr::kKvmSystemTime,
             ToPhysical(const_cast<KvmTime*>(&kvm_time)) | 1);
  uint64_t rate = kvm_time.tsc_to_system_mul;
  auto shift = kvm_time.tsc_shift;
  msr::Write(msr::kKvmSystemTime, 0);
  return shift >= 0 ? rate << shift : rate >> -shift;
}

// Both clocks at one moment. The host may stop us between two reads, so of many
// tries the narrowest counts.
struct Moment {
  uint64_t tsc;
  uint64_t reference;
};

Moment Sample() {
  using namespace ebbrt;
  Moment best = {};
  auto best_width = ~uint64_t{0};
  for (int i = 0; i < kTries; ++i) {
    auto before = cpu::ReadTsc();
    auto reference = apic::ReadReference();
    auto after = cpu::ReadTsc();
    if (after - before < best_width) {
      best_width = after - before;
      best = {before + (after - before) / 2, reference};
    }
  }
  return best;
}

uint64_t CalibratedRate() {
  using namespace ebbrt;
  apic::StartReference();
  auto first = Sample();
  while (apic::ReadReference() - first.reference < kCalibration)
    __builtin_ia32_pause();
  auto last = Sample();
  return ((last.reference - first.reference) << kShift) /
         (last.tsc - first.tsc);
}

uint64_t ScaledSince(uint64_t tsc) {
  // The TSC may have been read before the base was set on another core.
  if (static_cast<int64_t>(tsc - time_page.base_tsc) < 0)
    return 0;
  auto ticks = static_cast<unsigned __int128>(tsc - time_page.base_tsc);
  return static_cast<uint64_t>(ticks * time_page.multiplier >> kShift);
}

// What read() makes of the TimePage while no Sync changes it on another core.
template <class Read> uint64_t ReadTimePage(Read read) {
  for (;;) {
    auto sequence = __atomic_load_n(&time_page.sequence, __ATOMIC_ACQUIRE);
    auto value = read();
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (sequence % 2 == 0 &&
        sequence == __atomic_load_n(&time_page.sequence, __ATOMIC_RELAXED))
      return value;
    __builtin_ia32_pause();
  }
}

uint64_t UptimeNow() {
  return time_page.base_uptime + ScaledSince(ebbrt::cpu::ReadTsc());
}

}  // namespace

void ebbrt::clock::ClassInit() {
  auto rate = cpuid::HasKvmClock() ? KvmRate() : 0;
  if (rate == 0)
    rate = CalibratedRate();
  time_page.shift = kShift;
  time_page.multiplier = rate;
  time_page.base_tsc = cpu::ReadTsc();
  kprintf("clock: TSC at %lu kHz\n",
          static_cast<uint64_t>(
              (static_cast<unsigned __int128>(1000000) << kShift) / rate));
}

uint64_t ebbrt::clock::Uptime() {
  return ReadTimePage(&UptimeNow);
}

uint64_t ebbrt::clock::Wall() {
  return ReadTimePage([] { return UptimeNow() + time_page.wall_offset; });
}

void ebbrt::clock::Sync(uint64_t wall, uint64_t generation) {
  __atomic_store_n(&time_page.sequence, time_page.sequence + 1,
                   __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  // A fresh base keeps the product of ticks and multiplier small.
  auto tsc = cpu::ReadTsc();
  auto uptime = time_page.base_uptime + ScaledSince(tsc);
  time_page.base_tsc = tsc;
  time_page.base_uptime = uptime;
  time_page.wall_offset = wall - uptime;
  time_page.generation = generation;
  __atomic_store_n(&time_page.sequence, time_page.sequence + 1,
                   __ATOMIC_RELEASE);
}

ebbrt::Pfn ebbrt::clock::TimePageFrame() {
  return ToPfn(&time_page);
}
