// mmap and its kin. A UC is one process without children, so shared anonymous
// memory is the same as private.

#include <algorithm>
#include <cstring>

#include "mm/DirectMap.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr int kProtectionRead = 1;
constexpr int kProtectionWrite = 2;
constexpr int kProtectionExecute = 4;
constexpr int kMapShared = 0x01;
constexpr int kMapTypeMask = 0x0f;
constexpr int kMapFixed = 0x10;
constexpr int kMapAnonymous = 0x20;
constexpr int kMapFixedNoReplace = 0x100000;
constexpr int kRemapMayMove = 1;
constexpr int kRemapFixed = 2;
constexpr int kAdviseDontNeed = 4;
constexpr int kAdviseFree = 8;

Protection ToProtection(int bits) {
  return {(bits & kProtectionRead) != 0, (bits & kProtectionWrite) != 0,
          (bits & kProtectionExecute) != 0};
}

// A range of whole pages inside the user half, or kInvalid.
Result<void> CheckRange(uint64_t start, uint64_t size) {
  if (start % kPageSize != 0 || size > AddressSpace::kHighest ||
      start > AddressSpace::kHighest - PageUp(size))
    return Errno::kInvalid;
  return {};
}

// Pages of a file that stay as they are are mapped where they lie; others are
// copied, which a private mapping may do at any time.
Answer MapFile(SystemCall& call, Region region, Descriptor& file,
               uint64_t offset) {
  auto first = file.PageAt(offset / kPageSize);
  if (!first && first.error() != Errno::kFault)
    return first.error();
  auto permanent = first && first->permanent && first->data;
  if (permanent) {
    abi::Stat stat;
    if (auto got = file.GetStat(stat); !got)
      return got.error();
    region.file = first->data;
    region.file_bytes =
        std::min(static_cast<uint64_t>(stat.size) - offset, region.size());
  }
  auto wanted = region.protection;
  if (!permanent)
    region.protection = {true, true, false};
  if (auto mapped = call.space().MapFixed(region); !mapped)
    return mapped.error();
  if (permanent)
    return region.start;
  for (uint64_t at = 0; at < region.size(); at += kPageSize) {
    auto page = file.PageAt((offset + at) / kPageSize);
    if (!page)
      break;
    if (page->data &&
        !call.space().CopyOut(region.start + at, {page->data, kPageSize}))
      return Errno::kNoMemory;
  }
  if (wanted != region.protection)
    if (auto set = call.space().Protect(region.start, region.end, wanted); !set)
      return set.error();
  return region.start;
}

}  // namespace

// MAP_GROWSDOWN, MAP_LOCKED, MAP_POPULATE, MAP_NORESERVE, MAP_STACK and
// MAP_HUGETLB change nothing. A writable shared mapping of a file is refused.
ebbrt::Answer ebbrt::personality::MemoryMap(SystemCall& call) {
  auto address = call.argument(0);
  auto size = PageUp(call.argument(1));
  auto protection = ToProtection(call.integer(2));
  auto flags = call.integer(3);
  if (call.argument(1) == 0 || size == 0)
    return Errno::kInvalid;
  if (flags & (kMapFixed | kMapFixedNoReplace)) {
    if (auto valid = CheckRange(address, size); !valid)
      return valid.error();
    if (address < AddressSpace::kLowest)
      return Errno::kPerm;
    if ((flags & kMapFixedNoReplace) &&
        !call.space().regions().Free(address, address + size))
      return Errno::kExists;
  } else {
    // A free hint is taken, as programs expect that ask for neighbours.
    address = PageDown(address);
    if (!CheckRange(address, size) || address < AddressSpace::kLowest ||
        !call.space().regions().Free(address, address + size)) {
      auto room = call.space().FindRoom(size);
      if (!room)
        return room.error();
      address = *room;
    }
  }
  Region region;
  region.start = address;
  region.end = address + size;
  region.protection = protection;
  if (flags & kMapAnonymous) {
    if (auto mapped = call.space().MapFixed(region); !mapped)
      return mapped.error();
    return address;
  }
  auto offset = call.argument(5);
  if (offset % kPageSize != 0)
    return Errno::kInvalid;
  auto file = call.uc().descriptors().Get(call.integer(4));
  if (!file)
    return file.error();
  if (!(*file)->readable())
    return Errno::kAccess;
  if ((flags & kMapTypeMask) == kMapShared && protection.write)
    return Errno::kNoDevice;
  return MapFile(call, region, **file, offset);
}

ebbrt::Answer ebbrt::personality::MemoryUnmap(SystemCall& call) {
  auto start = call.argument(0);
  auto size = PageUp(call.argument(1));
  if (auto valid = CheckRange(start, size); !valid || size == 0)
    return Errno::kInvalid;
  return Zero(call.space().Unmap(start, start + size));
}

ebbrt::Answer ebbrt::personality::MemoryProtect(SystemCall& call) {
  auto start = call.argument(0);
  if (call.argument(1) > AddressSpace::kHighest)
    return Errno::kNoMemory;
  auto size = PageUp(call.argument(1));
  if (auto valid = CheckRange(start, size); !valid)
    return valid.error();
  if (size == 0)
    return uint64_t{0};
  return Zero(
      call.space().Protect(start, start + size, ToProtection(call.integer(2))));
}

ebbrt::Answer ebbrt::personality::MemoryRemap(SystemCall& call) {
  auto start = call.argument(0);
  auto old_size = PageUp(call.argument(1));
  auto new_size = PageUp(call.argument(2));
  auto flags = call.integer(3);
  if (!CheckRange(start, old_size) || new_size == 0 || old_size == 0 ||
      (flags & ~kRemapMayMove))
    return Errno::kInvalid;
  auto& space = call.space();
  auto* region = space.regions().Find(start);
  if (!region || region->end < start + old_size)
    return Errno::kFault;
  if (new_size <= old_size) {
    if (new_size < old_size)
      if (auto cut = space.Unmap(start + new_size, start + old_size); !cut)
        return cut.error();
    return start;
  }
  // The part that grows would have to show more of the file.
  if (region->file)
    return Errno::kInvalid;
  Region growth;
  growth.protection = region->protection;
  if (region->end == start + old_size && CheckRange(start, new_size) &&
      space.regions().Free(start + old_size, start + new_size)) {
    growth.start = start + old_size;
    growth.end = start + new_size;
    if (auto mapped = space.MapFixed(growth); !mapped)
      return mapped.error();
    return start;
  }
  if (!(flags & kRemapMayMove))
    return Errno::kNoMemory;
  auto room = space.FindRoom(new_size);
  if (!room)
    return room.error();
  if (auto moved = space.Move(start, old_size, *room, new_size); !moved)
    return moved.error();
  return *room;
}

// MADV_FREE may drop the pages at once. Other advice changes nothing.
ebbrt::Answer ebbrt::personality::MemoryAdvise(SystemCall& call) {
  auto start = call.argument(0);
  if (call.argument(1) > AddressSpace::kHighest)
    return Errno::kNoMemory;
  auto size = PageUp(call.argument(1));
  if (auto valid = CheckRange(start, size); !valid)
    return valid.error();
  if (!call.space().regions().Covers(start, start + size))
    return Errno::kNoMemory;
  auto advice = call.integer(2);
  if ((advice == kAdviseDontNeed || advice == kAdviseFree) && size > 0)
    return Zero(call.space().Discard(start, start + size));
  return uint64_t{0};
}

// Answers the new end, or the old one if it cannot move, as Linux does.
ebbrt::Answer ebbrt::personality::Break(SystemCall& call) {
  auto& uc = call.uc();
  auto wanted = call.argument(0);
  auto old_end = PageUp(uc.break_end());
  if (wanted < uc.break_start() || wanted > AddressSpace::kHighest)
    return uc.break_end();
  auto new_end = PageUp(wanted);
  if (new_end > old_end) {
    Region region;
    region.start = old_end;
    region.end = new_end;
    region.protection = {true, true, false};
    if (!uc.space().regions().Free(old_end, new_end) ||
        !uc.space().MapFixed(region))
      return uc.break_end();
  } else if (new_end < old_end && !uc.space().Unmap(new_end, old_end)) {
    return uc.break_end();
  }
  uc.set_break_end(wanted);
  return wanted;
}
