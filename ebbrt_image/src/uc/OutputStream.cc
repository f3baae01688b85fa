#include "uc/OutputStream.h"

#include <algorithm>

#include "uc/UnikernelContext.h"

ebbrt::OutputStream::OutputStream(UnikernelContext& uc, FrameType type)
    : ConsoleDescriptor(uc, abi::kOpenWriteOnly), type_(type) {}

ebbrt::Result<size_t> ebbrt::OutputStream::SendFrom(uint64_t address,
                                                    size_t size) {
  size = std::min(size, kMaxWrite);
  if (size > 0)
    send(type_, uc_.request(), address, static_cast<uint32_t>(size));
  return size;
}
