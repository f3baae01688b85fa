#include "files/TmpFile.h"

#include "files/CloneMap.h"
#include "files/Place.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

ebbrt::TmpFile::TmpFile(RefPtr<TmpInode> inode, int flags)
    : FileDescriptor(flags), inode_(std::move(inode)) {}

ebbrt::TmpFile::TmpFile(const TmpFile& source, CloneMap& map)
    : FileDescriptor(source), inode_(map.Clone(*source.inode_)) {}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::TmpFile::DoClone(CloneMap& map) const {
  return RefPtr<TmpFile>::Adopt(new TmpFile(*this, map));
}

ebbrt::StateKind ebbrt::TmpFile::Save(StateWriter& writer,
                                      StateBuffer& body) const {
  body.Add32(writer.IndexOf(*inode_));
  body.Add64(position());
  return StateKind::kTmpFile;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::TmpFile::Load(StateReader& reader, StateCursor& body, int flags) {
  auto inode = reader.TakeInode(body);
  if (!inode || inode->is_directory())
    return nullptr;
  auto file = MakeRef<TmpFile>(std::move(inode), flags);
  file->LoadPosition(body);
  return file;
}

ebbrt::Result<void> ebbrt::TmpFile::GetStat(abi::Stat& stat) const {
  inode_->FillStat(stat);
  stat.device = kTmpDevice;
  return {};
}

ebbrt::Result<ebbrt::FilePage>
ebbrt::TmpFile::PageAt(std::uint64_t index) const {
  constexpr auto kPageSize = PageSource::kPageSize;
  if (index >= (inode_->size() + kPageSize - 1) / kPageSize)
    return Errno::kFault;
  return FilePage{inode_->PageAt(index), false};
}

ebbrt::Result<void> ebbrt::TmpFile::SetPermissions(std::uint32_t permissions) {
  inode_->set_permissions(permissions);
  return {};
}

ebbrt::Result<void> ebbrt::TmpFile::SetTimes(const abi::TimeSpec& accessed,
                                             const abi::TimeSpec& modified) {
  inode_->set_times(accessed, modified);
  return {};
}

ebbrt::Result<std::size_t> ebbrt::TmpFile::DoPRead(std::span<std::byte> bytes,
                                                   std::uint64_t offset) {
  return inode_->Read(offset, bytes);
}

ebbrt::Result<std::size_t>
ebbrt::TmpFile::DoPWrite(std::span<const std::byte> bytes,
                         std::uint64_t offset) {
  // As Linux does, against its own manual page's advice.
  if ((flags() & abi::kOpenAppend) != 0)
    offset = inode_->size();
  return inode_->Write(offset, bytes);
}

ebbrt::Result<void> ebbrt::TmpFile::DoTruncate(std::uint64_t size) {
  return inode_->Truncate(size);
}
