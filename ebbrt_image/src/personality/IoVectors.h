// Lists of places in the UC's memory (struct iovec), as vectored calls and
// messages have them.
#ifndef EBBRT_PERSONALITY_IOVECTORS_H_
#define EBBRT_PERSONALITY_IOVECTORS_H_

#include <algorithm>
#include <span>

#include "lib/Vector.h"
#include "personality/SystemCall.h"
#include "uc/ConsoleDescriptor.h"

namespace ebbrt {

constexpr uint64_t kMaxTransfer = 0x7ffff000;
constexpr uint64_t kMaxVectors = 1024;

// `count` elements at `address`: kFault; kInvalid for more than kMaxVectors, or
// more bytes than kMaxTransfer.
Result<Vector<UserBytes>> ReadVectors(SystemCall& call, uint64_t address,
                                      uint64_t count);

uint64_t TotalSize(std::span<const UserBytes> parts);

// Copies all of the parts together: kFault.
Result<void> Gather(SystemCall& call, std::span<const UserBytes> parts,
                    std::span<std::byte> bytes);

// Copies to the parts what has room there; how much: kFault.
Result<uint64_t> Scatter(SystemCall& call, std::span<const UserBytes> parts,
                         std::span<const std::byte> bytes);

// step(part) for what is left of the parts behind their first `skip` bytes,
// until one says false.
template <class Step>
void ForEachFrom(std::span<const UserBytes> parts, uint64_t skip, Step step) {
  for (auto part : parts) {
    auto behind = std::min(skip, part.size);
    skip -= behind;
    if (behind < part.size &&
        !step(UserBytes{part.address + behind, part.size - behind}))
      return;
  }
}

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_IOVECTORS_H_
