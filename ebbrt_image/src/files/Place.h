// A point in the tree of names: in the archive, among the special nodes, or in
// /tmp. What a path leads to, a directory descriptor stands for, and the
// current directory is.
#ifndef EBBRT_FILES_PLACE_H_
#define EBBRT_FILES_PLACE_H_

#include <cstdint>

#include "files/TmpInode.h"
#include "lib/RefCounted.h"

namespace ebbrt {

// st_dev of the three file systems.
constexpr std::uint64_t kArchiveDevice = 1;
constexpr std::uint64_t kTmpDevice = 2;
constexpr std::uint64_t kSpecialDevice = 3;

// Directories and devices that are in no file system.
enum class SpecialNode : std::uint32_t {
  kDev,
  kNull,
  kZero,
  kRandom,
  kUrandom,
  kProc,
  kSelf,
  kExecutable,  // the link /proc/self/exe
};

class Place {
 public:
  enum class Kind { kArchive, kSpecial, kTmp };

  static Place InArchive(std::uint32_t index) {
    return Place(Kind::kArchive, index, nullptr);
  }
  static Place Special(SpecialNode node) {
    return Place(Kind::kSpecial, static_cast<std::uint32_t>(node), nullptr);
  }
  static Place InTmp(RefPtr<TmpInode> inode) {
    return Place(Kind::kTmp, 0, std::move(inode));
  }

  Kind kind() const { return kind_; }
  std::uint32_t index() const {
    kassert(kind_ == Kind::kArchive);
    return number_;
  }
  SpecialNode node() const {
    kassert(kind_ == Kind::kSpecial);
    return static_cast<SpecialNode>(number_);
  }
  const RefPtr<TmpInode>& inode() const {
    kassert(kind_ == Kind::kTmp);
    return inode_;
  }
  bool operator==(const Place&) const = default;

 private:
  Place(Kind kind, std::uint32_t number, RefPtr<TmpInode> inode)
      : kind_(kind), number_(number), inode_(std::move(inode)) {}

  Kind kind_;
  std::uint32_t number_;
  RefPtr<TmpInode> inode_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_PLACE_H_
