// An open directory.
#ifndef EBBRT_FILES_DIRECTORY_H_
#define EBBRT_FILES_DIRECTORY_H_

#include "files/Descriptor.h"
#include "files/FileSystem.h"
#include "files/Place.h"

namespace ebbrt {

class Directory : public Descriptor {
 public:
  Directory(RefPtr<FileSystem> file_system, Place place, int flags);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  // Positions are 0 and those that ReadDirectory gave.
  Result<std::uint64_t> Seek(std::int64_t offset, int whence) override;
  Result<void> GetStat(abi::Stat& stat) const override;
  Result<std::size_t> ReadDirectory(std::span<std::byte> buffer) override;
  Result<void> SetPermissions(std::uint32_t permissions) override;
  Result<void> SetTimes(const abi::TimeSpec& accessed,
                        const abi::TimeSpec& modified) override;
  bool pollable() const override { return false; }
  const Place* place() const override { return &place_; }

 protected:
  Directory(const Directory& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoPRead(std::span<std::byte> bytes,
                              std::uint64_t offset) override;

 private:
  RefPtr<FileSystem> file_system_;
  Place place_;
  std::uint64_t cookie_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_DIRECTORY_H_
