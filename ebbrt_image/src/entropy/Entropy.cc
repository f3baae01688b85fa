#include "entropy/Entropy.h"

#include <cstring>

#include "arch/Cpu.h"
#include "arch/Cpuid.h"

namespace {

constexpr int kRdrandTries = 10;
constexpr size_t kSeedWords = 8;

ebbrt::EntropyRoot root;

uint64_t Rdrand() {
  uint64_t value;
  bool ok;
  for (int i = 0; i < kRdrandTries; ++i) {
    asm volatile("rdrand %0; setc %1" : "=r"(value), "=qm"(ok));
    if (ok)
      return value;
  }
  return 0;
}

}  // namespace

void ebbrt::Entropy::ClassInit() {
  Create(&root, kEntropyId);
  uint64_t seed[kSeedWords];
  auto has_rdrand = cpuid::HasRdrand();
  for (auto& word : seed)
    word = (has_rdrand ? Rdrand() : 0) ^ cpu::ReadTsc();
  Reseed(std::as_bytes(std::span(seed)));
}

void ebbrt::Entropy::Reseed(std::span<const std::byte> seed) {
  root.Reseed(seed);
}

void ebbrt::EntropyRoot::Reseed(std::span<const std::byte> seed) {
  LockGuard guard(lock_);
  pool_.Mix(seed);
  __atomic_store_n(&generation_, generation_ + 1, __ATOMIC_RELEASE);
}

void ebbrt::Entropy::Read(std::span<std::byte> output) {
  auto generation = __atomic_load_n(&root_.generation_, __ATOMIC_ACQUIRE);
  if (generation != generation_) {
    std::byte seed[32];
    {
      LockGuard guard(root_.lock_);
      root_.pool_.Read(seed);
    }
    pool_.Mix(seed);
    generation_ = generation;
  }
  pool_.Read(output);
}
