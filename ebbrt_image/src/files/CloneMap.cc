#include "files/CloneMap.h"

#include "files/FileSystem.h"
#include "lib/Assert.h"
#include "lib/Vector.h"

namespace {

std::uint64_t key_of(const void* object) {
  return reinterpret_cast<std::uintptr_t>(object);
}

}  // namespace

ebbrt::CloneMap::CloneMap(ConsoleFactory& consoles) : consoles_(consoles) {}

ebbrt::CloneMap::~CloneMap() = default;

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::CloneMap::Clone(const Descriptor& source) {
  auto known = descriptors_.Find(key_of(&source));
  if (known != nullptr)
    return *known;
  auto clone = source.DoClone(*this);
  kbugon(!clone, "a descriptor has no clone");
  descriptors_.Insert(key_of(&source), clone);
  return clone;
}

ebbrt::Descriptor* ebbrt::CloneMap::Find(const Descriptor& source) const {
  auto known = descriptors_.Find(key_of(&source));
  return known == nullptr ? nullptr : known->get();
}

ebbrt::RefPtr<ebbrt::ByteChannel>
ebbrt::CloneMap::Clone(const ByteChannel& source) {
  auto known = channels_.Find(key_of(&source));
  if (known != nullptr)
    return *known;
  auto clone = source.CloneWithoutEnds();
  channels_.Insert(key_of(&source), clone);
  return clone;
}

ebbrt::RefPtr<ebbrt::TmpInode>
ebbrt::CloneMap::clone_alone(const TmpInode& source) {
  auto clone = source.CloneWithoutChildren(storage_);
  inodes_.Insert(key_of(&source), clone);
  return clone;
}

ebbrt::RefPtr<ebbrt::TmpInode> ebbrt::CloneMap::Clone(const TmpInode& source) {
  kbugon(!storage_, "the file system is to be cloned first");
  auto known = inodes_.Find(key_of(&source));
  if (known != nullptr)
    return *known;
  auto top = clone_alone(source);
  // A tree may be deep, and kernel stacks are not.
  struct Pair {
    const TmpInode* source;
    TmpInode* clone;
  };
  Vector<Pair> pending;
  pending.PushBack({&source, top.get()});
  while (!pending.empty()) {
    auto directory = pending.PopBack();
    for (auto& child : directory.source->children()) {
      auto clone = clone_alone(*child.inode);
      if (clone->is_directory())
        pending.PushBack({child.inode.get(), clone.get()});
      directory.clone->RestoreChild(child.name, std::move(clone), child.cookie);
    }
  }
  return top;
}

ebbrt::Place ebbrt::CloneMap::Clone(const Place& source) {
  switch (source.kind()) {
  case Place::Kind::kArchive:
    return Place::InArchive(source.index());
  case Place::Kind::kSpecial:
    return Place::Special(source.node());
  case Place::Kind::kTmp:
    break;
  }
  return Place::InTmp(Clone(*source.inode()));
}

void ebbrt::CloneMap::SetStorage(RefPtr<TmpStorage> storage) {
  kbugon(storage_, "one map is for one file system");
  storage_ = std::move(storage);
}

void ebbrt::CloneMap::SetFileSystem(RefPtr<FileSystem> clone) {
  file_system_ = std::move(clone);
}

const ebbrt::RefPtr<ebbrt::FileSystem>& ebbrt::CloneMap::file_system() const {
  kbugon(!file_system_, "the file system is to be cloned first");
  return file_system_;
}
