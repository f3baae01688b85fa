// One entry of an x86-64 page table.
#ifndef EBBRT_MM_PAGETABLEENTRY_H_
#define EBBRT_MM_PAGETABLEENTRY_H_

#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt {

class PageTableEntry {
 public:
  static constexpr uint64_t kPresent = 1 << 0;
  static constexpr uint64_t kWritable = 1 << 1;
  static constexpr uint64_t kUser = 1 << 2;
  static constexpr uint64_t kWriteThrough = 1 << 3;
  static constexpr uint64_t kUncached = 1 << 4;
  static constexpr uint64_t kAccessed = 1 << 5;
  static constexpr uint64_t kDirty = 1 << 6;
  static constexpr uint64_t kLarge = 1 << 7;
  static constexpr uint64_t kGlobal = 1 << 8;
  // Ours, for the MMU ignores it: was writable before mprotect took that away.
  static constexpr uint64_t kWithheld = 1 << 9;
  static constexpr uint64_t kNoExecute = uint64_t{1} << 63;
  static constexpr uint64_t kAddressMask = 0x000FFFFFFFFFF000;

  constexpr PageTableEntry() = default;
  constexpr PageTableEntry(Pfn pfn, uint64_t flags)
      : raw_(pfn.address() | flags) {}

  constexpr bool present() const { return raw_ & kPresent; }
  constexpr bool writable() const { return raw_ & kWritable; }
  constexpr bool dirty() const { return raw_ & kDirty; }
  constexpr Pfn pfn() const { return Pfn::Down(raw_ & kAddressMask); }
  constexpr uint64_t flags() const { return raw_ & ~kAddressMask; }
  constexpr uint64_t raw() const { return raw_; }

  void Set(uint64_t flags) { raw_ |= flags; }
  void Clear(uint64_t flags) { raw_ &= ~flags; }

 private:
  uint64_t raw_ = 0;
};

static_assert(sizeof(PageTableEntry) == 8);

constexpr unsigned kTableEntries = 512;
constexpr unsigned kRootLevel = 4;

// Index of an address in the table of a level (4 = root, 1 = leaf table).
constexpr unsigned TableIndex(uint64_t address, unsigned level) {
  return (address >> (kPageShift + 9 * (level - 1))) & (kTableEntries - 1);
}

// Bytes that one entry of a level spans.
constexpr uint64_t EntrySpan(unsigned level) {
  return uint64_t{1} << (kPageShift + 9 * (level - 1));
}

}  // namespace ebbrt

#endif  // EBBRT_MM_PAGETABLEENTRY_H_
