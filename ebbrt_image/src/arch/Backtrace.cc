#include "arch/Backtrace.h"

#include "arch/DebugConsole.h"

extern "C" {
extern char text_start[], text_end[];
// Made by tools/make_symbols.py: offsets from text_start, ascending, and names.
extern const uint32_t symbol_count;
extern const uint32_t symbol_offsets[];
extern const uint32_t symbol_names[];
extern const char symbol_text[];
}

namespace {

constexpr int kMaxFrames = 32;
constexpr uint64_t kKernelHalf = 0xFFFF800000000000;

bool IsText(uint64_t address) {
  return address >= reinterpret_cast<uint64_t>(text_start) &&
         address < reinterpret_cast<uint64_t>(text_end);
}

}  // namespace

ebbrt::backtrace::Symbol ebbrt::backtrace::Resolve(uint64_t address) {
  if (!IsText(address) || symbol_count == 0)
    return {nullptr, 0};
  auto offset =
      static_cast<uint32_t>(address - reinterpret_cast<uint64_t>(text_start));
  uint32_t low = 0, high = symbol_count;
  while (high - low > 1) {
    auto middle = (low + high) / 2;
    (symbol_offsets[middle] <= offset ? low : high) = middle;
  }
  return {symbol_text + symbol_names[low], offset - symbol_offsets[low]};
}

void ebbrt::backtrace::Print(uint64_t rip, uint64_t frame_pointer) {
  kprintf("backtrace:\n");
  for (int i = 0; i < kMaxFrames; ++i) {
    // A return address may lie behind the end of a function that never returns.
    auto symbol = Resolve(i == 0 ? rip : rip - 1);
    if (!symbol.name && i > 0)
      break;
    kprintf("  #%d %016lx %s+0x%lx\n", i, rip,
            symbol.name ? symbol.name : "outside the kernel's code",
            symbol.offset + (i == 0 ? 0 : 1));
    // Only frames that grow upwards inside the kernel half are followed.
    if (frame_pointer < kKernelHalf || frame_pointer % 8 != 0)
      break;
    auto frame = reinterpret_cast<const uint64_t*>(frame_pointer);
    rip = frame[1];
    if (frame[0] <= frame_pointer)
      frame_pointer = 0;
    else
      frame_pointer = frame[0];
  }
}
