// The lower half of a UC's address space as a persistent tree.
//
// Every table and every data frame carries a reference count. A table whose
// path from the root is made of tables with one reference each is *owned*: only
// this tree reaches it. All others are *borrowed*: they are read, never
// written. Sharing a tree (deploy, capture) copies only the root and clears the
// writable bit of its entries. Own() makes one path writable again, copying
// borrowed tables level by level; copying a table adds a reference to each
// child and clears the writable bit of its entries on both sides, so a child is
// copied in turn when it is written through either side.
//
// Frames is a policy: Pointer(Pfn), AllocateTable(), AddReference(Pfn),
// References(Pfn), DropReference(Pfn) -> last, Free(Pfn).
#ifndef EBBRT_MM_PAGETABLETREE_H_
#define EBBRT_MM_PAGETABLETREE_H_

#include "lib/Assert.h"
#include "mm/PageTableEntry.h"

namespace ebbrt {

template <class Frames> class PageTableTree {
 public:
  using Entry = PageTableEntry;
  static constexpr unsigned kUserEntries = kTableEntries / 2;
  static constexpr uint64_t kUserEnd = uint64_t{1} << 47;

  explicit PageTableTree(Pfn root) : root_(root) {}

  Pfn root() const { return root_; }

  // The leaf entry for reading only, or an empty entry.
  Entry Find(uint64_t address) const {
    auto* table = pointer(root_);
    for (auto level = kRootLevel; level > 1; --level) {
      auto entry = table[TableIndex(address, level)];
      if (!entry.present())
        return Entry();
      table = pointer(entry.pfn());
    }
    return table[TableIndex(address, 1)];
  }

  // True if every table on the way to `address` is owned.
  bool Owned(uint64_t address) const {
    auto* table = pointer(root_);
    for (auto level = kRootLevel; level > 1; --level) {
      auto entry = table[TableIndex(address, level)];
      if (!entry.present() || Frames::References(entry.pfn()) > 1)
        return false;
      table = pointer(entry.pfn());
    }
    return true;
  }

  // The leaf entry in an owned table, made as needed; null if memory is short.
  Entry* Own(uint64_t address) {
    auto* table = pointer(root_);
    for (auto level = kRootLevel; level > 1; --level) {
      auto& entry = table[TableIndex(address, level)];
      if (!own_entry(entry))
        return nullptr;
      table = pointer(entry.pfn());
    }
    return &table[TableIndex(address, 1)];
  }

  // Drops every mapping in [start, end). False if memory ran short on the way:
  // borrowed tables that lie across the edges must be copied first.
  bool Unmap(uint64_t start, uint64_t end) {
    return unmap(pointer(root_), kRootLevel, 0, start, end);
  }

  // Calls visit(address, Entry&) for each present leaf in [start, end), having
  // made its table owned first. False if memory ran short.
  template <class Visit>
  bool Change(uint64_t start, uint64_t end, Visit visit) {
    return change(pointer(root_), kRootLevel, 0, start, end, visit);
  }

  // Calls visit(address, Entry) for each present leaf in [start, end).
  template <class Visit>
  void ForEach(uint64_t start, uint64_t end, Visit visit) const {
    for_each(pointer(root_), kRootLevel, 0, start, end, visit);
  }

  // Makes `target`, whose lower half must be empty, a borrower of all that this
  // tree maps. Both trees then own nothing below their roots.
  void Share(PageTableTree& target) {
    auto* from = pointer(root_);
    auto* to = pointer(target.root_);
    for (unsigned i = 0; i < kUserEntries; ++i) {
      kassert(!to[i].present());
      if (!from[i].present())
        continue;
      Frames::AddReference(from[i].pfn());
      // A snapshot's root was cleared when it was made: several cores deploy
      // from it at once, and none of them writes to it.
      if (from[i].writable())
        from[i].Clear(Entry::kWritable);
      to[i] = from[i];
    }
    if (tables_ > 0)
      tables_ = 0;
  }

  // Tables that this tree made since it was last shared, those given up
  // excepted.
  size_t tables() const { return tables_; }

  // Calls visit(address, Entry) for each leaf in [start, end) whose frame only
  // this tree reaches. Looks into owned tables only, so the cost follows what
  // was written since the tree was last shared.
  template <class Visit>
  void ForEachOwned(uint64_t start, uint64_t end, Visit visit) const {
    for_each_owned(pointer(root_), kRootLevel, 0, start, end, visit);
  }

  // Calls visit(address, ours, theirs) for each page that lies in different
  // frames in the two trees, or in one only; the other's entry is empty then.
  // Looks into tables only that they do not share.
  template <class Visit>
  void ForEachDifference(const PageTableTree& other, Visit visit) const {
    for_each_difference(pointer(root_), pointer(other.root_), kRootLevel, 0,
                        visit);
  }

  // Drops the whole lower half. The root itself stays.
  void Clear() {
    auto* table = pointer(root_);
    for (unsigned i = 0; i < kUserEntries; ++i)
      drop(table[i], kRootLevel);
  }

  // Tables that Change() of [start, end) would copy.
  size_t BorrowedTables(uint64_t start, uint64_t end) const {
    return borrowed_tables(pointer(root_), kRootLevel, 0, start, end, true);
  }

  // Tables that only this tree reaches, the root included.
  size_t OwnedTables() const {
    return 1 + owned_tables(pointer(root_), kRootLevel);
  }

 private:
  static constexpr uint64_t kTableFlags =
      Entry::kPresent | Entry::kWritable | Entry::kUser | Entry::kAccessed;

  static Entry* pointer(Pfn table) {
    return reinterpret_cast<Entry*>(Frames::Pointer(table));
  }

  static unsigned entries(unsigned level) {
    return level == kRootLevel ? kUserEntries : kTableEntries;
  }

  // Makes the table behind `entry`, which stands in an owned table, owned.
  bool own_entry(Entry& entry) {
    if (!entry.present()) {
      auto table = Frames::AllocateTable();
      if (!table.valid())
        return false;
      entry = Entry(table, kTableFlags);
      ++tables_;
      return true;
    }
    if (Frames::References(entry.pfn()) == 1) {
      entry.Set(Entry::kWritable);
      return true;
    }
    auto copy = Frames::AllocateTable();
    if (!copy.valid())
      return false;
    auto* from = pointer(entry.pfn());
    auto* to = pointer(copy);
    for (unsigned i = 0; i < kTableEntries; ++i) {
      if (!from[i].present())
        continue;
      Frames::AddReference(from[i].pfn());
      // Others read this table only through read-only entries above it, so
      // clearing the bit under them changes nothing they have cached.
      if (from[i].writable())
        from[i].Clear(Entry::kWritable);
      to[i] = from[i];
    }
    auto old = entry.pfn();
    entry = Entry(copy, kTableFlags);
    ++tables_;
    // The others may have let go meanwhile: then the children lose one too.
    if (Frames::DropReference(old))
      free_table(old);
    return true;
  }

  // Frees a table without references. Level does not matter to the children:
  // each either is a leaf or is dropped as a table by drop().
  static void free_table(Pfn table) {
    auto* old = pointer(table);
    for (unsigned i = 0; i < kTableEntries; ++i)
      if (old[i].present() && Frames::DropReference(old[i].pfn()))
        kabort("child of a copied table has no other owner");
    Frames::Free(table);
  }

  // Drops the reference that an entry in a table of `level` holds.
  void drop(Entry& entry, unsigned level) {
    if (!entry.present())
      return;
    auto pfn = entry.pfn();
    entry = Entry();
    if (!Frames::DropReference(pfn))
      return;
    if (level > 1) {
      auto* table = pointer(pfn);
      for (unsigned i = 0; i < kTableEntries; ++i)
        drop(table[i], level - 1);
      if (tables_ > 0)
        --tables_;
    }
    Frames::Free(pfn);
  }

  bool unmap(Entry* table, unsigned level, uint64_t base, uint64_t start,
             uint64_t end) {
    auto span = EntrySpan(level);
    for (auto i = first_index(level, base, start); i < entries(level); ++i) {
      auto at = base + i * span;
      if (at >= end)
        break;
      auto& entry = table[i];
      if (!entry.present())
        continue;
      if (at >= start && at + span <= end) {
        drop(entry, level);
        continue;
      }
      if (!own_entry(entry) ||
          !unmap(pointer(entry.pfn()), level - 1, at, start, end))
        return false;
    }
    return true;
  }

  template <class Visit>
  bool change(Entry* table, unsigned level, uint64_t base, uint64_t start,
              uint64_t end, Visit& visit) {
    auto span = EntrySpan(level);
    for (auto i = first_index(level, base, start); i < entries(level); ++i) {
      auto at = base + i * span;
      if (at >= end)
        break;
      auto& entry = table[i];
      if (!entry.present())
        continue;
      if (level == 1)
        visit(at, entry);
      else if (!own_entry(entry) ||
               !change(pointer(entry.pfn()), level - 1, at, start, end, visit))
        return false;
    }
    return true;
  }

  template <class Visit>
  static void for_each(const Entry* table, unsigned level, uint64_t base,
                       uint64_t start, uint64_t end, Visit& visit) {
    auto span = EntrySpan(level);
    for (auto i = first_index(level, base, start); i < entries(level); ++i) {
      auto at = base + i * span;
      if (at >= end)
        break;
      if (!table[i].present())
        continue;
      if (level == 1)
        visit(at, table[i]);
      else
        for_each(pointer(table[i].pfn()), level - 1, at, start, end, visit);
    }
  }

  template <class Visit>
  static void for_each_owned(const Entry* table, unsigned level, uint64_t base,
                             uint64_t start, uint64_t end, Visit& visit) {
    auto span = EntrySpan(level);
    for (auto i = first_index(level, base, start); i < entries(level); ++i) {
      auto at = base + i * span;
      if (at >= end)
        break;
      if (!table[i].present() || Frames::References(table[i].pfn()) > 1)
        continue;
      if (level == 1)
        visit(at, table[i]);
      else
        for_each_owned(pointer(table[i].pfn()), level - 1, at, start, end,
                       visit);
    }
  }

  // Either table may be null: there is none on that side.
  template <class Visit>
  static void for_each_difference(const Entry* ours, const Entry* theirs,
                                  unsigned level, uint64_t base, Visit& visit) {
    for (unsigned i = 0; i < entries(level); ++i) {
      auto our = ours ? ours[i] : Entry();
      auto their = theirs ? theirs[i] : Entry();
      if (our.present() ? their.present() && our.pfn() == their.pfn()
                        : !their.present())
        continue;
      auto at = base + i * EntrySpan(level);
      if (level == 1)
        visit(at, our, their);
      else
        for_each_difference(our.present() ? pointer(our.pfn()) : nullptr,
                            their.present() ? pointer(their.pfn()) : nullptr,
                            level - 1, at, visit);
    }
  }

  static size_t owned_tables(const Entry* table, unsigned level) {
    if (level == 1)
      return 0;
    size_t count = 0;
    for (unsigned i = 0; i < entries(level); ++i)
      if (table[i].present() && Frames::References(table[i].pfn()) == 1)
        count += 1 + owned_tables(pointer(table[i].pfn()), level - 1);
    return count;
  }

  // `owned`: this table is.
  static size_t borrowed_tables(const Entry* table, unsigned level,
                                uint64_t base, uint64_t start, uint64_t end,
                                bool owned) {
    if (level == 1)
      return 0;
    size_t count = 0;
    auto span = EntrySpan(level);
    for (auto i = first_index(level, base, start); i < entries(level); ++i) {
      auto at = base + i * span;
      if (at >= end)
        break;
      if (!table[i].present())
        continue;
      auto child = owned && Frames::References(table[i].pfn()) == 1;
      count += !child + borrowed_tables(pointer(table[i].pfn()), level - 1, at,
                                        start, end, child);
    }
    return count;
  }

  static unsigned first_index(unsigned level, uint64_t base, uint64_t start) {
    return start <= base
               ? 0
               : static_cast<unsigned>((start - base) / EntrySpan(level));
  }

  Pfn root_;
  size_t tables_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_MM_PAGETABLETREE_H_
