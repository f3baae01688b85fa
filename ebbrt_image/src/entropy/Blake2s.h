// BLAKE2s (RFC 7693): hash of 1 to 32 bytes, with an optional key.
#ifndef EBBRT_ENTROPY_BLAKE2S_H_
#define EBBRT_ENTROPY_BLAKE2S_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ebbrt {

class Blake2s {
 public:
  static constexpr std::size_t kMaxDigest = 32;
  static constexpr std::size_t kMaxKey = 32;

  explicit Blake2s(std::size_t digest_size = kMaxDigest,
                   std::span<const std::byte> key = {});

  void Update(std::span<const std::byte> bytes);
  // `digest` has the size given at the start. The object is spent afterwards.
  void Finish(std::span<std::byte> digest);

 private:
  static constexpr std::size_t kBlockSize = 64;

  void compress(bool last);

  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, kBlockSize> block_{};
  std::size_t filled_ = 0;
  std::uint64_t total_ = 0;
  std::size_t digest_size_;
};

}  // namespace ebbrt

#endif  // EBBRT_ENTROPY_BLAKE2S_H_
