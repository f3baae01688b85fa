// A UC's memory: its regions, its page-table tree, and how faults fill it.
#ifndef EBBRT_UC_ADDRESSSPACE_H_
#define EBBRT_UC_ADDRESSSPACE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/Result.h"
#include "mm/KernelFrames.h"
#include "mm/PageTableTree.h"
#include "uc/MemoryImage.h"
#include "uc/RegionMap.h"

namespace ebbrt {

class AddressSpace {
 public:
  static constexpr uint64_t kLowest = 0x10000;
  static constexpr uint64_t kHighest = 0x7FFFFFFFF000;
  // The program lies below this, and what fits there too: all that then needs
  // the same upper tables, of which each UC gets its own when it writes.
  static constexpr uint64_t kNear = 1 << 30;
  static constexpr uint64_t kStackEnd = kNear;
  static constexpr uint64_t kStackSize = 8 << 20;

  enum class Fault { kResolved, kNoAccess, kNoMemory };

  // How often each kind of fault was taken.
  struct Counters {
    uint64_t demand_zero = 0;
    uint64_t file_fill = 0;
    uint64_t native_copy = 0;    // of a file's page or the zero page
    uint64_t snapshot_copy = 0;  // of a page borrowed from a snapshot
    uint64_t ownership = 0;      // the last borrower takes the page as it is
    uint64_t protection = 0;     // what mprotect took away comes back
    uint64_t ahead = 0;          // no fault: pages that OwnAhead brought
  };

  // At most `frame_limit` frames of its own. Check valid() afterwards.
  explicit AddressSpace(uint64_t frame_limit);
  // Borrows all that `image` maps.
  AddressSpace(uint64_t frame_limit, MemoryImage& image);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // What this space maps now, as an image of its own, from which this space
  // borrows from now on. Null if memory is short. Costs the root table and a
  // look at the pages written since the last capture.
  std::unique_ptr<MemoryImage> Capture();

  // The frame of zeroes that read faults borrow.
  static Pfn ZeroPage();
  // What an entry of the region has, as long as nobody may write through it.
  static uint64_t FlagsOf(const Region& region);

  bool valid() const { return tree_.root().valid(); }
  Pfn root() const { return tree_.root(); }
  uint64_t owned_frames() const { return owned_frames_; }
  // With those of the tables, and what the kernel holds for the UC: what the
  // limit is for.
  uint64_t own_frames() const {
    return owned_frames_ + tree_.tables() + file_frames_ + buffer_frames_;
  }
  // The most that these were since the last capture.
  uint64_t peak_frames() const { return peak_frames_; }
  bool HasRoom(uint64_t frames) const {
    return own_frames() + frames <= frame_limit_;
  }

  // Pages of its files that nobody shares. False at the limit of half of all.
  bool ChargeFile();
  void DischargeFile();
  // What its pipes and sockets hold.
  void set_buffer_frames(uint64_t frames) { buffer_frames_ = frames; }
  size_t owned_tables() const { return tree_.OwnedTables(); }
  const Counters& counters() const { return counters_; }
  const RegionMap& regions() const { return regions_; }

  // Addresses and sizes are multiples of the page size from here on.

  // Maps `region` where it says; what was there before is dropped.
  Result<void> MapFixed(const Region& region);
  // Finds room for a region of `size` bytes: below the stack, or near the top.
  Result<uint64_t> FindRoom(uint64_t size) const;
  Result<void> Unmap(uint64_t start, uint64_t end);
  // All of it, or nothing if memory is short.
  Result<void> Protect(uint64_t start, uint64_t end, Protection protection);
  // Drops the contents, keeps the regions: later reads see the fill again.
  Result<void> Discard(uint64_t start, uint64_t end);
  // Moves the pages and the region at `from` to `to`, where `new_size` bytes
  // must be free; that is at least `size`. All stays as it was if it fails.
  Result<void> Move(uint64_t from, uint64_t size, uint64_t to,
                    uint64_t new_size);

  // Resolves an access to `address` if the regions allow it.
  Fault HandleFault(uint64_t address, bool write, bool execute);

  // Makes these pages the UC's own before it writes to them, those that it may
  // write to; stops where memory is not plenty.
  void OwnAhead(std::span<const uint64_t> pages);
  // visit(address) for each page written since the space was made or captured.
  template <class Visit> void ForEachWritten(Visit visit) const {
    tree_.ForEachOwned(kLowest, kHighest, [&visit](uint64_t at, Entry entry) {
      if (entry.dirty())
        visit(at);
    });
  }

  // Copies between the kernel and the UC. False if the UC may not make that
  // access itself; a part may have been copied then.
  bool CopyIn(std::span<std::byte> to, uint64_t from);
  bool CopyOut(uint64_t to, std::span<const std::byte> from);

  template <class T> bool Read(uint64_t address, T& value) {
    return CopyIn(std::as_writable_bytes(std::span(&value, 1)), address);
  }
  template <class T> bool Write(uint64_t address, const T& value) {
    return CopyOut(address, std::as_bytes(std::span(&value, 1)));
  }

  // Calls visit(span) for each piece of [address, address+size) as it lies in
  // memory, for reading, while that returns true. False at an address the UC
  // cannot read.
  template <class Visit>
  bool ForEachPiece(uint64_t address, uint64_t size, Visit visit) {
    while (size > 0) {
      auto piece = kPageSize - address % kPageSize;
      if (piece > size)
        piece = size;
      auto* bytes = access(address, false);
      if (!bytes)
        return false;
      if (!visit(std::span<const std::byte>(bytes, piece)))
        return true;
      address += piece;
      size -= piece;
    }
    return true;
  }

  // The same for writing.
  template <class Visit>
  bool ForEachWritablePiece(uint64_t address, uint64_t size, Visit visit) {
    while (size > 0) {
      auto piece = kPageSize - address % kPageSize;
      if (piece > size)
        piece = size;
      auto* bytes = access(address, true);
      if (!bytes)
        return false;
      if (!visit(std::span<std::byte>(bytes, piece)))
        return true;
      address += piece;
      size -= piece;
    }
    return true;
  }

 private:
  using Entry = PageTableEntry;
  using Tree = PageTableTree<KernelFrames>;

  // The byte at `address` through the direct map, faulted in; null if the UC
  // may not access it so.
  std::byte* access(uint64_t address, bool write);
  // Owns the tables of a range, so that Change() of it cannot fail.
  bool own_tables(uint64_t start, uint64_t end);
  // False if the tables on the way to `page` would go beyond the limit.
  bool may_own(uint64_t page) const;
  Pfn allocate();
  void note_peak();
  bool fill(const Region& region, uint64_t page, bool write);
  bool copy_on_write(Entry& entry);
  void map_around(const Region& region, uint64_t page);
  // Frames of the range that only this space holds.
  uint64_t count_owned(uint64_t start, uint64_t end) const;
  void flush(uint64_t start, uint64_t end);
  bool loaded() const;

  Tree tree_;
  RegionMap regions_;
  uint64_t owned_frames_ = 0;
  uint64_t peak_frames_ = 0;
  uint64_t file_frames_ = 0;
  uint64_t buffer_frames_ = 0;
  uint64_t frame_limit_;
  Counters counters_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_ADDRESSSPACE_H_
