// Time. Uptime comes from the TSC, whose rate is given by KVM's clock when
// there is one, and else calibrated against the APIC timer. Wall time is what
// the host said last (SYNC) plus the time since.
//
// Ring 3 reads the same figures from the TimePage, through the vDSO.
#ifndef EBBRT_ARCH_CLOCK_H_
#define EBBRT_ARCH_CLOCK_H_

#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt {

// Shared with vdso/Vdso.c. Readers retry while `sequence` is odd or changes.
struct TimePage {
  uint32_t sequence;
  uint32_t shift;
  uint64_t multiplier;  // ns = (tsc - base_tsc) * multiplier >> shift
  uint64_t base_tsc;
  uint64_t base_uptime;  // ns
  uint64_t wall_offset;  // ns to add to uptime
  uint64_t generation;   // of the last SYNC
};

namespace clock {

// Finds the rate. `core` 0 calibrates; the others follow.
void ClassInit();

// ns since boot, without a jump at a restore.
uint64_t Uptime();

// ns since the Unix epoch.
uint64_t Wall();

// Sets wall time; `generation` counts the restores.
void Sync(uint64_t wall, uint64_t generation);

// The frame of the TimePage, which UCs map read-only.
Pfn TimePageFrame();

}  // namespace clock

}  // namespace ebbrt

#endif  // EBBRT_ARCH_CLOCK_H_
