// What open files of every file system have in common: a position. The kinds
// below it supply the contents.
#ifndef EBBRT_FILES_FILEDESCRIPTOR_H_
#define EBBRT_FILES_FILEDESCRIPTOR_H_

#include "files/Descriptor.h"

namespace ebbrt {

class FileDescriptor : public Descriptor {
 public:
  Result<std::uint64_t> Seek(std::int64_t offset, int whence) override;
  Result<std::size_t> Available() const override;
  bool pollable() const override { return false; }

 protected:
  explicit FileDescriptor(int flags) : Descriptor(Kind::kFile, flags) {}
  explicit FileDescriptor(const FileDescriptor& source)
      : Descriptor(source), position_(source.position_) {}

  virtual std::uint64_t size() const = 0;

  std::uint64_t position() const { return position_; }
  // Takes the position off `body`, which fails if there cannot be such one.
  void LoadPosition(StateCursor& body);

  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  std::uint64_t position_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_FILEDESCRIPTOR_H_
