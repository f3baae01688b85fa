#include "arch/IoApic.h"

#include "mm/DirectMap.h"

namespace {

// microvm's second controller has the lines from 24 on.
constexpr uint64_t kBase = 0xFEC00000;
constexpr uint64_t kSecondBase = 0xFEC10000;
constexpr unsigned kLines = 24;
constexpr uint32_t kRedirection = 0x10;
constexpr uint32_t kLevelTriggered = 1 << 15;

void Write(uint64_t base, uint32_t reg, uint32_t value) {
  auto* select =
      static_cast<volatile uint32_t*>(ebbrt::PhysicalToPointer(base));
  auto* window =
      static_cast<volatile uint32_t*>(ebbrt::PhysicalToPointer(base + 0x10));
  *select = reg;
  *window = value;
}

}  // namespace

void ebbrt::io_apic::Route(unsigned line, uint8_t vector, uint32_t apic_id,
                           Trigger trigger) {
  auto base = line < kLines ? kBase : kSecondBase;
  auto reg = kRedirection + 2 * (line % kLines);
  Write(base, reg + 1, apic_id << 24);
  Write(base, reg, vector | (trigger == Trigger::kLevel ? kLevelTriggered : 0));
}
