#include "entropy/ChaCha20.h"

#include <array>
#include <bit>
#include <cstring>

namespace {

using State = std::array<std::uint32_t, 16>;

void quarter_round(State& s, int a, int b, int c, int d) {
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 7);
}

}  // namespace

void ebbrt::chacha20::Block(std::span<const std::byte, kKeySize> key,
                            std::uint32_t counter,
                            std::span<const std::byte, kNonceSize> nonce,
                            std::span<std::byte, kBlockSize> output) {
  constexpr int kDoubleRounds = 10;
  // "expand 32-byte k", read as four little-endian words.
  State input{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::memcpy(&input[4], key.data(), key.size());
  input[12] = counter;
  std::memcpy(&input[13], nonce.data(), nonce.size());

  auto state = input;
  for (int i = 0; i < kDoubleRounds; ++i) {
    quarter_round(state, 0, 4, 8, 12);
    quarter_round(state, 1, 5, 9, 13);
    quarter_round(state, 2, 6, 10, 14);
    quarter_round(state, 3, 7, 11, 15);
    quarter_round(state, 0, 5, 10, 15);
    quarter_round(state, 1, 6, 11, 12);
    quarter_round(state, 2, 7, 8, 13);
    quarter_round(state, 3, 4, 9, 14);
  }
  for (std::size_t i = 0; i < state.size(); ++i)
    state[i] += input[i];
  std::memcpy(output.data(), state.data(), output.size());
}
