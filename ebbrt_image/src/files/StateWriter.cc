#include "files/StateWriter.h"

#include <algorithm>
#include <cstring>

#include "files/ByteChannel.h"
#include "files/DescriptorTable.h"
#include "files/FileSystem.h"
#include "lib/Crc32.h"

namespace {

std::uint64_t key_of(const void* object) {
  return reinterpret_cast<std::uintptr_t>(object);
}

void add_time(ebbrt::StateBuffer& buffer, const ebbrt::abi::TimeSpec& time) {
  buffer.Add64(static_cast<std::uint64_t>(time.seconds));
  buffer.Add64(static_cast<std::uint64_t>(time.nanoseconds));
}

std::size_t size_without_zeros(const std::byte* page) {
  auto size = ebbrt::PageSource::kPageSize;
  while (size > 0 && page[size - 1] == std::byte{0})
    --size;
  return size;
}

// Passes bytes on and keeps their check sum.
class CheckedSink {
 public:
  explicit CheckedSink(ebbrt::StateSink& sink) : sink_(sink) {}

  std::uint32_t check() const { return check_; }
  void Write(std::span<const std::byte> bytes) {
    check_ = ebbrt::Crc32(bytes, check_);
    sink_.Write(bytes);
  }

 private:
  ebbrt::StateSink& sink_;
  std::uint32_t check_ = 0;
};

}  // namespace

ebbrt::StateWriter::StateWriter(const FileSystem& files, const Place& directory,
                                const DescriptorTable& table,
                                ConsoleWriter& consoles)
    : consoles_(consoles) {
  take_tree(*files.tmp().root());
  auto& names = section(StateSection::kNames);
  names.Add32(files.tree().archive().check());
  names.AddText(files.tree().executable());
  names.Add64(files.tmp().storage().last_number());
  AddPlace(names, directory);
  take_table(table);
  write_channels();
  write_inodes();
}

void ebbrt::StateWriter::take_tree(const TmpInode& root) {
  IndexOf(root);
  for (std::size_t next = 0; next < inodes_.size(); ++next)
    for (auto& child : inodes_[next]->children())
      IndexOf(*child.inode);
}

void ebbrt::StateWriter::take_table(const DescriptorTable& table) {
  auto& descriptors = section(StateSection::kDescriptors);
  auto& numbers = section(StateSection::kNumbers);
  auto descriptor_count = descriptors.AddCount();
  auto number_count = numbers.AddCount();
  // Epoll sets refer to others.
  table.ForEach([this](int, const Descriptor& descriptor) {
    if (descriptor.kind() != Descriptor::Kind::kEpoll)
      take_descriptor(descriptor);
  });
  table.ForEach([this](int, const Descriptor& descriptor) {
    if (descriptor.kind() == Descriptor::Kind::kEpoll)
      take_descriptor(descriptor);
  });
  table.ForEach([&](int number, const Descriptor& descriptor) {
    numbers.Add32(static_cast<std::uint32_t>(number));
    numbers.Add32(*Find(descriptor));
    numbers.Add8(table.close_on_exec(number).value() ? 1 : 0);
  });
  descriptors.SetCount(descriptor_count, descriptor_indices_.size());
  numbers.SetCount(number_count, table.open_count());
}

void ebbrt::StateWriter::take_descriptor(const Descriptor& descriptor) {
  if (Find(descriptor) != nullptr)
    return;
  StateBuffer body;
  auto kind = descriptor.Save(*this, body);
  auto& descriptors = section(StateSection::kDescriptors);
  descriptors.Add8(static_cast<std::uint8_t>(kind));
  descriptors.Add32(static_cast<std::uint32_t>(descriptor.flags()));
  descriptors.Add32(body.size());
  descriptors.AddBytes(body.bytes());
  descriptor_indices_.Insert(key_of(&descriptor), descriptor_indices_.size());
}

const std::uint32_t*
ebbrt::StateWriter::Find(const Descriptor& descriptor) const {
  return descriptor_indices_.Find(key_of(&descriptor));
}

std::uint32_t ebbrt::StateWriter::IndexOf(const ByteChannel& channel) {
  auto known = channel_indices_.Find(key_of(&channel));
  if (known != nullptr)
    return *known;
  channels_.PushBack(&channel);
  return *channel_indices_.Insert(key_of(&channel), channels_.size() - 1);
}

std::uint32_t ebbrt::StateWriter::IndexOf(const TmpInode& inode) {
  auto known = inode_indices_.Find(key_of(&inode));
  if (known != nullptr)
    return *known;
  inodes_.PushBack(&inode);
  return *inode_indices_.Insert(key_of(&inode), inodes_.size() - 1);
}

void ebbrt::StateWriter::AddPlace(StateBuffer& buffer, const Place& place) {
  buffer.Add8(static_cast<std::uint8_t>(place.kind()));
  switch (place.kind()) {
  case Place::Kind::kArchive:
    buffer.Add32(place.index());
    return;
  case Place::Kind::kSpecial:
    buffer.Add32(static_cast<std::uint32_t>(place.node()));
    return;
  case Place::Kind::kTmp:
    buffer.Add32(IndexOf(*place.inode()));
    return;
  }
}

void ebbrt::StateWriter::write_channels() {
  auto& buffer = section(StateSection::kChannels);
  buffer.Add32(channels_.size());
  for (auto channel : channels_) {
    buffer.Add32(channel->activity());
    buffer.Add32(channel->size());
    channel->ForEachPiece([&buffer](std::span<const std::byte> piece) {
      buffer.AddBytes(piece);
    });
  }
}

void ebbrt::StateWriter::write_inodes() {
  auto& buffer = section(StateSection::kInodes);
  buffer.Add32(inodes_.size());
  for (auto inode : inodes_) {
    auto& attributes = inode->attributes();
    buffer.Add64(attributes.number);
    buffer.Add32(attributes.mode);
    add_time(buffer, attributes.accessed);
    add_time(buffer, attributes.modified);
    add_time(buffer, attributes.changed);
    if (!inode->is_directory()) {
      write_file(*inode, buffer);
      continue;
    }
    buffer.Add64(attributes.next_cookie);
    buffer.Add32(inode->children().size());
    for (auto& child : inode->children()) {
      buffer.Add64(child.cookie);
      buffer.AddText(child.name);
    }
  }
}

void ebbrt::StateWriter::write_file(const TmpInode& inode,
                                    StateBuffer& buffer) {
  // The map has them in no order.
  Vector<std::uint64_t> indices;
  inode.ForEachPage([&indices](std::uint64_t index, const std::byte*) {
    indices.PushBack(index);
  });
  std::sort(indices.begin(), indices.end());
  buffer.Add64(inode.size());
  buffer.Add32(indices.size());
  for (auto index : indices) {
    auto data = inode.PageAt(index);
    auto size = size_without_zeros(data);
    buffer.Add64(index);
    buffer.Add16(static_cast<std::uint16_t>(size));
    pages_.PushBack({data, size});
    pages_size_ += size;
  }
}

std::uint64_t ebbrt::StateWriter::size() const {
  auto size = kStateHeaderSize + kStateSections * kStateSectionHeaderSize +
              pages_size_ + kStateCheckSize;
  for (auto& section : sections_)
    size += section.size();
  return size;
}

void ebbrt::StateWriter::Emit(StateSink& sink) const {
  CheckedSink checked(sink);
  StateBuffer head;
  head.AddBytes(std::as_bytes(std::span(kStateMagic)));
  head.Add32(kStateVersion);
  head.Add64(size());
  checked.Write(head.bytes());
  for (std::size_t i = 0; i < kStateSections; ++i) {
    auto pages = i + 1 == static_cast<std::size_t>(StateSection::kPages);
    head.Clear();
    head.Add32(static_cast<std::uint32_t>(i + 1));
    head.Add64(pages ? pages_size_ : sections_[i].size());
    checked.Write(head.bytes());
    checked.Write(sections_[i].bytes());
  }
  for (auto& page : pages_)
    checked.Write({page.data, page.size});
  head.Clear();
  head.Add32(checked.check());
  sink.Write(head.bytes());
}
