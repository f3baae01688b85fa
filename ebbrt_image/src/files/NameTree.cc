#include "files/NameTree.h"

#include <algorithm>
#include <array>

#include "files/ArchiveFile.h"
#include "files/Device.h"
#include "files/Path.h"
#include "lib/Assert.h"

namespace {

using ebbrt::SpecialNode;

struct SpecialDescription {
  std::string_view name;
  SpecialNode node;
  SpecialNode parent;  // itself: the root of the tree of names
  std::uint32_t mode;
};

constexpr std::uint32_t kDirectoryMode = ebbrt::abi::kModeDirectory | 0555;
constexpr std::uint32_t kDeviceMode = ebbrt::abi::kModeCharacter | 0666;
constexpr std::uint32_t kLinkMode = ebbrt::abi::kModeLink | 0777;

// In the order of SpecialNode.
constexpr std::array<SpecialDescription, 8> kSpecial = {{
    {"dev", SpecialNode::kDev, SpecialNode::kDev, kDirectoryMode},
    {"null", SpecialNode::kNull, SpecialNode::kDev, kDeviceMode},
    {"zero", SpecialNode::kZero, SpecialNode::kDev, kDeviceMode},
    {"random", SpecialNode::kRandom, SpecialNode::kDev, kDeviceMode},
    {"urandom", SpecialNode::kUrandom, SpecialNode::kDev, kDeviceMode},
    {"proc", SpecialNode::kProc, SpecialNode::kProc, kDirectoryMode},
    {"self", SpecialNode::kSelf, SpecialNode::kProc, kDirectoryMode},
    {"exe", SpecialNode::kExecutable, SpecialNode::kSelf, kLinkMode},
}};
constexpr std::string_view kTmpName = "tmp";
// What the root directory shows after the entries of the archive.
constexpr std::array<std::string_view, 3> kMounts = {"dev", "proc", kTmpName};

const SpecialDescription& describe(SpecialNode node) {
  return kSpecial[static_cast<std::size_t>(node)];
}

bool at_root(const SpecialDescription& special) {
  return special.node == special.parent;
}

bool hidden_by_mount(std::string_view name) {
  return std::find(kMounts.begin(), kMounts.end(), name) != kMounts.end();
}

}  // namespace

ebbrt::NameTree::NameTree(const Archive& archive, RefPtr<TmpInode> tmp_root,
                          std::string_view executable)
    : archive_(archive), tmp_root_(std::move(tmp_root)),
      executable_(executable) {}

bool ebbrt::NameTree::IsDirectory(const Place& place) const {
  switch (place.kind()) {
  case Place::Kind::kArchive:
    return archive_.is_directory(place.index());
  case Place::Kind::kSpecial:
    return describe(place.node()).mode == kDirectoryMode;
  case Place::Kind::kTmp:
    return place.inode()->is_directory();
  }
  return false;
}

ebbrt::Result<ebbrt::Place>
ebbrt::NameTree::ParentOf(const Place& place) const {
  switch (place.kind()) {
  case Place::Kind::kArchive:
    return Place::InArchive(archive_.entry(place.index()).parent);
  case Place::Kind::kSpecial: {
    auto& special = describe(place.node());
    return at_root(special) ? root() : Place::Special(special.parent);
  }
  case Place::Kind::kTmp:
    break;
  }
  if (place.inode() == tmp_root_)
    return root();
  auto parent = place.inode()->parent();
  if (parent == nullptr)
    return Errno::kNoEntry;
  return Place::InTmp(RefPtr<TmpInode>(parent));
}

ebbrt::Result<ebbrt::Place> ebbrt::NameTree::Step(const Place& directory,
                                                  std::string_view name) const {
  if (!IsDirectory(directory))
    return Errno::kNotDirectory;
  if (name == ".")
    return directory;
  if (name == "..")
    return ParentOf(directory);
  if (name.size() > abi::kMaxName)
    return Errno::kNameTooLong;
  if (directory.kind() == Place::Kind::kTmp) {
    auto child = directory.inode()->FindChild(name);
    if (child == nullptr)
      return Errno::kNoEntry;
    return Place::InTmp(child->inode);
  }
  if (directory == root() && name == kTmpName)
    return Place::InTmp(tmp_root_);
  for (auto& special : kSpecial) {
    auto here = at_root(special) ? directory == root()
                                 : directory == Place::Special(special.parent);
    if (here && special.name == name)
      return Place::Special(special.node);
  }
  if (directory.kind() == Place::Kind::kSpecial)
    return Errno::kNoEntry;
  auto found = archive_.Find(directory.index(), name);
  if (!found.ok())
    return found.error();
  return Place::InArchive(*found);
}

ebbrt::Result<ebbrt::Place>
ebbrt::NameTree::follow_link(const Place& place) const {
  if (place != Place::Special(SpecialNode::kExecutable))
    return place;
  return Walk(root(), executable_, false);
}

ebbrt::Result<ebbrt::Place> ebbrt::NameTree::Walk(const Place& start,
                                                  std::string_view path,
                                                  bool follow) const {
  if (path.empty())
    return Errno::kNoEntry;
  if (path.size() >= abi::kMaxPath)
    return Errno::kNameTooLong;
  PathReader reader(path);
  auto place = reader.absolute() ? root() : start;
  while (!reader.done()) {
    auto next = Step(place, reader.Next());
    if (!next.ok())
      return next;
    auto on_the_way = !reader.done() || reader.must_be_directory();
    if (follow || on_the_way)
      next = follow_link(*next);
    if (!next.ok())
      return next;
    place = std::move(next).value();
  }
  if (reader.must_be_directory() && !IsDirectory(place))
    return Errno::kNotDirectory;
  return place;
}

ebbrt::Result<ebbrt::NameTree::Target>
ebbrt::NameTree::WalkToParent(const Place& start, std::string_view path) const {
  if (path.empty())
    return Errno::kNoEntry;
  if (path.size() >= abi::kMaxPath)
    return Errno::kNameTooLong;
  PathReader reader(path);
  auto place = reader.absolute() ? root() : start;
  std::string_view name = reader.Next();
  while (!reader.done()) {
    auto next = Step(place, name);
    if (next.ok())
      next = follow_link(*next);
    if (!next.ok())
      return next.error();
    place = std::move(next).value();
    name = reader.Next();
  }
  if (!IsDirectory(place))
    return Errno::kNotDirectory;
  return Target{std::move(place), name, reader.must_be_directory()};
}

void ebbrt::NameTree::FillStat(const Place& place, abi::Stat& stat) const {
  switch (place.kind()) {
  case Place::Kind::kArchive:
    ebbrt::FillStat(archive_, place.index(), stat);
    return;
  case Place::Kind::kTmp:
    place.inode()->FillStat(stat);
    stat.device = kTmpDevice;
    return;
  case Place::Kind::kSpecial:
    break;
  }
  switch (place.node()) {
  case SpecialNode::kNull:
    ebbrt::FillStat(DeviceNumber::kNull, stat);
    return;
  case SpecialNode::kZero:
    ebbrt::FillStat(DeviceNumber::kZero, stat);
    return;
  case SpecialNode::kRandom:
    ebbrt::FillStat(DeviceNumber::kRandom, stat);
    return;
  case SpecialNode::kUrandom:
    ebbrt::FillStat(DeviceNumber::kUrandom, stat);
    return;
  case SpecialNode::kDev:
  case SpecialNode::kProc:
  case SpecialNode::kSelf:
  case SpecialNode::kExecutable:
    break;
  }
  stat = {};
  stat.device = kSpecialDevice;
  stat.inode = static_cast<std::uint64_t>(place.node()) + 1;
  stat.mode = describe(place.node()).mode;
  stat.links = 1;
  stat.block_size = PageSource::kPageSize;
  if (place.node() == SpecialNode::kExecutable)
    stat.size = static_cast<std::int64_t>(executable_.size());
}

ebbrt::Result<ebbrt::String> ebbrt::NameTree::PathOf(const Place& place) const {
  Vector<std::string_view> names;
  auto at = place;
  while (at != root()) {
    auto parent = ParentOf(at);
    if (!parent.ok())
      return parent.error();
    switch (at.kind()) {
    case Place::Kind::kArchive:
      names.PushBack(archive_.name(at.index()));
      break;
    case Place::Kind::kSpecial:
      names.PushBack(describe(at.node()).name);
      break;
    case Place::Kind::kTmp:
      names.PushBack(at.inode() == tmp_root_
                         ? kTmpName
                         : parent->inode()->NameOf(*at.inode()));
      break;
    }
    at = std::move(parent).value();
  }
  String path;
  if (names.empty())
    path.Append('/');
  while (!names.empty()) {
    path.Append('/');
    path.Append(names.PopBack());
  }
  return path;
}

bool ebbrt::NameTree::next_in_archive(std::uint32_t directory,
                                      std::uint64_t& cookie, Place& child,
                                      std::string_view& name) const {
  auto& entry = archive_.entry(directory);
  for (; cookie < entry.child_count; ++cookie) {
    auto index = entry.first_child + static_cast<std::uint32_t>(cookie);
    name = archive_.name(index);
    if (directory == Archive::kRoot && hidden_by_mount(name))
      continue;
    child = Place::InArchive(index);
    ++cookie;
    return true;
  }
  auto mount = cookie - entry.child_count;
  if (directory != Archive::kRoot || mount >= kMounts.size())
    return false;
  name = kMounts[mount];
  child = Step(root(), name).value();
  ++cookie;
  return true;
}

bool ebbrt::NameTree::next_special(SpecialNode directory, std::uint64_t& cookie,
                                   Place& child, std::string_view& name) const {
  for (; cookie < kSpecial.size(); ++cookie) {
    auto& special = kSpecial[cookie];
    if (at_root(special) || special.parent != directory)
      continue;
    child = Place::Special(special.node);
    name = special.name;
    ++cookie;
    return true;
  }
  return false;
}

bool ebbrt::NameTree::NextEntry(const Place& directory, std::uint64_t& cookie,
                                Entry& entry) const {
  constexpr std::uint64_t kDots = 2;
  auto child = directory;
  if (cookie == 0) {
    entry.name = ".";
    ++cookie;
  } else if (cookie == 1) {
    entry.name = "..";
    auto parent = ParentOf(directory);
    if (parent.ok())
      child = std::move(parent).value();
    ++cookie;
  } else {
    auto rest = cookie - kDots;
    auto found = false;
    switch (directory.kind()) {
    case Place::Kind::kArchive:
      found = next_in_archive(directory.index(), rest, child, entry.name);
      break;
    case Place::Kind::kSpecial:
      found = next_special(directory.node(), rest, child, entry.name);
      break;
    case Place::Kind::kTmp: {
      auto& children = directory.inode()->children();
      auto next = std::lower_bound(
          children.begin(), children.end(), rest,
          [](const TmpInode::Child& candidate, std::uint64_t wanted) {
            return candidate.cookie < wanted;
          });
      found = next != children.end();
      if (found) {
        child = Place::InTmp(next->inode);
        entry.name = next->name;
        rest = next->cookie + 1;
      }
      break;
    }
    }
    if (!found)
      return false;
    cookie = rest + kDots;
  }
  abi::Stat stat;
  FillStat(child, stat);
  entry.inode = stat.inode;
  entry.type = static_cast<std::uint8_t>(stat.mode >> 12);
  return true;
}
