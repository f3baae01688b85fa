#include "entropy/EntropyPool.h"

#include <algorithm>
#include <cstring>

#include "entropy/Blake2s.h"

namespace {

constexpr std::array<std::byte, ebbrt::chacha20::kNonceSize> kNonce{};

void wipe(std::span<std::byte> bytes) {
  std::memset(bytes.data(), 0, bytes.size());
  // Tells the compiler that somebody may look, so the memset stays.
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

}  // namespace

void ebbrt::EntropyPool::Mix(std::span<const std::byte> seed) {
  Blake2s hash(key_.size(), key_);
  hash.Update(seed);
  hash.Finish(key_);
}

void ebbrt::EntropyPool::Read(std::span<std::byte> output) {
  auto key = key_;
  std::array<std::byte, chacha20::kBlockSize> block;
  chacha20::Block(key, 0, kNonce, block);
  std::copy_n(block.begin(), key_.size(), key_.begin());

  auto ready = std::span<std::byte>(block).subspan(key_.size());
  for (std::uint32_t counter = 1;; ++counter) {
    auto count = std::min(output.size(), ready.size());
    std::copy_n(ready.begin(), count, output.begin());
    output = output.subspan(count);
    if (output.empty())
      break;
    chacha20::Block(key, counter, kNonce, block);
    ready = block;
  }
  wipe(key);
  wipe(block);
}
