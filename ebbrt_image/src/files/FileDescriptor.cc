#include "files/FileDescriptor.h"

#include "files/StateCursor.h"

ebbrt::Result<std::uint64_t> ebbrt::FileDescriptor::Seek(std::int64_t offset,
                                                         int whence) {
  std::uint64_t base;
  switch (whence) {
  case abi::kSeekSet:
    base = 0;
    break;
  case abi::kSeekCurrent:
    base = position_;
    break;
  case abi::kSeekEnd:
    base = size();
    break;
  default:
    return Errno::kInvalid;
  }
  std::int64_t target;
  if (__builtin_add_overflow(static_cast<std::int64_t>(base), offset, &target))
    return Errno::kOverflow;
  if (target < 0)
    return Errno::kInvalid;
  position_ = static_cast<std::uint64_t>(target);
  return position_;
}

void ebbrt::FileDescriptor::LoadPosition(StateCursor& body) {
  position_ = body.Take64();
  body.Expect(position_ <= INT64_MAX);
}

ebbrt::Result<std::size_t> ebbrt::FileDescriptor::Available() const {
  return position_ < size() ? size() - position_ : 0;
}

ebbrt::Result<std::size_t>
ebbrt::FileDescriptor::DoRead(std::span<std::byte> bytes) {
  auto result = DoPRead(bytes, position_);
  if (result.ok())
    position_ += result.value();
  return result;
}

ebbrt::Result<std::size_t>
ebbrt::FileDescriptor::DoWrite(std::span<const std::byte> bytes) {
  if ((flags() & abi::kOpenAppend) != 0)
    position_ = size();
  auto result = DoPWrite(bytes, position_);
  if (result.ok())
    position_ += result.value();
  return result;
}
