#include "entropy/Blake2s.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/Assert.h"

namespace {

constexpr std::array<std::uint32_t, 8> kInitial = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr std::uint8_t kSigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

using Work = std::array<std::uint32_t, 16>;

void mix(Work& v, int a, int b, int c, int d, std::uint32_t x,
         std::uint32_t y) {
  v[a] = v[a] + v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] = v[c] + v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] = v[a] + v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] = v[c] + v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

}  // namespace

ebbrt::Blake2s::Blake2s(std::size_t digest_size, std::span<const std::byte> key)
    : state_(kInitial), digest_size_(digest_size) {
  kbugon(digest_size == 0 || digest_size > kMaxDigest);
  kbugon(key.size() > kMaxKey);
  // Parameter block: digest size, key size, fan-out 1, depth 1.
  state_[0] ^= 0x01010000 ^ static_cast<std::uint32_t>(key.size() << 8) ^
               static_cast<std::uint32_t>(digest_size);
  if (!key.empty()) {
    std::memcpy(block_.data(), key.data(), key.size());
    filled_ = kBlockSize;
  }
}

void ebbrt::Blake2s::Update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    // A full block waits until more comes, for the last one is special.
    if (filled_ == kBlockSize)
      compress(false);
    auto count = std::min(bytes.size(), kBlockSize - filled_);
    std::memcpy(&block_[filled_], bytes.data(), count);
    filled_ += count;
    bytes = bytes.subspan(count);
  }
}

void ebbrt::Blake2s::Finish(std::span<std::byte> digest) {
  kbugon(digest.size() != digest_size_);
  std::fill(block_.begin() + filled_, block_.end(), std::byte{0});
  compress(true);
  std::memcpy(digest.data(), state_.data(), digest.size());
}

void ebbrt::Blake2s::compress(bool last) {
  total_ += filled_;
  std::array<std::uint32_t, 16> message;
  std::memcpy(message.data(), block_.data(), kBlockSize);

  Work v;
  std::copy(state_.begin(), state_.end(), v.begin());
  std::copy(kInitial.begin(), kInitial.end(), v.begin() + 8);
  v[12] ^= static_cast<std::uint32_t>(total_);
  v[13] ^= static_cast<std::uint32_t>(total_ >> 32);
  if (last)
    v[14] = ~v[14];

  for (auto& s : kSigma) {
    mix(v, 0, 4, 8, 12, message[s[0]], message[s[1]]);
    mix(v, 1, 5, 9, 13, message[s[2]], message[s[3]]);
    mix(v, 2, 6, 10, 14, message[s[4]], message[s[5]]);
    mix(v, 3, 7, 11, 15, message[s[6]], message[s[7]]);
    mix(v, 0, 5, 10, 15, message[s[8]], message[s[9]]);
    mix(v, 1, 6, 11, 12, message[s[10]], message[s[11]]);
    mix(v, 2, 7, 8, 13, message[s[12]], message[s[13]]);
    mix(v, 3, 4, 9, 14, message[s[14]], message[s[15]]);
  }
  for (std::size_t i = 0; i < state_.size(); ++i)
    state_[i] ^= v[i] ^ v[i + 8];
  filled_ = 0;
}
