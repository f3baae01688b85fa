// An open file of the archive.
#ifndef EBBRT_FILES_ARCHIVEFILE_H_
#define EBBRT_FILES_ARCHIVEFILE_H_

#include "files/Archive.h"
#include "files/FileDescriptor.h"

namespace ebbrt {

class ArchiveFile : public FileDescriptor {
 public:
  // `index` is that of a file. `archive` must outlive this object.
  ArchiveFile(const Archive& archive, std::uint32_t index, int flags);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  Result<void> GetStat(abi::Stat& stat) const override;
  Result<FilePage> PageAt(std::uint64_t index) const override;
  Result<void> SetPermissions(std::uint32_t permissions) override;
  Result<void> SetTimes(const abi::TimeSpec& accessed,
                        const abi::TimeSpec& modified) override;

 protected:
  explicit ArchiveFile(const ArchiveFile& source);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  std::uint64_t size() const override;
  Result<std::size_t> DoPRead(std::span<std::byte> bytes,
                              std::uint64_t offset) override;

 private:
  const Archive& archive_;
  std::uint32_t index_;
};

// Of a file or directory of the archive.
void FillStat(const Archive& archive, std::uint32_t index, abi::Stat& stat);

}  // namespace ebbrt

#endif  // EBBRT_FILES_ARCHIVEFILE_H_
