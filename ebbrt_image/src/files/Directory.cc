#include "files/Directory.h"

#include <cstring>

#include "files/CloneMap.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

ebbrt::Directory::Directory(RefPtr<FileSystem> file_system, Place place,
                            int flags)
    : Descriptor(Kind::kDirectory, flags), file_system_(std::move(file_system)),
      place_(std::move(place)) {}

ebbrt::Directory::Directory(const Directory& source, CloneMap& map)
    : Descriptor(source), file_system_(map.file_system()),
      place_(map.Clone(source.place_)), cookie_(source.cookie_) {}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::Directory::DoClone(CloneMap& map) const {
  return RefPtr<Directory>::Adopt(new Directory(*this, map));
}

ebbrt::StateKind ebbrt::Directory::Save(StateWriter& writer,
                                        StateBuffer& body) const {
  writer.AddPlace(body, place_);
  body.Add64(cookie_);
  return StateKind::kDirectory;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::Directory::Load(StateReader& reader, StateCursor& body, int flags) {
  auto directory =
      MakeRef<Directory>(reader.files(), reader.TakeDirectory(body), flags);
  directory->cookie_ = body.Take64();
  body.Expect(directory->cookie_ <= INT64_MAX);
  return directory;
}

ebbrt::Result<std::uint64_t> ebbrt::Directory::Seek(std::int64_t offset,
                                                    int whence) {
  if (whence == abi::kSeekSet && offset >= 0)
    cookie_ = static_cast<std::uint64_t>(offset);
  else if (whence != abi::kSeekCurrent || offset != 0)
    return Errno::kInvalid;
  return cookie_;
}

ebbrt::Result<void> ebbrt::Directory::GetStat(abi::Stat& stat) const {
  file_system_->tree().FillStat(place_, stat);
  return {};
}

ebbrt::Result<std::size_t>
ebbrt::Directory::ReadDirectory(std::span<std::byte> buffer) {
  constexpr std::size_t kAlignment = 8;
  if (!readable())
    return Errno::kBadDescriptor;
  std::size_t used = 0;
  NameTree::Entry entry;
  for (auto next = cookie_;
       file_system_->tree().NextEntry(place_, next, entry);) {
    auto end = abi::DirectoryRecord::kNameOffset + entry.name.size() + 1;
    auto size = (end + kAlignment - 1) / kAlignment * kAlignment;
    if (size > buffer.size() - used) {
      if (used == 0)
        return Errno::kInvalid;
      break;
    }
    abi::DirectoryRecord record{entry.inode, static_cast<std::int64_t>(next),
                                static_cast<std::uint16_t>(size), entry.type};
    auto at = buffer.data() + used;
    // The padding too: it must not carry bytes of the kernel to the UC.
    std::memset(at, 0, size);
    std::memcpy(at, &record, abi::DirectoryRecord::kNameOffset);
    std::memcpy(at + abi::DirectoryRecord::kNameOffset, entry.name.data(),
                entry.name.size());
    used += size;
    cookie_ = next;
  }
  return used;
}

ebbrt::Result<void>
ebbrt::Directory::SetPermissions(std::uint32_t permissions) {
  return file_system_->SetPermissions(place_, permissions);
}

ebbrt::Result<void> ebbrt::Directory::SetTimes(const abi::TimeSpec& accessed,
                                               const abi::TimeSpec& modified) {
  return file_system_->SetTimes(place_, accessed, modified);
}

ebbrt::Result<std::size_t> ebbrt::Directory::DoRead(std::span<std::byte>) {
  return Errno::kIsDirectory;
}

ebbrt::Result<std::size_t> ebbrt::Directory::DoPRead(std::span<std::byte>,
                                                     std::uint64_t) {
  return Errno::kIsDirectory;
}
