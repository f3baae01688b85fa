#include "arch/Apic.h"

#include "arch/Idt.h"
#include "arch/Msr.h"
#include "mm/DirectMap.h"

namespace {

constexpr uint64_t kBase = 0xFEE00000;
constexpr uint64_t kGlobalEnable = 1 << 11;

constexpr uint32_t kId = 0x20;
constexpr uint32_t kTaskPriority = 0x80;
constexpr uint32_t kEoi = 0xB0;
constexpr uint32_t kSpurious = 0xF0;
constexpr uint32_t kCommandLow = 0x300;
constexpr uint32_t kCommandHigh = 0x310;
constexpr uint32_t kTimerVector = 0x320;
constexpr uint32_t kLint0 = 0x350;
constexpr uint32_t kLint1 = 0x360;
constexpr uint32_t kInitialCount = 0x380;
constexpr uint32_t kCurrentCount = 0x390;
constexpr uint32_t kDivide = 0x3E0;

constexpr uint32_t kSoftwareEnable = 1 << 8;
constexpr uint32_t kMasked = 1 << 16;
constexpr uint32_t kDivideBy1 = 0xB;
constexpr uint32_t kPending = 1 << 12;
constexpr uint32_t kAssert = 1 << 14;
constexpr uint32_t kInit = 5 << 8;
constexpr uint32_t kStartup = 6 << 8;

uint32_t Read(uint32_t reg) {
  return *static_cast<volatile uint32_t*>(
      ebbrt::PhysicalToPointer(kBase + reg));
}

void Write(uint32_t reg, uint32_t value) {
  *static_cast<volatile uint32_t*>(ebbrt::PhysicalToPointer(kBase + reg)) =
      value;
}

void Send(uint32_t apic_id, uint32_t command) {
  while (Read(kCommandLow) & kPending)
    __builtin_ia32_pause();
  Write(kCommandHigh, apic_id << 24);
  Write(kCommandLow, command);
}

}  // namespace

void ebbrt::apic::Init() {
  msr::Write(msr::kApicBase, msr::Read(msr::kApicBase) | kGlobalEnable);
  Write(kTaskPriority, 0);
  Write(kLint0, kMasked);
  Write(kLint1, kMasked);
  Write(kTimerVector, kMasked);
  Write(kDivide, kDivideBy1);
  Write(kSpurious, kSoftwareEnable | idt::kVectorSpurious);
}

uint32_t ebbrt::apic::Id() {
  return Read(kId) >> 24;
}

void ebbrt::apic::EndOfInterrupt() {
  Write(kEoi, 0);
}

void ebbrt::apic::SendInterrupt(uint32_t apic_id, uint8_t vector) {
  Send(apic_id, kAssert | vector);
}

void ebbrt::apic::SendInit(uint32_t apic_id) {
  Send(apic_id, kAssert | kInit);
}

void ebbrt::apic::SendStartup(uint32_t apic_id, uint8_t page) {
  Send(apic_id, kAssert | kStartup | page);
}

void ebbrt::apic::StartTimer(uint64_t nanoseconds) {
  // Longer than the counter holds: fire early, the caller arms it again.
  auto count = nanoseconds > 0xFFFFFFFF ? 0xFFFFFFFF : nanoseconds;
  Write(kTimerVector, idt::kVectorTimer);
  Write(kInitialCount, count == 0 ? 1 : static_cast<uint32_t>(count));
}

void ebbrt::apic::StartReference() {
  Write(kTimerVector, kMasked);
  Write(kInitialCount, 0xFFFFFFFF);
}

uint64_t ebbrt::apic::ReadReference() {
  return 0xFFFFFFFF - Read(kCurrentCount);
}
