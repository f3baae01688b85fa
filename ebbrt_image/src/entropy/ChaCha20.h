// The ChaCha20 block function of RFC 8439, section 2.3.
#ifndef EBBRT_ENTROPY_CHACHA20_H_
#define EBBRT_ENTROPY_CHACHA20_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace ebbrt::chacha20 {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kBlockSize = 64;

void Block(std::span<const std::byte, kKeySize> key, std::uint32_t counter,
           std::span<const std::byte, kNonceSize> nonce,
           std::span<std::byte, kBlockSize> output);

}  // namespace ebbrt::chacha20

#endif  // EBBRT_ENTROPY_CHACHA20_H_
