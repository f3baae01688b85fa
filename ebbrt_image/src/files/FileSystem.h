// What a UC can do with the names of its NameTree: open, make, remove, rename.
// The archive is read-only, /tmp is writable and bounded.
//
// Calls take a place to start from for paths that are not absolute, as the *at
// calls of Linux do. Mode bits come with the caller's umask already applied.
// There are no users: what may be read may be read by all.
#ifndef EBBRT_FILES_FILESYSTEM_H_
#define EBBRT_FILES_FILESYSTEM_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "files/Descriptor.h"
#include "files/Device.h"
#include "files/NameTree.h"
#include "files/TmpFs.h"

namespace ebbrt {

class FileSystem : public RefCounted<FileSystem> {
 public:
  // `archive` must outlive this object. `executable` is what /proc/self/exe
  // points to, an absolute path.
  FileSystem(const Archive& archive, RefPtr<TmpStorage> storage,
             RandomDevice::Fill random, std::string_view executable);

  // For StateReader: `root` is the tree of /tmp, in `storage`.
  static RefPtr<FileSystem> Restore(const Archive& archive,
                                    RefPtr<TmpStorage> storage,
                                    RefPtr<TmpInode> root,
                                    RandomDevice::Fill random,
                                    std::string_view executable);
  // For `map`'s new UC: the same names, with their files in `storage`, whose
  // limits only bound what comes after.
  RefPtr<FileSystem> Clone(CloneMap& map, RefPtr<TmpStorage> storage) const;

  const NameTree& tree() const { return tree_; }
  const TmpFs& tmp() const { return tmp_; }
  Place root() const { return tree_.root(); }

  Result<RefPtr<Descriptor>> Open(const Place& start, std::string_view path,
                                  int flags, std::uint32_t mode);
  Result<void> GetStat(const Place& start, std::string_view path, bool follow,
                       abi::Stat& stat) const;
  // `mode`: abi::kAccess bits, or 0 to ask whether the file is there.
  Result<void> CheckAccess(const Place& start, std::string_view path,
                           int mode) const;
  // Fills the span, without a NUL, and returns how much of it.
  Result<std::size_t> ReadLink(const Place& start, std::string_view path,
                               std::span<char> target) const;
  // For chdir.
  Result<Place> FindDirectory(const Place& start, std::string_view path) const;

  Result<void> MakeDirectory(const Place& start, std::string_view path,
                             std::uint32_t mode);
  Result<void> RemoveDirectory(const Place& start, std::string_view path);
  Result<void> Unlink(const Place& start, std::string_view path);
  // `flags`: 0 or abi::kRenameNoReplace.
  Result<void> Rename(const Place& from_start, std::string_view from,
                      const Place& to_start, std::string_view to,
                      unsigned flags);
  Result<void> Truncate(const Place& start, std::string_view path,
                        std::uint64_t size);
  Result<void> SetPermissions(const Place& start, std::string_view path,
                              std::uint32_t permissions);
  Result<void> SetTimes(const Place& start, std::string_view path,
                        const abi::TimeSpec& accessed,
                        const abi::TimeSpec& modified);
  Result<void> SetPermissions(const Place& place, std::uint32_t permissions);
  Result<void> SetTimes(const Place& place, const abi::TimeSpec& accessed,
                        const abi::TimeSpec& modified);

 private:
  FileSystem(const Archive& archive, TmpFs tmp, RandomDevice::Fill random,
             std::string_view executable);

  // The directory of /tmp in which `target` can be made or removed.
  Result<RefPtr<TmpInode>>
  writable_directory(const NameTree::Target& target) const;
  Result<void> remove(const Place& start, std::string_view path,
                      bool directory);

  Result<RefPtr<Descriptor>> create(const NameTree::Target& target, int flags,
                                    std::uint32_t mode);
  Result<RefPtr<Descriptor>> open_place(const Place& place, int flags,
                                        std::uint32_t mode);
  Result<RefPtr<Descriptor>> open_directory(const Place& place, int flags,
                                            std::uint32_t mode);
  Result<RefPtr<Descriptor>> open_special(SpecialNode node, int flags);

  const Archive& archive_;
  TmpFs tmp_;
  NameTree tree_;
  RandomDevice::Fill random_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_FILESYSTEM_H_
