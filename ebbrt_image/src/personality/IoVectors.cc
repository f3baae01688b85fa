#include "personality/IoVectors.h"

ebbrt::Result<ebbrt::Vector<ebbrt::UserBytes>>
ebbrt::ReadVectors(SystemCall& call, uint64_t address, uint64_t count) {
  if (count > kMaxVectors)
    return Errno::kInvalid;
  Vector<UserBytes> elements;
  elements.Resize(count);
  if (!call.space().CopyIn(
          std::as_writable_bytes(std::span(elements.data(), count)), address))
    return Errno::kFault;
  uint64_t total = 0;
  for (const auto& element : elements) {
    if (element.size > kMaxTransfer - total)
      return Errno::kInvalid;
    total += element.size;
  }
  return elements;
}

uint64_t ebbrt::TotalSize(std::span<const UserBytes> parts) {
  uint64_t total = 0;
  for (auto part : parts)
    total += part.size;
  return total;
}

ebbrt::Result<void> ebbrt::Gather(SystemCall& call,
                                  std::span<const UserBytes> parts,
                                  std::span<std::byte> bytes) {
  for (auto part : parts) {
    if (!call.space().CopyIn(bytes.first(part.size), part.address))
      return Errno::kFault;
    bytes = bytes.subspan(part.size);
  }
  return {};
}

ebbrt::Result<uint64_t> ebbrt::Scatter(SystemCall& call,
                                       std::span<const UserBytes> parts,
                                       std::span<const std::byte> bytes) {
  uint64_t total = 0;
  for (auto part : parts) {
    auto size = std::min<uint64_t>(part.size, bytes.size());
    if (!call.space().CopyOut(part.address, bytes.first(size)))
      return Errno::kFault;
    bytes = bytes.subspan(size);
    total += size;
  }
  return total;
}
