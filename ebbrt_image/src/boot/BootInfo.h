// What the PVH loader tells: memory map and command line. Both are copied
// early, since they may lie in memory that is given out later.
#ifndef EBBRT_BOOT_BOOTINFO_H_
#define EBBRT_BOOT_BOOTINFO_H_

#include <cstdint>
#include <span>
#include <string_view>

namespace ebbrt::boot_info {

struct MemoryRange {
  uint64_t start, end;
  bool usable;
};

void Init(uint32_t start_info);

std::span<const MemoryRange> MemoryMap();
// True if a PC's firmware ran: it describes the machine by ACPI.
bool HasAcpi();

std::string_view CommandLine();

// The value of `name=value` on the command line, or nothing.
std::string_view Option(std::string_view name);
uint64_t NumberOption(std::string_view name, uint64_t otherwise);

// Calls visit(value) for each `name=value`.
template <class Visit> void ForEachOption(std::string_view name, Visit visit) {
  auto rest = CommandLine();
  while (!rest.empty()) {
    auto space = rest.find(' ');
    auto word = rest.substr(0, space);
    rest = space == rest.npos ? std::string_view() : rest.substr(space + 1);
    if (word.size() > name.size() && word.starts_with(name) &&
        word[name.size()] == '=')
      visit(word.substr(name.size() + 1));
  }
}

// Parses a decimal or 0x number with an optional K, M or G at the start of
// `text` and takes it off. 0 if there is none.
uint64_t TakeNumber(std::string_view& text);

}  // namespace ebbrt::boot_info

#endif  // EBBRT_BOOT_BOOTINFO_H_
