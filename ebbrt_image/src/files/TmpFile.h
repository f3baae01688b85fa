// An open file of /tmp.
#ifndef EBBRT_FILES_TMPFILE_H_
#define EBBRT_FILES_TMPFILE_H_

#include "files/FileDescriptor.h"
#include "files/TmpInode.h"

namespace ebbrt {

class TmpFile : public FileDescriptor {
 public:
  TmpFile(RefPtr<TmpInode> inode, int flags);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  Result<void> GetStat(abi::Stat& stat) const override;
  Result<FilePage> PageAt(std::uint64_t index) const override;
  Result<void> SetPermissions(std::uint32_t permissions) override;
  Result<void> SetTimes(const abi::TimeSpec& accessed,
                        const abi::TimeSpec& modified) override;

 protected:
  TmpFile(const TmpFile& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  std::uint64_t size() const override { return inode_->size(); }
  Result<std::size_t> DoPRead(std::span<std::byte> bytes,
                              std::uint64_t offset) override;
  Result<std::size_t> DoPWrite(std::span<const std::byte> bytes,
                               std::uint64_t offset) override;
  Result<void> DoTruncate(std::uint64_t size) override;

 private:
  RefPtr<TmpInode> inode_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_TMPFILE_H_
