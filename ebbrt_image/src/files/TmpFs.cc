#include "files/TmpFs.h"

#include "lib/Assert.h"

namespace {

constexpr std::uint32_t kRootPermissions = 01777;

}  // namespace

ebbrt::TmpFs::TmpFs(RefPtr<TmpStorage> storage) : storage_(std::move(storage)) {
  auto root =
      TmpInode::Create(storage_, abi::kModeDirectory | kRootPermissions);
  kbugon(!root.ok(), "the limits of /tmp leave no room for its root");
  root_ = std::move(root).value();
  root_->MarkRoot();
}

ebbrt::TmpFs::TmpFs(RefPtr<TmpStorage> storage, RefPtr<TmpInode> root)
    : storage_(std::move(storage)), root_(std::move(root)) {}

ebbrt::Result<ebbrt::RefPtr<ebbrt::TmpInode>>
ebbrt::TmpFs::Find(TmpInode& directory, std::string_view name) {
  if (!directory.is_directory())
    return Errno::kNotDirectory;
  auto child = directory.FindChild(name);
  if (child == nullptr)
    return Errno::kNoEntry;
  return child->inode;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::TmpInode>>
ebbrt::TmpFs::Create(TmpInode& directory, std::string_view name,
                     std::uint32_t mode) {
  if (!directory.is_directory())
    return Errno::kNotDirectory;
  if (name.size() > abi::kMaxName)
    return Errno::kNameTooLong;
  if (directory.FindChild(name) != nullptr)
    return Errno::kExists;
  if (directory.removed())
    return Errno::kNoEntry;
  auto inode = TmpInode::Create(storage_, mode);
  if (inode.ok())
    directory.AddChild(name, inode.value());
  return inode;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::TmpInode>>
ebbrt::TmpFs::CreateUnnamed(std::uint32_t permissions) {
  return TmpInode::Create(storage_, abi::kModeRegular |
                                        (permissions & abi::kModePermissions));
}

ebbrt::Result<void> ebbrt::TmpFs::Unlink(TmpInode& directory,
                                         std::string_view name) {
  auto found = Find(directory, name);
  if (!found.ok())
    return found.error();
  if ((*found)->is_directory())
    return Errno::kIsDirectory;
  directory.RemoveChild(name);
  return {};
}

ebbrt::Result<void> ebbrt::TmpFs::RemoveDirectory(TmpInode& directory,
                                                  std::string_view name) {
  auto found = Find(directory, name);
  if (!found.ok())
    return found.error();
  if (!(*found)->is_directory())
    return Errno::kNotDirectory;
  if (!(*found)->children().empty())
    return Errno::kNotEmpty;
  directory.RemoveChild(name);
  return {};
}

ebbrt::Result<void> ebbrt::TmpFs::Rename(TmpInode& from,
                                         std::string_view from_name,
                                         TmpInode& to, std::string_view to_name,
                                         bool may_replace) {
  auto moved = Find(from, from_name);
  if (!moved.ok())
    return moved.error();
  if (!to.is_directory())
    return Errno::kNotDirectory;
  if (to.removed())
    return Errno::kNoEntry;
  if (to_name.size() > abi::kMaxName)
    return Errno::kNameTooLong;
  // A directory cannot go into itself.
  for (auto above = &to; above != nullptr; above = above->parent())
    if (above == moved->get())
      return Errno::kInvalid;

  auto replaced = to.FindChild(to_name);
  if (replaced != nullptr) {
    auto& old = *replaced->inode;
    if (!may_replace)
      return Errno::kExists;
    if (&old == moved->get())
      return {};
    if ((*moved)->is_directory() && !old.is_directory())
      return Errno::kNotDirectory;
    if (!(*moved)->is_directory() && old.is_directory())
      return Errno::kIsDirectory;
    if (!old.children().empty())
      return Errno::kNotEmpty;
    to.RemoveChild(to_name);
  }
  to.AddChild(to_name, from.RemoveChild(from_name));
  return {};
}
