#include "files/TmpInode.h"

#include <algorithm>
#include <cstring>

#include "lib/Assert.h"

namespace {

constexpr std::uint64_t kPageSize = ebbrt::PageSource::kPageSize;

}  // namespace

ebbrt::Result<ebbrt::RefPtr<ebbrt::TmpInode>>
ebbrt::TmpInode::Create(RefPtr<TmpStorage> storage, std::uint32_t mode) {
  auto number = storage->TakeInode();
  if (number == 0)
    return Errno::kNoSpace;
  auto now = storage->Now();
  return RefPtr<TmpInode>::Adopt(
      new TmpInode(std::move(storage), {number, mode, now, now, now}));
}

ebbrt::RefPtr<ebbrt::TmpInode>
ebbrt::TmpInode::Restore(RefPtr<TmpStorage> storage,
                         const Attributes& attributes) {
  storage->AdoptInode();
  return RefPtr<TmpInode>::Adopt(new TmpInode(std::move(storage), attributes));
}

ebbrt::RefPtr<ebbrt::TmpInode>
ebbrt::TmpInode::CloneWithoutChildren(RefPtr<TmpStorage> storage) const {
  auto clone = Restore(std::move(storage), attributes_);
  clone->removed_ = removed_;
  clone->pages_.ShareFrom(pages_);
  return clone;
}

ebbrt::TmpInode::TmpInode(RefPtr<TmpStorage> storage,
                          const Attributes& attributes)
    : storage_(std::move(storage)), attributes_(attributes), pages_(*storage_) {
}

ebbrt::TmpInode::~TmpInode() {
  // A tree may be deep, and kernel stacks are not: descendants that would die
  // with us are taken apart here, one by one.
  Vector<RefPtr<TmpInode>> dying;
  auto take_children = [&dying](TmpInode& directory) {
    for (auto& child : directory.children_) {
      child.inode->parent_ = nullptr;
      child.inode->removed_ = true;
      dying.PushBack(std::move(child.inode));
    }
    directory.children_.Clear();
  };
  take_children(*this);
  while (!dying.empty()) {
    auto inode = dying.PopBack();
    if (inode->ref_count() == 1)
      take_children(*inode);
  }
  storage_->ReturnInode();
}

void ebbrt::TmpInode::touch() {
  attributes_.modified = storage_->Now();
  attributes_.changed = attributes_.modified;
}

void ebbrt::TmpInode::set_permissions(std::uint32_t permissions) {
  attributes_.mode = (attributes_.mode & abi::kModeTypeMask) |
                     (permissions & abi::kModePermissions);
  attributes_.changed = storage_->Now();
}

void ebbrt::TmpInode::set_times(const abi::TimeSpec& accessed,
                                const abi::TimeSpec& modified) {
  attributes_.accessed = accessed;
  attributes_.modified = modified;
  attributes_.changed = storage_->Now();
}

void ebbrt::TmpInode::FillStat(abi::Stat& stat) const {
  constexpr std::uint64_t kBlockSize = 512;
  stat = {};
  stat.inode = attributes_.number;
  stat.mode = attributes_.mode;
  stat.links = removed_ ? 0 : 1;
  if (is_directory() && !removed_) {
    // As on Linux: one from the parent, one from ".", one from each "..".
    auto directories = std::count_if(
        children_.begin(), children_.end(),
        [](const Child& child) { return child.inode->is_directory(); });
    stat.links = 2 + static_cast<std::uint64_t>(directories);
  }
  stat.size = static_cast<std::int64_t>(attributes_.size);
  stat.block_size = kPageSize;
  stat.blocks =
      static_cast<std::int64_t>(pages_.size() * (kPageSize / kBlockSize));
  stat.accessed = attributes_.accessed;
  stat.modified = attributes_.modified;
  stat.changed = attributes_.changed;
}

std::size_t ebbrt::TmpInode::Read(std::uint64_t offset,
                                  std::span<std::byte> bytes) const {
  if (offset >= attributes_.size)
    return 0;
  auto total = std::min<std::uint64_t>(bytes.size(), attributes_.size - offset);
  for (std::uint64_t done = 0; done < total;) {
    auto start = (offset + done) % kPageSize;
    auto count = std::min(total - done, kPageSize - start);
    auto page = PageAt((offset + done) / kPageSize);
    if (page != nullptr)
      std::memcpy(bytes.data() + done, page + start, count);
    else
      std::memset(bytes.data() + done, 0, count);
    done += count;
  }
  return total;
}

ebbrt::Result<std::size_t>
ebbrt::TmpInode::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty())
    return std::size_t{0};
  if (offset >= kMaxSize)
    return Errno::kFileTooBig;
  auto total = std::min<std::uint64_t>(bytes.size(), kMaxSize - offset);
  std::uint64_t done = 0;
  while (done < total) {
    auto page = pages_.ForWrite((offset + done) / kPageSize);
    if (page == nullptr)
      break;
    auto start = (offset + done) % kPageSize;
    auto count = std::min(total - done, kPageSize - start);
    std::memcpy(page + start, bytes.data() + done, count);
    done += count;
  }
  if (done == 0)
    return Errno::kNoSpace;
  attributes_.size = std::max(attributes_.size, offset + done);
  touch();
  return done;
}

ebbrt::Result<void> ebbrt::TmpInode::Truncate(std::uint64_t size) {
  if (size > kMaxSize)
    return Errno::kFileTooBig;
  if (size < attributes_.size) {
    // What lies beyond the end must read as zeros if the file grows again.
    auto start = size % kPageSize;
    if (start != 0 && pages_.Find(size / kPageSize) != nullptr) {
      auto last = pages_.ForWrite(size / kPageSize);
      if (last == nullptr)
        return Errno::kNoSpace;
      std::memset(last + start, 0, kPageSize - start);
    }
    pages_.Cut((size + kPageSize - 1) / kPageSize);
  }
  attributes_.size = size;
  touch();
  return {};
}

bool ebbrt::TmpInode::RestorePage(std::uint64_t index,
                                  std::span<const std::byte> bytes) {
  kassert(PageAt(index) == nullptr && bytes.size() <= kPageSize);
  auto page = pages_.ForWrite(index);
  if (page == nullptr)
    return false;
  std::copy(bytes.begin(), bytes.end(), page);
  return true;
}

const std::byte* ebbrt::TmpInode::PageAt(std::uint64_t index) const {
  return pages_.Find(index);
}

ebbrt::TmpInode::Child* ebbrt::TmpInode::FindChild(std::string_view name) {
  for (auto& child : children_)
    if (child.name == name)
      return &child;
  return nullptr;
}

void ebbrt::TmpInode::AddChild(std::string_view name, RefPtr<TmpInode> child) {
  kassert(is_directory() && FindChild(name) == nullptr);
  child->removed_ = false;
  child->attributes_.changed = storage_->Now();
  child->parent_ = this;
  children_.PushBack(
      {String(name), std::move(child), attributes_.next_cookie++});
  touch();
}

void ebbrt::TmpInode::RestoreChild(std::string_view name,
                                   RefPtr<TmpInode> child,
                                   std::uint64_t cookie) {
  kassert(is_directory());
  child->removed_ = false;
  child->parent_ = this;
  children_.PushBack({String(name), std::move(child), cookie});
}

ebbrt::RefPtr<ebbrt::TmpInode>
ebbrt::TmpInode::RemoveChild(std::string_view name) {
  auto child = FindChild(name);
  kbugon(child == nullptr, "no such file to remove");
  auto inode = std::move(child->inode);
  inode->removed_ = true;
  inode->attributes_.changed = storage_->Now();
  inode->parent_ = nullptr;
  // Keeps the order, on which the readers' cookies rely.
  children_.Erase(static_cast<std::size_t>(child - children_.begin()));
  touch();
  return inode;
}

std::string_view ebbrt::TmpInode::NameOf(const TmpInode& wanted) const {
  for (auto& child : children_)
    if (child.inode.get() == &wanted)
      return child.name;
  kabort("directory does not hold the file");
}
