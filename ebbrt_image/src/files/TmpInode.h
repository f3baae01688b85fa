// A file or directory of /tmp. It lives as long as a directory names it or a
// descriptor holds it, so a file that is deleted while open keeps its data.
#ifndef EBBRT_FILES_TMPINODE_H_
#define EBBRT_FILES_TMPINODE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "files/Abi.h"
#include "files/FilePages.h"
#include "files/TmpStorage.h"
#include "lib/RefCounted.h"
#include "lib/Result.h"
#include "lib/String.h"
#include "lib/Vector.h"

namespace ebbrt {

class TmpInode : public RefCounted<TmpInode> {
 public:
  static constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 40;

  struct Child {
    String name;
    RefPtr<TmpInode> inode;
    // Grows with every entry made, so a reader of the directory finds its place
    // again after others came and went.
    std::uint64_t cookie;
  };

  // All there is to an inode but its contents.
  struct Attributes {
    std::uint64_t number;
    std::uint32_t mode;  // with the type
    abi::TimeSpec accessed;
    abi::TimeSpec modified;
    abi::TimeSpec changed;
    std::uint64_t size = 0;         // of a file
    std::uint64_t next_cookie = 0;  // of a directory
  };

  // `mode` carries the type. kNoSpace when there are too many inodes.
  static Result<RefPtr<TmpInode>> Create(RefPtr<TmpStorage> storage,
                                         std::uint32_t mode);
  // Also beyond the limits. It is in no directory and has no contents yet: the
  // size stands for a hole.
  static RefPtr<TmpInode> Restore(RefPtr<TmpStorage> storage,
                                  const Attributes& attributes);
  // For CloneMap: contents shared until either side writes. Of a directory, the
  // entries are missing.
  RefPtr<TmpInode> CloneWithoutChildren(RefPtr<TmpStorage> storage) const;
  ~TmpInode();

  bool is_directory() const {
    return (mode() & abi::kModeTypeMask) == abi::kModeDirectory;
  }
  const Attributes& attributes() const { return attributes_; }
  std::uint64_t number() const { return attributes_.number; }
  std::uint32_t mode() const { return attributes_.mode; }
  std::uint64_t size() const { return attributes_.size; }
  void set_permissions(std::uint32_t permissions);
  void set_times(const abi::TimeSpec& accessed, const abi::TimeSpec& modified);
  void FillStat(abi::Stat& stat) const;

  // Files. Holes read as zeros and take no page. Write stores what fits and
  // returns how much that was; kNoSpace when nothing did.
  std::size_t Read(std::uint64_t offset, std::span<std::byte> bytes) const;
  Result<std::size_t> Write(std::uint64_t offset,
                            std::span<const std::byte> bytes);
  // kNoSpace when a page at the new end is shared and there is no memory for a
  // copy; 0 always works.
  Result<void> Truncate(std::uint64_t size);
  // Null for a hole. The page may go away with the next Truncate.
  const std::byte* PageAt(std::uint64_t index) const;

  // visit(index, page) for every page that is no hole, in no order.
  template <class F> void ForEachPage(F&& visit) const {
    pages_.ForEach(visit);
  }
  // Fills a hole with a page that begins with `bytes`, and leaves size and
  // times alone. False when there is no memory or the limit is reached.
  bool RestorePage(std::uint64_t index, std::span<const std::byte> bytes);

  // Directories.
  TmpInode* parent() const { return parent_; }
  const Vector<Child>& children() const { return children_; }
  // Was taken out of its directory, or never put into one.
  bool removed() const { return removed_; }
  // For the one directory that has no parent and is not removed.
  void MarkRoot() { removed_ = false; }
  Child* FindChild(std::string_view name);
  // The name must be free.
  void AddChild(std::string_view name, RefPtr<TmpInode> child);
  // Adds a child as it was in another directory, and leaves all times alone.
  // Cookies must come in their order.
  void RestoreChild(std::string_view name, RefPtr<TmpInode> child,
                    std::uint64_t cookie);
  // The name must be there.
  RefPtr<TmpInode> RemoveChild(std::string_view name);
  // The name of `child`, which must be one.
  std::string_view NameOf(const TmpInode& child) const;

 private:
  TmpInode(RefPtr<TmpStorage> storage, const Attributes& attributes);

  void touch();

  RefPtr<TmpStorage> storage_;
  Attributes attributes_;
  bool removed_ = true;

  FilePages pages_;

  // The directory that names this one; it holds us, not we it.
  TmpInode* parent_ = nullptr;
  Vector<Child> children_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_TMPINODE_H_
