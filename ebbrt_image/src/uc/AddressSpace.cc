#include "uc/AddressSpace.h"

#include <algorithm>
#include <cstring>

#include "arch/Cpu.h"
#include "lib/Assert.h"
#include "mm/VMem.h"

namespace {

// Read-only file pages are mapped this many at a time. A boot of Python takes
// 404 faults so, not 863, and under TCG 6 to 9 % less time; a copy takes 0 to 3
// less.
constexpr uint64_t kFaultAround = 16 * ebbrt::kPageSize;
// More pages than this are flushed all at once.
constexpr uint64_t kFlushAll = 32 * ebbrt::kPageSize;

// Tables that mapping so many bytes may take, wherever they lie.
uint64_t MostTables(uint64_t size) {
  uint64_t count = 0;
  for (unsigned level = 2; level <= ebbrt::kRootLevel; ++level)
    count += size / ebbrt::EntrySpan(level) + 2;
  return count;
}

alignas(ebbrt::kPageSize) const std::byte zero_page[ebbrt::kPageSize] = {};

}  // namespace

ebbrt::AddressSpace::AddressSpace(uint64_t frame_limit)
    : tree_(page_allocator->Allocate()), frame_limit_(frame_limit) {
  if (valid())
    vmem::InitRoot(tree_.root());
}

ebbrt::AddressSpace::AddressSpace(uint64_t frame_limit, MemoryImage& image)
    : AddressSpace(frame_limit) {
  if (!valid())
    return;
  image.ShareWith(tree_);
  regions_ = image.regions().Clone();
}

std::unique_ptr<ebbrt::MemoryImage> ebbrt::AddressSpace::Capture() {
  auto image = MemoryImage::Create(regions_.Clone());
  if (!image)
    return nullptr;
  image->Take(tree_);
  owned_frames_ = 0;
  file_frames_ = 0;
  peak_frames_ = 0;
  if (loaded())
    cpu::WriteCr3(tree_.root().address());
  return image;
}

ebbrt::AddressSpace::~AddressSpace() {
  if (!valid())
    return;
  if (loaded()) {
    vmem::LoadRoot();
    cpu::Current().root = vmem::Root().address();
  }
  tree_.Clear();
  page_allocator->Free(tree_.root());
}

bool ebbrt::AddressSpace::ChargeFile() {
  // Half is for files, as in a tmpfs: a full one is an error that the program
  // still has the memory to tell.
  if (!HasRoom(1) || file_frames_ >= frame_limit_ / 2)
    return false;
  ++file_frames_;
  note_peak();
  return true;
}

void ebbrt::AddressSpace::DischargeFile() {
  // One that was shared with a snapshot before was not charged.
  if (file_frames_ > 0)
    --file_frames_;
}

ebbrt::Result<void> ebbrt::AddressSpace::MapFixed(const Region& region) {
  if (region.start < kLowest || region.end > kHighest ||
      region.start >= region.end)
    return Errno::kNoMemory;
  if (auto unmapped = Unmap(region.start, region.end); !unmapped)
    return unmapped;
  if (!regions_.Insert(region))
    return Errno::kNoMemory;
  return {};
}

ebbrt::Result<uint64_t> ebbrt::AddressSpace::FindRoom(uint64_t size) const {
  // Below the stack's region there is always the guard of one page.
  auto address =
      regions_.FindFree(size, kLowest, kStackEnd - kStackSize - kPageSize);
  if (!address)
    address = regions_.FindFree(size, kNear, kHighest);
  if (!address)
    return Errno::kNoMemory;
  return address;
}

ebbrt::Result<void> ebbrt::AddressSpace::Unmap(uint64_t start, uint64_t end) {
  if (regions_.Free(start, end))
    return {};
  if (auto discarded = Discard(start, end); !discarded)
    return discarded;
  if (!regions_.Remove(start, end))
    return Errno::kNoMemory;
  return {};
}

ebbrt::Result<void> ebbrt::AddressSpace::Discard(uint64_t start, uint64_t end) {
  auto owned = count_owned(start, end);
  auto unmapped = tree_.Unmap(start, end);
  // Even if it stopped halfway: some frames are free already.
  flush(start, end);
  if (!unmapped)
    return Errno::kNoMemory;
  owned_frames_ -= std::min(owned, owned_frames_);
  return {};
}

ebbrt::Result<void> ebbrt::AddressSpace::Protect(uint64_t start, uint64_t end,
                                                 Protection protection) {
  if (!regions_.Covers(start, end) || !own_tables(start, end) ||
      !regions_.Protect(start, end, protection))
    return Errno::kNoMemory;
  auto changed = tree_.Change(start, end, [&](uint64_t, Entry& entry) {
    // Write access comes back by a fault, which knows who owns the page.
    if (entry.writable())
      entry.Set(Entry::kWithheld);
    entry.Clear(Entry::kWritable);
    if (protection.execute)
      entry.Clear(Entry::kNoExecute);
    else
      entry.Set(Entry::kNoExecute);
    if (protection.read || protection.write || protection.execute)
      entry.Set(Entry::kUser);
    else
      entry.Clear(Entry::kUser);
  });
  kassert(changed);
  flush(start, end);
  return {};
}

ebbrt::Result<void> ebbrt::AddressSpace::Move(uint64_t from, uint64_t size,
                                              uint64_t to, uint64_t new_size) {
  auto* source = regions_.Find(from);
  if (!source || source->end < from + size)
    return Errno::kFault;
  if (!own_tables(from, from + size) || !HasRoom(MostTables(size)))
    return Errno::kNoMemory;
  auto region = source->TailFrom(from);
  region.end = from + size;
  region.file_bytes = std::min(region.file_bytes, size);
  auto target = region;
  target.start = to;
  target.end = to + new_size;
  kassert(regions_.Free(target.start, target.end));
  if (!regions_.Remove(from, from + size))
    return Errno::kNoMemory;
  // What was taken out leaves room for one to be put in.
  kbugon(!regions_.Insert(target), "no room for the region that moves");
  bool moved = true;
  auto walked = tree_.Change(from, from + size, [&](uint64_t at, Entry& entry) {
    auto* slot = moved ? tree_.Own(to + (at - from)) : nullptr;
    if (!slot) {
      moved = false;
      return;
    }
    // The entry's reference moves with it.
    *slot = entry;
    entry = Entry();
  });
  if (!walked || !moved) {
    // Back, between tables that this space owns by now.
    tree_.ForEach(to, to + size, [&](uint64_t at, Entry entry) {
      *tree_.Own(from + (at - to)) = entry;
      *tree_.Own(at) = Entry();
    });
    kbugon(!regions_.Remove(target.start, target.end) ||
               !regions_.Insert(region),
           "the region that should move is lost");
  }
  flush(from, from + size);
  if (!walked || !moved)
    return Errno::kNoMemory;
  return {};
}

ebbrt::AddressSpace::Fault
ebbrt::AddressSpace::HandleFault(uint64_t address, bool write, bool execute) {
  auto* region = regions_.Find(address);
  if (!region || (write && !region->protection.write) ||
      (execute && !region->protection.execute) ||
      (!write && !execute && !region->protection.read &&
       !region->protection.write && !region->protection.execute))
    return Fault::kNoAccess;
  auto page = PageDown(address);
  auto found = tree_.Find(page);
  bool resolved;
  if (!may_own(page)) {
    resolved = false;
  } else if (!found.present()) {
    resolved = fill(*region, page, write);
  } else if (write) {
    // The path may be borrowed although the entry itself looks writable.
    auto* entry = tree_.Own(page);
    resolved = entry && (entry->writable() || copy_on_write(*entry));
  } else {
    // Only protection stood in the way, and the region allows it now.
    auto* entry = tree_.Own(page);
    resolved = entry;
    if (entry) {
      *entry = Entry(entry->pfn(),
                     FlagsOf(*region) |
                         (entry->flags() & (Entry::kDirty | Entry::kWritable |
                                            Entry::kWithheld)));
    }
  }
  // Tables may have been copied, even if memory ran short then: the core must
  // forget the old ones, which are no longer kept for this space.
  if (loaded())
    cpu::InvalidatePage(page);
  return resolved ? Fault::kResolved : Fault::kNoMemory;
}

void ebbrt::AddressSpace::OwnAhead(std::span<const uint64_t> pages) {
  auto taken = counters_;
  for (auto page : pages) {
    auto* region = regions_.Find(page);
    if (!region || !region->protection.write)
      continue;
    // What may not be needed must not use up what is.
    if (own_frames() >= frame_limit_ / 2 ||
        PageAllocator::UncachedFrames() <= 2 * kKernelReserve)
      break;
    auto* entry = tree_.Own(page);
    if (!entry ||
        !(entry->present() ? entry->writable() || copy_on_write(*entry)
                           : fill(*region, page, true)))
      break;
    ++taken.ahead;
  }
  counters_ = taken;
  if (loaded())
    cpu::WriteCr3(tree_.root().address());
}

bool ebbrt::AddressSpace::CopyIn(std::span<std::byte> to, uint64_t from) {
  return ForEachPiece(from, to.size(), [&to](std::span<const std::byte> piece) {
    std::memcpy(to.data(), piece.data(), piece.size());
    to = to.subspan(piece.size());
    return true;
  });
}

bool ebbrt::AddressSpace::CopyOut(uint64_t to,
                                  std::span<const std::byte> from) {
  while (!from.empty()) {
    auto piece = std::min(kPageSize - to % kPageSize, from.size());
    auto* bytes = access(to, true);
    if (!bytes)
      return false;
    std::memcpy(bytes, from.data(), piece);
    from = from.subspan(piece);
    to += piece;
  }
  return true;
}

std::byte* ebbrt::AddressSpace::access(uint64_t address, bool write) {
  // Beyond the user half the tree has no entries to look at.
  if (address >= kHighest)
    return nullptr;
  auto page = PageDown(address);
  auto entry = tree_.Find(page);
  auto user = entry.present() && (entry.flags() & Entry::kUser);
  if (!user || (write && !(entry.writable() && tree_.Owned(page)))) {
    if (HandleFault(address, write, false) != Fault::kResolved)
      return nullptr;
    entry = tree_.Find(page);
  }
  if (write) {
    // The MMU does not see this write, so it is marked here.
    auto* owned = tree_.Own(page);
    owned->Set(Entry::kDirty);
  }
  return ToPointer<std::byte>(entry.pfn()) + address % kPageSize;
}

bool ebbrt::AddressSpace::own_tables(uint64_t start, uint64_t end) {
  auto borrowed = tree_.BorrowedTables(start, end);
  if (borrowed == 0)
    return true;
  if (!HasRoom(borrowed))
    return false;
  auto owned = tree_.Change(start, end, [](uint64_t, Entry&) {});
  // The core must forget those that were copied, even if memory ran short then.
  flush(start, end);
  return owned;
}

bool ebbrt::AddressSpace::may_own(uint64_t page) const {
  return own_frames() < frame_limit_ || tree_.Owned(page);
}

ebbrt::Pfn ebbrt::AddressSpace::allocate() {
  if (own_frames() >= frame_limit_ ||
      PageAllocator::UncachedFrames() <= kKernelReserve)
    return Pfn::None();
  auto pfn = page_allocator->Allocate();
  if (pfn.valid()) {
    ++owned_frames_;
    note_peak();
  }
  return pfn;
}

void ebbrt::AddressSpace::note_peak() {
  peak_frames_ = std::max(peak_frames_, own_frames());
}

bool ebbrt::AddressSpace::fill(const Region& region, uint64_t page,
                               bool write) {
  auto offset = page - region.start;
  auto* entry = tree_.Own(page);
  if (!entry)
    return false;
  auto flags = FlagsOf(region);
  auto file_left = region.file && offset < region.file_bytes
                       ? region.file_bytes - offset
                       : 0;
  auto whole_page =
      file_left >= kPageSize || file_left == 0 || !region.protection.write;
  if (!write && whole_page) {
    // Borrowed: the archive's own page, or the page of zeroes.
    auto* bytes = file_left ? region.file + offset : zero_page;
    auto pfn = ToPfn(bytes);
    frames::AddReference(pfn);
    *entry = Entry(pfn, flags);
    if (file_left) {
      ++counters_.file_fill;
      map_around(region, page);
    } else {
      ++counters_.demand_zero;
    }
    return true;
  }
  auto pfn = allocate();
  if (!pfn.valid())
    return false;
  if (file_left) {
    std::memcpy(ToPointer(pfn), region.file + offset,
                std::min(file_left, kPageSize));
    ++counters_.file_fill;
  } else {
    ++counters_.demand_zero;
  }
  *entry = Entry(pfn, flags | (region.protection.write ? Entry::kWritable : 0) |
                          (write ? Entry::kDirty : 0));
  return true;
}

bool ebbrt::AddressSpace::copy_on_write(Entry& entry) {
  auto old = entry.pfn();
  if (frames::References(old) == 1) {
    ++(entry.flags() & Entry::kWithheld ? counters_.protection
                                        : counters_.ownership);
    entry.Set(Entry::kWritable | Entry::kDirty);
    entry.Clear(Entry::kWithheld);
    return true;
  }
  auto pfn = allocate();
  if (!pfn.valid())
    return false;
  // A frame that is never written (dirty) comes from a file or is the zero
  // page; the others were left by a snapshot.
  if (entry.dirty())
    ++counters_.snapshot_copy;
  else
    ++counters_.native_copy;
  if (old != ToPfn(zero_page))
    std::memcpy(ToPointer(pfn), ToPointer(old), kPageSize);
  entry = Entry(pfn, entry.flags() | Entry::kWritable | Entry::kDirty);
  entry.Clear(Entry::kWithheld);
  frames::Release(old);
  return true;
}

void ebbrt::AddressSpace::map_around(const Region& region, uint64_t page) {
  if (region.protection.write)
    return;
  auto start = std::max(page & ~(kFaultAround - 1), region.start);
  auto file_end = region.start + (region.file_bytes & ~(kPageSize - 1));
  auto end = std::min((page & ~(kFaultAround - 1)) + kFaultAround,
                      std::min(region.end, file_end));
  auto flags = FlagsOf(region);
  for (auto at = start; at < end; at += kPageSize) {
    // All lie in the table that the first page made owned.
    auto* entry = tree_.Own(at);
    if (!entry || entry->present())
      continue;
    auto pfn = ToPfn(region.file + (at - region.start));
    frames::AddReference(pfn);
    *entry = Entry(pfn, flags);
  }
}

ebbrt::Pfn ebbrt::AddressSpace::ZeroPage() {
  return ToPfn(zero_page);
}

uint64_t ebbrt::AddressSpace::FlagsOf(const Region& region) {
  auto protection = region.protection;
  auto any = protection.read || protection.write || protection.execute;
  return Entry::kPresent | Entry::kAccessed | (any ? Entry::kUser : 0) |
         (protection.execute ? 0 : Entry::kNoExecute);
}

uint64_t ebbrt::AddressSpace::count_owned(uint64_t start, uint64_t end) const {
  uint64_t count = 0;
  tree_.ForEachOwned(start, end, [&count](uint64_t, Entry) { ++count; });
  return count;
}

void ebbrt::AddressSpace::flush(uint64_t start, uint64_t end) {
  if (!loaded())
    return;
  if (end - start > kFlushAll) {
    cpu::WriteCr3(tree_.root().address());
    return;
  }
  for (auto at = start; at < end; at += kPageSize)
    cpu::InvalidatePage(at);
}

bool ebbrt::AddressSpace::loaded() const {
  return cpu::Current().root == tree_.root().address();
}
