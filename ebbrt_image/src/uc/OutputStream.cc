#include "uc/OutputStream.h"

#include <algorithm>

#include "uc/UnikernelContext.h"

ebbrt::OutputStream::OutputStream(UnikernelContext& uc, FrameType type)
    : ConsoleDescriptor(uc, abi::kOpenWriteOnly), type_(type) {}

ebbrt::Result<size_t>
ebbrt::OutputStream::SendFrom(std::span<const UserBytes> pieces) {
  uint64_t wanted = 0;
  for (auto piece : pieces)
    wanted += piece.size;
  auto total = count_readable(pieces, kMaxWrite);
  if (wanted > 0 && total == 0)
    return Errno::kFault;
  if (total > 0)
    send(type_, uc_.request(), pieces, 0, static_cast<uint32_t>(total));
  return total;
}
