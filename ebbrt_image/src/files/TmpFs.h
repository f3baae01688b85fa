// The writable files of one UC, in memory: the tree and the operations on
// names. Bounded in pages and inodes. No links, no owners.
#ifndef EBBRT_FILES_TMPFS_H_
#define EBBRT_FILES_TMPFS_H_

#include <cstdint>
#include <string_view>

#include "files/TmpInode.h"
#include "files/TmpStorage.h"

namespace ebbrt {

class TmpFs {
 public:
  explicit TmpFs(RefPtr<TmpStorage> storage);
  // A tree that is there already, with its files in `storage`.
  TmpFs(RefPtr<TmpStorage> storage, RefPtr<TmpInode> root);

  const RefPtr<TmpInode>& root() const { return root_; }
  const TmpStorage& storage() const { return *storage_; }

  // Names are single components, and neither "." nor "..". Every call answers
  // kNotDirectory when `directory` is none.
  Result<RefPtr<TmpInode>> Find(TmpInode& directory, std::string_view name);
  // `mode` carries the type: regular file or directory.
  Result<RefPtr<TmpInode>> Create(TmpInode& directory, std::string_view name,
                                  std::uint32_t mode);
  // A file that no directory names (O_TMPFILE).
  Result<RefPtr<TmpInode>> CreateUnnamed(std::uint32_t permissions);
  Result<void> Unlink(TmpInode& directory, std::string_view name);
  Result<void> RemoveDirectory(TmpInode& directory, std::string_view name);
  Result<void> Rename(TmpInode& from, std::string_view from_name, TmpInode& to,
                      std::string_view to_name, bool may_replace);

 private:
  RefPtr<TmpStorage> storage_;
  RefPtr<TmpInode> root_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_TMPFS_H_
