// Random bytes from ChaCha20 with fast key erasure: every output begins by
// replacing the key, so a later look at memory (a snapshot, say) cannot tell
// what was given out before. One pool per core; a pool is not for two cores.
//
// The pool is as good as what was mixed into it: the kernel mixes RDRAND and
// the clock at boot, and the host's seed at every SYNC. Mixing never makes a
// pool worse, even when somebody else chose the seed.
#ifndef EBBRT_ENTROPY_ENTROPYPOOL_H_
#define EBBRT_ENTROPY_ENTROPYPOOL_H_

#include <array>
#include <cstddef>
#include <span>

#include "entropy/ChaCha20.h"

namespace ebbrt {

class EntropyPool {
 public:
  void Mix(std::span<const std::byte> seed);
  void Read(std::span<std::byte> output);

 private:
  std::array<std::byte, chacha20::kKeySize> key_{};
};

}  // namespace ebbrt

#endif  // EBBRT_ENTROPY_ENTROPYPOOL_H_
