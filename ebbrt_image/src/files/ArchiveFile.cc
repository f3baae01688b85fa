#include "files/ArchiveFile.h"

#include <algorithm>

#include "files/Place.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

namespace {

constexpr std::uint64_t kPageSize = 4096;

}  // namespace

ebbrt::ArchiveFile::ArchiveFile(const Archive& archive, std::uint32_t index,
                                int flags)
    : FileDescriptor(flags), archive_(archive), index_(index) {}

ebbrt::ArchiveFile::ArchiveFile(const ArchiveFile& source)
    : FileDescriptor(source), archive_(source.archive_), index_(source.index_) {
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::ArchiveFile::DoClone(CloneMap&) const {
  return RefPtr<ArchiveFile>::Adopt(new ArchiveFile(*this));
}

ebbrt::StateKind ebbrt::ArchiveFile::Save(StateWriter&,
                                          StateBuffer& body) const {
  body.Add32(index_);
  body.Add64(position());
  return StateKind::kArchiveFile;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::ArchiveFile::Load(StateReader& reader, StateCursor& body, int flags) {
  auto& archive = reader.host().archive;
  auto index = body.Take32();
  if (index >= archive.entry_count() || archive.is_directory(index))
    return nullptr;
  auto file = MakeRef<ArchiveFile>(archive, index, flags);
  file->LoadPosition(body);
  return file;
}

std::uint64_t ebbrt::ArchiveFile::size() const {
  return archive_.entry(index_).size;
}

ebbrt::Result<void> ebbrt::ArchiveFile::GetStat(abi::Stat& stat) const {
  FillStat(archive_, index_, stat);
  return {};
}

ebbrt::Result<ebbrt::FilePage>
ebbrt::ArchiveFile::PageAt(std::uint64_t index) const {
  auto contents = archive_.contents(index_);
  if (index >= (contents.size() + kPageSize - 1) / kPageSize)
    return Errno::kFault;
  return FilePage{contents.data() + index * kPageSize, true};
}

ebbrt::Result<void> ebbrt::ArchiveFile::SetPermissions(std::uint32_t) {
  return Errno::kReadOnly;
}

ebbrt::Result<void> ebbrt::ArchiveFile::SetTimes(const abi::TimeSpec&,
                                                 const abi::TimeSpec&) {
  return Errno::kReadOnly;
}

ebbrt::Result<std::size_t>
ebbrt::ArchiveFile::DoPRead(std::span<std::byte> bytes, std::uint64_t offset) {
  auto contents = archive_.contents(index_);
  if (offset >= contents.size())
    return std::size_t{0};
  auto count = std::min<std::size_t>(bytes.size(), contents.size() - offset);
  std::copy_n(contents.data() + offset, count, bytes.data());
  return count;
}

void ebbrt::FillStat(const Archive& archive, std::uint32_t index,
                     abi::Stat& stat) {
  constexpr std::uint64_t kBlockSize = 512;
  auto& entry = archive.entry(index);
  stat = {};
  stat.device = kArchiveDevice;
  stat.inode = std::uint64_t{index} + 1;
  stat.mode = entry.mode;
  // Two would promise that a directory has no directories in it.
  stat.links = 1;
  stat.size = static_cast<std::int64_t>(entry.size);
  stat.block_size = kPageSize;
  stat.blocks =
      static_cast<std::int64_t>((entry.size + kBlockSize - 1) / kBlockSize);
  stat.accessed = {archive.modified(), 0};
  stat.modified = stat.accessed;
  stat.changed = stat.accessed;
}
