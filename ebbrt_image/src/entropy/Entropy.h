// The kernel's random numbers: an EntropyPool per core, seeded from RDRAND and
// the clock at boot and from the host at every SYNC.
#ifndef EBBRT_ENTROPY_ENTROPY_H_
#define EBBRT_ENTROPY_ENTROPY_H_

#include <cstddef>
#include <span>

#include "ebb/EbbRef.h"
#include "ebb/MulticoreEbb.h"
#include "ebb/StaticIds.h"
#include "entropy/EntropyPool.h"

namespace ebbrt {

class Entropy;

class EntropyRoot : public MulticoreEbbRoot<Entropy> {
 public:
  // Mixed into every pool before its next output.
  void Reseed(std::span<const std::byte> seed);

 private:
  friend class Entropy;
  SpinLock lock_;
  EntropyPool pool_;
  uint64_t generation_ = 1;
};

class Entropy : public MulticoreEbb<Entropy, EntropyRoot> {
 public:
  explicit Entropy(EntropyRoot& root) : root_(root) {}

  static void ClassInit();
  static void Reseed(std::span<const std::byte> seed);

  // Never fails.
  void Read(std::span<std::byte> output);

 private:
  EntropyRoot& root_;
  EntropyPool pool_;
  uint64_t generation_ = 0;
};

constexpr auto entropy = EbbRef<Entropy>(kEntropyId);

}  // namespace ebbrt

#endif  // EBBRT_ENTROPY_ENTROPY_H_
