#include "files/FileSystem.h"

#include <algorithm>

#include "files/ArchiveFile.h"
#include "files/CloneMap.h"
#include "files/Directory.h"
#include "files/TmpFile.h"
#include "lib/Assert.h"

namespace {

bool is_dots(std::string_view name) {
  return name == "." || name == "..";
}

bool names_directory_itself(std::string_view name) {
  return name.empty() || is_dots(name);
}

}  // namespace

ebbrt::FileSystem::FileSystem(const Archive& archive, TmpFs tmp,
                              RandomDevice::Fill random,
                              std::string_view executable)
    : archive_(archive), tmp_(std::move(tmp)),
      tree_(archive, tmp_.root(), executable), random_(random) {}

ebbrt::FileSystem::FileSystem(const Archive& archive,
                              RefPtr<TmpStorage> storage,
                              RandomDevice::Fill random,
                              std::string_view executable)
    : FileSystem(archive, TmpFs(std::move(storage)), random, executable) {}

ebbrt::RefPtr<ebbrt::FileSystem>
ebbrt::FileSystem::Restore(const Archive& archive, RefPtr<TmpStorage> storage,
                           RefPtr<TmpInode> root, RandomDevice::Fill random,
                           std::string_view executable) {
  return RefPtr<FileSystem>::Adopt(new FileSystem(
      archive, TmpFs(std::move(storage), std::move(root)), random, executable));
}

ebbrt::RefPtr<ebbrt::FileSystem>
ebbrt::FileSystem::Clone(CloneMap& map, RefPtr<TmpStorage> storage) const {
  map.SetStorage(storage);
  storage->ContinueNumbers(tmp_.storage().last_number());
  auto clone = Restore(archive_, std::move(storage), map.Clone(*tmp_.root()),
                       random_, tree_.executable());
  map.SetFileSystem(clone);
  return clone;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::TmpInode>>
ebbrt::FileSystem::writable_directory(const NameTree::Target& target) const {
  if (target.directory.kind() != Place::Kind::kTmp)
    return Errno::kReadOnly;
  return target.directory.inode();
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::FileSystem::Open(const Place& start, std::string_view path, int flags,
                        std::uint32_t mode) {
  auto follow = (flags & abi::kOpenNoFollow) == 0;
  if ((flags & abi::kOpenPath) != 0)
    flags &= abi::kOpenPath | abi::kOpenDirectory;
  if ((flags & abi::kOpenAccessMask) == abi::kOpenAccessMask)
    return Errno::kInvalid;
  if ((flags & abi::kOpenCreate) != 0) {
    if ((flags & abi::kOpenDirectory) != 0)
      return Errno::kInvalid;
    auto target = tree_.WalkToParent(start, path);
    if (!target.ok())
      return target.error();
    auto found = tree_.Walk(start, path, follow);
    if (!found.ok() && found.error() == Errno::kNoEntry)
      return create(*target, flags, mode);
    if (found.ok() && (flags & abi::kOpenExclusive) != 0)
      return Errno::kExists;
  }
  auto place = tree_.Walk(start, path, follow);
  if (!place.ok())
    return place.error();
  return open_place(*place, flags, mode);
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::FileSystem::create(const NameTree::Target& target, int flags,
                          std::uint32_t mode) {
  if (target.must_be_directory)
    return Errno::kIsDirectory;
  auto directory = writable_directory(target);
  if (!directory.ok())
    return directory.error();
  auto inode = tmp_.Create(**directory, target.name,
                           abi::kModeRegular | (mode & abi::kModePermissions));
  if (!inode.ok())
    return inode.error();
  return MakeRef<TmpFile>(std::move(inode).value(), flags);
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::FileSystem::open_place(const Place& place, int flags,
                              std::uint32_t mode) {
  if (tree_.IsDirectory(place))
    return open_directory(place, flags, mode);
  if ((flags & (abi::kOpenDirectory | abi::kOpenTemporary)) != 0)
    return Errno::kNotDirectory;
  auto writes = (flags & abi::kOpenAccessMask) != abi::kOpenReadOnly;
  auto truncates = (flags & abi::kOpenTruncate) != 0;
  switch (place.kind()) {
  case Place::Kind::kArchive:
    if (writes || truncates)
      return Errno::kReadOnly;
    return MakeRef<ArchiveFile>(archive_, place.index(), flags);
  case Place::Kind::kSpecial:
    return open_special(place.node(), flags);
  case Place::Kind::kTmp:
    break;
  }
  if (truncates) {
    auto result = place.inode()->Truncate(0);
    kassert(result.ok());
  }
  return MakeRef<TmpFile>(place.inode(), flags);
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::FileSystem::open_directory(const Place& place, int flags,
                                  std::uint32_t mode) {
  auto writes = (flags & abi::kOpenAccessMask) != abi::kOpenReadOnly;
  if ((flags & abi::kOpenTemporary) != 0) {
    if (!writes)
      return Errno::kInvalid;
    if (place.kind() != Place::Kind::kTmp)
      return Errno::kReadOnly;
    auto inode = tmp_.CreateUnnamed(mode);
    if (!inode.ok())
      return inode.error();
    return MakeRef<TmpFile>(std::move(inode).value(),
                            flags & ~abi::kOpenDirectory);
  }
  if (writes || (flags & (abi::kOpenCreate | abi::kOpenTruncate)) != 0)
    return Errno::kIsDirectory;
  return MakeRef<Directory>(RefPtr<FileSystem>(this), place, flags);
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::FileSystem::open_special(SpecialNode node, int flags) {
  switch (node) {
  case SpecialNode::kNull:
    return MakeRef<NullDevice>(flags);
  case SpecialNode::kZero:
    return MakeRef<ZeroDevice>(flags);
  case SpecialNode::kRandom:
    return MakeRef<RandomDevice>(DeviceNumber::kRandom, random_, flags);
  case SpecialNode::kUrandom:
    return MakeRef<RandomDevice>(DeviceNumber::kUrandom, random_, flags);
  case SpecialNode::kExecutable:
    // Links are followed before unless the caller forbade it.
    return Errno::kLoop;
  case SpecialNode::kDev:
  case SpecialNode::kProc:
  case SpecialNode::kSelf:
    break;
  }
  kabort("special directory opened as a file");
}

ebbrt::Result<void> ebbrt::FileSystem::GetStat(const Place& start,
                                               std::string_view path,
                                               bool follow,
                                               abi::Stat& stat) const {
  auto place = tree_.Walk(start, path, follow);
  if (!place.ok())
    return place.error();
  tree_.FillStat(*place, stat);
  return {};
}

ebbrt::Result<void> ebbrt::FileSystem::CheckAccess(const Place& start,
                                                   std::string_view path,
                                                   int mode) const {
  constexpr std::uint32_t kAnyExecute = 0111;
  auto place = tree_.Walk(start, path, true);
  if (!place.ok())
    return place.error();
  abi::Stat stat;
  tree_.FillStat(*place, stat);
  auto device = (stat.mode & abi::kModeTypeMask) == abi::kModeCharacter;
  auto fixed = place->kind() != Place::Kind::kTmp;
  if ((mode & abi::kAccessWrite) != 0 && fixed && !device)
    return Errno::kReadOnly;
  if ((mode & abi::kAccessExecute) != 0 && (stat.mode & kAnyExecute) == 0)
    return Errno::kAccess;
  return {};
}

ebbrt::Result<std::size_t>
ebbrt::FileSystem::ReadLink(const Place& start, std::string_view path,
                            std::span<char> target) const {
  auto place = tree_.Walk(start, path, false);
  if (!place.ok())
    return place.error();
  if (*place != Place::Special(SpecialNode::kExecutable) || target.empty())
    return Errno::kInvalid;
  auto text = tree_.executable();
  auto count = std::min(text.size(), target.size());
  std::copy_n(text.begin(), count, target.begin());
  return count;
}

ebbrt::Result<void> ebbrt::FileSystem::MakeDirectory(const Place& start,
                                                     std::string_view path,
                                                     std::uint32_t mode) {
  auto target = tree_.WalkToParent(start, path);
  if (!target.ok())
    return target.error();
  if (target->name.empty() || tree_.Step(target->directory, target->name).ok())
    return Errno::kExists;
  auto directory = writable_directory(*target);
  if (!directory.ok())
    return directory.error();
  auto made = tmp_.Create(**directory, target->name,
                          abi::kModeDirectory | (mode & abi::kModePermissions));
  return made.ok() ? Result<void>() : made.error();
}

ebbrt::Result<void> ebbrt::FileSystem::remove(const Place& start,
                                              std::string_view path,
                                              bool directory) {
  auto target = tree_.WalkToParent(start, path);
  if (!target.ok())
    return target.error();
  if (target->name.empty())
    return Errno::kBusy;
  if (is_dots(target->name)) {
    if (!directory)
      return Errno::kIsDirectory;
    return target->name == "." ? Errno::kInvalid : Errno::kNotEmpty;
  }
  auto found = tree_.Walk(start, path, false);
  if (!found.ok())
    return found.error();
  auto parent = writable_directory(*target);
  if (!parent.ok())
    return parent.error();
  return directory ? tmp_.RemoveDirectory(**parent, target->name)
                   : tmp_.Unlink(**parent, target->name);
}

ebbrt::Result<void> ebbrt::FileSystem::RemoveDirectory(const Place& start,
                                                       std::string_view path) {
  return remove(start, path, true);
}

ebbrt::Result<void> ebbrt::FileSystem::Unlink(const Place& start,
                                              std::string_view path) {
  return remove(start, path, false);
}

ebbrt::Result<void> ebbrt::FileSystem::Rename(const Place& from_start,
                                              std::string_view from,
                                              const Place& to_start,
                                              std::string_view to,
                                              unsigned flags) {
  if ((flags & ~abi::kRenameNoReplace) != 0)
    return Errno::kInvalid;
  auto source = tree_.WalkToParent(from_start, from);
  if (!source.ok())
    return source.error();
  auto target = tree_.WalkToParent(to_start, to);
  if (!target.ok())
    return target.error();
  if (names_directory_itself(source->name) ||
      names_directory_itself(target->name))
    return Errno::kBusy;
  auto moved = tree_.Walk(from_start, from, false);
  if (!moved.ok())
    return moved.error();
  if (target->must_be_directory && !tree_.IsDirectory(*moved))
    return Errno::kNotDirectory;
  auto from_directory = writable_directory(*source);
  auto to_directory = writable_directory(*target);
  if (!from_directory.ok() && !to_directory.ok())
    return Errno::kReadOnly;
  if (!from_directory.ok() || !to_directory.ok())
    return Errno::kCrossDevice;
  return tmp_.Rename(**from_directory, source->name, **to_directory,
                     target->name, (flags & abi::kRenameNoReplace) == 0);
}

ebbrt::Result<void> ebbrt::FileSystem::Truncate(const Place& start,
                                                std::string_view path,
                                                std::uint64_t size) {
  auto file = Open(start, path, abi::kOpenWriteOnly, 0);
  if (!file.ok())
    return file.error();
  return (*file)->Truncate(size);
}

ebbrt::Result<void>
ebbrt::FileSystem::SetPermissions(const Place& place,
                                  std::uint32_t permissions) {
  if (place.kind() != Place::Kind::kTmp)
    return Errno::kReadOnly;
  place.inode()->set_permissions(permissions);
  return {};
}

ebbrt::Result<void> ebbrt::FileSystem::SetTimes(const Place& place,
                                                const abi::TimeSpec& accessed,
                                                const abi::TimeSpec& modified) {
  if (place.kind() != Place::Kind::kTmp)
    return Errno::kReadOnly;
  place.inode()->set_times(accessed, modified);
  return {};
}

ebbrt::Result<void>
ebbrt::FileSystem::SetPermissions(const Place& start, std::string_view path,
                                  std::uint32_t permissions) {
  auto place = tree_.Walk(start, path, true);
  if (!place.ok())
    return place.error();
  return SetPermissions(*place, permissions);
}

ebbrt::Result<void> ebbrt::FileSystem::SetTimes(const Place& start,
                                                std::string_view path,
                                                const abi::TimeSpec& accessed,
                                                const abi::TimeSpec& modified) {
  auto place = tree_.Walk(start, path, true);
  if (!place.ok())
    return place.error();
  return SetTimes(*place, accessed, modified);
}

ebbrt::Result<ebbrt::Place>
ebbrt::FileSystem::FindDirectory(const Place& start,
                                 std::string_view path) const {
  auto place = tree_.Walk(start, path, true);
  if (place.ok() && !tree_.IsDirectory(*place))
    return Errno::kNotDirectory;
  return place;
}
