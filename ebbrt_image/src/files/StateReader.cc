#include "files/StateReader.h"

#include <algorithm>
#include <cstring>

#include "files/ArchiveFile.h"
#include "files/DatagramSocket.h"
#include "files/Directory.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/LostSocket.h"
#include "files/Path.h"
#include "files/Pipe.h"
#include "files/SocketEnd.h"
#include "files/StreamSocket.h"
#include "files/TmpFile.h"
#include "lib/Assert.h"
#include "lib/Crc32.h"

namespace {

ebbrt::abi::TimeSpec take_time(ebbrt::StateCursor& cursor) {
  auto seconds = static_cast<std::int64_t>(cursor.Take64());
  return {seconds, static_cast<std::int64_t>(cursor.Take64())};
}

}  // namespace

ebbrt::StateReader::StateReader(const StateHost& host) : host_(host) {}

ebbrt::Result<ebbrt::FileState>
ebbrt::StateReader::Read(std::span<const std::byte> bytes) {
  kbugon(files_, "a reader reads once");
  auto done = split(bytes);
  if (done.ok())
    done = read_inodes();
  if (done.ok())
    done = read_names();
  if (!done.ok())
    return done.error();
  auto directory = TakeDirectory(section(StateSection::kNames));
  DescriptorTable table(host_.descriptor_limit);
  if (!section(StateSection::kNames).complete() || !read_channels() ||
      !read_descriptors() || !read_numbers(table))
    return Errno::kBadMessage;
  if (!all_used())
    return Errno::kBadMessage;
  return FileState{files_, std::move(directory), std::move(table)};
}

ebbrt::Result<void>
ebbrt::StateReader::split(std::span<const std::byte> bytes) {
  StateCursor cursor(bytes);
  auto magic = cursor.TakeBytes(sizeof(kStateMagic));
  auto version = cursor.Take32();
  auto size = cursor.Take64();
  if (!cursor.ok() ||
      std::memcmp(magic.data(), kStateMagic, sizeof(kStateMagic)) != 0)
    return Errno::kBadMessage;
  if (version != kStateVersion)
    return Errno::kNotSupported;
  if (size != bytes.size())
    return Errno::kBadMessage;
  for (std::size_t i = 0; i < kStateSections; ++i) {
    cursor.Expect(cursor.Take32() == i + 1);
    sections_[i] = StateCursor(cursor.TakeBytes(cursor.Take64()));
  }
  auto check = cursor.Take32();
  if (!cursor.complete() ||
      check != Crc32(bytes.first(bytes.size() - kStateCheckSize)))
    return Errno::kBadMessage;
  return {};
}

ebbrt::Result<void> ebbrt::StateReader::read_names() {
  auto& names = section(StateSection::kNames);
  auto check = names.Take32();
  auto executable = names.TakeText();
  auto last_number = names.Take64();
  if (!names.ok())
    return Errno::kBadMessage;
  if (check != host_.archive.check() || executable != host_.executable)
    return Errno::kInvalid;
  for (auto& inode : inodes_)
    if (inode->number() == 0 || inode->number() > last_number)
      return Errno::kBadMessage;
  host_.storage->ContinueNumbers(last_number);
  files_ = FileSystem::Restore(host_.archive, host_.storage, inodes_[0],
                               host_.random, host_.executable);
  return {};
}

ebbrt::Result<void> ebbrt::StateReader::read_inodes() {
  auto& cursor = section(StateSection::kInodes);
  auto count = cursor.Take32();
  if (count > host_.storage->limits().inodes)
    return Errno::kNoSpace;
  Vector<Entry> entries;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    TmpInode::Attributes attributes{};
    attributes.number = cursor.Take64();
    attributes.mode = cursor.Take32();
    attributes.accessed = take_time(cursor);
    attributes.modified = take_time(cursor);
    attributes.changed = take_time(cursor);
    auto type = attributes.mode & ~abi::kModePermissions;
    Result<void> done;
    if (type == abi::kModeRegular)
      done = read_file(cursor, attributes);
    else if (type == abi::kModeDirectory)
      read_entries(cursor, attributes, entries);
    else
      cursor.Fail();
    if (!done.ok())
      return done;
  }
  if (!cursor.complete() || !section(StateSection::kPages).complete() ||
      inodes_.empty() || !join_tree(entries))
    return Errno::kBadMessage;
  return {};
}

ebbrt::Result<void>
ebbrt::StateReader::read_file(StateCursor& cursor,
                              TmpInode::Attributes& attributes) {
  constexpr auto kPageSize = PageSource::kPageSize;
  auto& pages = section(StateSection::kPages);
  attributes.size = cursor.Take64();
  cursor.Expect(attributes.size <= TmpInode::kMaxSize);
  auto inode = TmpInode::Restore(host_.storage, attributes);
  auto count = cursor.Take32();
  std::uint64_t first_free = 0;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    auto index = cursor.Take64();
    auto stored = cursor.Take16();
    cursor.Expect(index >= first_free && stored <= kPageSize &&
                  index < (attributes.size + kPageSize - 1) / kPageSize);
    auto bytes = pages.TakeBytes(stored);
    cursor.Expect(pages.ok() &&
                  (bytes.empty() || bytes.back() != std::byte{0}));
    if (!cursor.ok())
      break;
    // What lies beyond the end of a file is zero.
    cursor.Expect(index * kPageSize + stored <= attributes.size);
    if (!inode->RestorePage(index, bytes))
      return Errno::kNoSpace;
    first_free = index + 1;
  }
  inodes_.PushBack(std::move(inode));
  return {};
}

void ebbrt::StateReader::read_entries(StateCursor& cursor,
                                      TmpInode::Attributes& attributes,
                                      Vector<Entry>& entries) {
  attributes.next_cookie = cursor.Take64();
  auto count = cursor.Take32();
  std::uint64_t first_free = 0;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    auto cookie = cursor.Take64();
    auto name = cursor.TakeText();
    cursor.Expect(cookie >= first_free && cookie < attributes.next_cookie &&
                  IsFileName(name));
    entries.PushBack({name, cookie, inodes_.size()});
    first_free = cookie + 1;
  }
  inodes_.PushBack(TmpInode::Restore(host_.storage, attributes));
}

bool ebbrt::StateReader::join_tree(const Vector<Entry>& entries) {
  if (!inodes_[0]->is_directory() || entries.size() >= inodes_.size())
    return false;
  inodes_[0]->MarkRoot();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    auto& entry = entries[i];
    // Every directory with entries stands before them, so up from any of them
    // there is the root.
    auto child = i + 1;
    if (entry.directory >= child)
      return false;
    auto& directory = *inodes_[entry.directory];
    if (directory.FindChild(entry.name) != nullptr)
      return false;
    directory.RestoreChild(entry.name, inodes_[child], entry.cookie);
  }
  return true;
}

bool ebbrt::StateReader::read_channels() {
  auto& cursor = section(StateSection::kChannels);
  auto count = cursor.Take32();
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    auto activity = cursor.Take32();
    auto bytes = cursor.TakeBytes(cursor.Take32());
    cursor.Expect(bytes.size() <= ByteChannel::kCapacity);
    if (cursor.ok())
      channels_.PushBack(ByteChannel::RestoreWithoutEnds(bytes, activity));
  }
  return cursor.complete();
}

bool ebbrt::StateReader::read_descriptors() {
  auto& cursor = section(StateSection::kDescriptors);
  auto count = cursor.Take32();
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    auto descriptor = read_descriptor(cursor);
    if (!descriptor)
      return false;
    descriptors_.PushBack(std::move(descriptor));
  }
  return cursor.complete();
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::StateReader::read_descriptor(StateCursor& cursor) {
  auto kind = static_cast<StateKind>(cursor.Take8());
  auto flags = static_cast<int>(cursor.Take32());
  auto bytes = cursor.TakeBytes(cursor.Take32());
  if (!cursor.ok())
    return nullptr;
  StateCursor body(bytes);
  RefPtr<Descriptor> descriptor;
  switch (kind) {
  case StateKind::kArchiveFile:
    descriptor = ArchiveFile::Load(*this, body, flags);
    break;
  case StateKind::kTmpFile:
    descriptor = TmpFile::Load(*this, body, flags);
    break;
  case StateKind::kDirectory:
    descriptor = Directory::Load(*this, body, flags);
    break;
  case StateKind::kDevice:
    descriptor = Device::Load(*this, body, flags);
    break;
  case StateKind::kPipeReader:
    descriptor = PipeReader::Load(*this, body, flags);
    break;
  case StateKind::kPipeWriter:
    descriptor = PipeWriter::Load(*this, body, flags);
    break;
  case StateKind::kSocketEnd:
    descriptor = SocketEnd::Load(*this, body, flags);
    break;
  case StateKind::kLostSocket:
    descriptor = LostSocket::Load(body, flags);
    break;
  case StateKind::kStreamSocket:
    descriptor = StreamSocket::Load(*this, body, flags);
    break;
  case StateKind::kDatagramSocket:
    descriptor = DatagramSocket::Load(body, flags);
    break;
  case StateKind::kEventFd:
    descriptor = EventFd::Load(body, flags);
    break;
  case StateKind::kEpoll:
    descriptor = Epoll::Load(*this, body, flags);
    break;
  case StateKind::kConsole:
    descriptor = host_.consoles.ReadConsole(bytes);
    if (!descriptor)
      return nullptr;
    kbugon(descriptor->kind() != Descriptor::Kind::kConsole);
    descriptor->set_flags(flags);
    body = StateCursor();
    break;
  }
  // Flags that the kind cannot have, it has dropped.
  if (!descriptor || !body.complete() || descriptor->flags() != flags)
    return nullptr;
  return descriptor;
}

bool ebbrt::StateReader::read_numbers(DescriptorTable& table) {
  auto& cursor = section(StateSection::kNumbers);
  auto count = cursor.Take32();
  std::int64_t first_free = 0;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    std::int64_t number = cursor.Take32();
    auto descriptor = TakeDescriptor(cursor);
    auto close_on_exec = cursor.TakeBool();
    cursor.Expect(number >= first_free && number < table.limit());
    if (!cursor.ok())
      break;
    auto set = table.Set(static_cast<int>(number), std::move(descriptor),
                         close_on_exec);
    kassert(set.ok());
    first_free = number + 1;
  }
  return cursor.complete();
}

bool ebbrt::StateReader::all_used() const {
  auto used = [](auto& object) { return object->ref_count() > 1; };
  return std::all_of(inodes_.begin(), inodes_.end(), used) &&
         std::all_of(channels_.begin(), channels_.end(), used) &&
         std::all_of(descriptors_.begin(), descriptors_.end(), used);
}

ebbrt::RefPtr<ebbrt::TmpInode>
ebbrt::StateReader::TakeInode(StateCursor& cursor) const {
  auto index = cursor.Take32();
  cursor.Expect(index < inodes_.size());
  return cursor.ok() ? inodes_[index] : nullptr;
}

ebbrt::RefPtr<ebbrt::ByteChannel>
ebbrt::StateReader::TakeChannel(StateCursor& cursor) const {
  auto index = cursor.Take32();
  cursor.Expect(index < channels_.size());
  return cursor.ok() ? channels_[index] : nullptr;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::StateReader::TakeDescriptor(StateCursor& cursor) const {
  auto index = cursor.Take32();
  cursor.Expect(index < descriptors_.size());
  return cursor.ok() ? descriptors_[index] : nullptr;
}

ebbrt::Place ebbrt::StateReader::TakeDirectory(StateCursor& cursor) const {
  auto place = files_->root();
  auto kind = cursor.Take8();
  if (kind == static_cast<std::uint8_t>(Place::Kind::kTmp)) {
    auto inode = TakeInode(cursor);
    if (inode)
      place = Place::InTmp(std::move(inode));
  } else if (kind == static_cast<std::uint8_t>(Place::Kind::kArchive)) {
    auto index = cursor.Take32();
    cursor.Expect(index < host_.archive.entry_count());
    if (cursor.ok())
      place = Place::InArchive(index);
  } else if (kind == static_cast<std::uint8_t>(Place::Kind::kSpecial)) {
    auto node = cursor.Take32();
    cursor.Expect(node <= static_cast<std::uint32_t>(SpecialNode::kExecutable));
    if (cursor.ok())
      place = Place::Special(static_cast<SpecialNode>(node));
  } else {
    cursor.Fail();
  }
  cursor.Expect(files_->tree().IsDirectory(place));
  return place;
}
