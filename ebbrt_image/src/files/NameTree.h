// The tree of names that one UC sees, and how paths lead through it: the
// archive at /; /tmp; /dev with null, zero, random and urandom; and the link
// /proc/self/exe. What lies at /tmp, /dev or /proc in the archive is hidden.
// Reads only; FileSystem is what changes things.
#ifndef EBBRT_FILES_NAMETREE_H_
#define EBBRT_FILES_NAMETREE_H_

#include <cstdint>
#include <string_view>

#include "files/Abi.h"
#include "files/Archive.h"
#include "files/Place.h"
#include "files/TmpInode.h"
#include "lib/Result.h"
#include "lib/String.h"

namespace ebbrt {

class NameTree {
 public:
  struct Entry {
    std::string_view name;
    std::uint64_t inode;
    std::uint8_t type;  // as in abi::DirectoryRecord
  };

  // Where a path's last component is to be looked up.
  struct Target {
    Place directory;
    std::string_view name;  // empty if the path is only slashes
    bool must_be_directory;
  };

  // `archive` must outlive this object. `executable` is what /proc/self/exe
  // points to, an absolute path.
  NameTree(const Archive& archive, RefPtr<TmpInode> tmp_root,
           std::string_view executable);

  Place root() const { return Place::InArchive(Archive::kRoot); }
  const Archive& archive() const { return archive_; }
  std::string_view executable() const { return executable_; }

  // Paths that are not absolute begin at `start`. `follow` says what to do with
  // a link at the very end.
  Result<Place> Walk(const Place& start, std::string_view path,
                     bool follow) const;
  Result<Target> WalkToParent(const Place& start, std::string_view path) const;
  Result<Place> Step(const Place& directory, std::string_view name) const;
  Result<Place> ParentOf(const Place& place) const;
  // Absolute; kNoEntry when the place was removed.
  Result<String> PathOf(const Place& place) const;

  bool IsDirectory(const Place& place) const;
  void FillStat(const Place& place, abi::Stat& stat) const;
  // The entry of a directory at `cookie`, which is 0 for the first and moves on
  // to the next; false at the end. `entry` is good until the directory changes.
  bool NextEntry(const Place& directory, std::uint64_t& cookie,
                 Entry& entry) const;

 private:
  Result<Place> follow_link(const Place& place) const;
  bool next_in_archive(std::uint32_t directory, std::uint64_t& cookie,
                       Place& child, std::string_view& name) const;
  bool next_special(SpecialNode directory, std::uint64_t& cookie, Place& child,
                    std::string_view& name) const;

  const Archive& archive_;
  RefPtr<TmpInode> tmp_root_;
  String executable_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_NAMETREE_H_
