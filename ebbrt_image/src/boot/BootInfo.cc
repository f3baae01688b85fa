#include "boot/BootInfo.h"

#include <cstddef>

#include "lib/Assert.h"
#include "mm/DirectMap.h"

namespace {

// hvm_start_info and hvm_memmap_table_entry, version 1 (Xen public headers).
struct StartInfo {
  uint32_t magic;
  uint32_t version;
  uint32_t flags;
  uint32_t module_count;
  uint64_t modules;
  uint64_t command_line;
  uint64_t rsdp;
  uint64_t memory_map;
  uint32_t memory_map_entries;
  uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct MapEntry {
  uint64_t address;
  uint64_t size;
  uint32_t type;
  uint32_t reserved;
};
static_assert(sizeof(MapEntry) == 24);

constexpr uint32_t kMagic = 0x336ec578;
constexpr uint32_t kRam = 1;
constexpr size_t kMaxRanges = 32;
constexpr size_t kMaxCommandLine = 2048;

ebbrt::boot_info::MemoryRange ranges[kMaxRanges];
size_t range_count;
char command_line[kMaxCommandLine];
size_t command_line_length;
bool has_acpi;

}  // namespace

void ebbrt::boot_info::Init(uint32_t start_info) {
  auto* info = static_cast<const StartInfo*>(PhysicalToPointer(start_info));
  kbugon(info->magic != kMagic || info->version < 1,
         "no PVH start info with a memory map");
  auto* map = static_cast<const MapEntry*>(PhysicalToPointer(info->memory_map));
  for (uint32_t i = 0; i < info->memory_map_entries; ++i) {
    kbugon(range_count == kMaxRanges, "memory map too long");
    ranges[range_count++] = {map[i].address, map[i].address + map[i].size,
                             map[i].type == kRam};
  }
  has_acpi = info->rsdp;
  if (!info->command_line)
    return;
  auto* text = static_cast<const char*>(PhysicalToPointer(info->command_line));
  while (command_line_length < kMaxCommandLine && text[command_line_length]) {
    command_line[command_line_length] = text[command_line_length];
    ++command_line_length;
  }
}

std::span<const ebbrt::boot_info::MemoryRange> ebbrt::boot_info::MemoryMap() {
  return {ranges, range_count};
}

bool ebbrt::boot_info::HasAcpi() {
  return has_acpi;
}

std::string_view ebbrt::boot_info::CommandLine() {
  return {command_line, command_line_length};
}

std::string_view ebbrt::boot_info::Option(std::string_view name) {
  std::string_view found;
  ForEachOption(name, [&found](std::string_view value) { found = value; });
  return found;
}

uint64_t ebbrt::boot_info::NumberOption(std::string_view name,
                                        uint64_t otherwise) {
  auto value = Option(name);
  return value.empty() ? otherwise : TakeNumber(value);
}

uint64_t ebbrt::boot_info::TakeNumber(std::string_view& text) {
  uint64_t base = 10, value = 0;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    auto c = text.front();
    uint64_t digit;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if (base == 16 && c >= 'a' && c <= 'f')
      digit = c - 'a' + 10;
    else
      break;
    value = value * base + digit;
    text.remove_prefix(1);
  }
  if (!text.empty()) {
    auto shift = text.front() == 'K'   ? 10
                 : text.front() == 'M' ? 20
                 : text.front() == 'G' ? 30
                                       : 0;
    if (shift) {
      value <<= shift;
      text.remove_prefix(1);
    }
  }
  return value;
}
