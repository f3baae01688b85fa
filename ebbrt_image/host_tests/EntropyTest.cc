#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "entropy/Blake2s.h"
#include "entropy/ChaCha20.h"
#include "entropy/EntropyPool.h"

namespace {

std::string hex(std::span<const std::byte> bytes) {
  static const char kDigits[] = "0123456789abcdef";
  std::string text;
  for (auto byte : bytes) {
    text += kDigits[static_cast<unsigned>(byte) >> 4];
    text += kDigits[static_cast<unsigned>(byte) & 15];
  }
  return text;
}

std::vector<std::byte> unhex(const std::string& text) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(
        static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string block(const std::string& key, std::uint32_t counter,
                  const std::string& nonce) {
  auto key_bytes = unhex(key);
  auto nonce_bytes = unhex(nonce);
  std::byte output[64];
  ebbrt::chacha20::Block(std::span<const std::byte, 32>(key_bytes), counter,
                         std::span<const std::byte, 12>(nonce_bytes), output);
  return hex(output);
}

// RFC 8439, section 2.3.2 and appendix A.1, vectors 1, 2 and 5.
TEST(ChaCha20, Rfc8439) {
  const std::string zero_key(64, '0');
  const std::string zero_nonce(24, '0');
  EXPECT_EQ(block("000102030405060708090a0b0c0d0e0f"
                  "101112131415161718191a1b1c1d1e1f",
                  1, "000000090000004a00000000"),
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
  EXPECT_EQ(block(zero_key, 0, zero_nonce),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
  EXPECT_EQ(block(zero_key, 1, zero_nonce),
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
  EXPECT_EQ(block(zero_key, 0, "000000000000000000000002"),
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
            "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d");
}

std::string blake2s(std::size_t size, std::span<const std::byte> data,
                    std::span<const std::byte> key = {}) {
  std::vector<std::byte> digest(size);
  ebbrt::Blake2s hash(size, key);
  // In two parts, so that the buffering is used.
  hash.Update(data.first(data.size() / 3));
  hash.Update(data.subspan(data.size() / 3));
  hash.Finish(digest);
  return hex(digest);
}

// RFC 7693, appendix B.
TEST(Blake2s, Abc) {
  auto abc = unhex("616263");
  EXPECT_EQ(blake2s(32, abc),
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

// RFC 7693, appendix E: a hash over hashes of many sizes, with and without key.
TEST(Blake2s, Rfc7693SelfTest) {
  auto sequence = [](std::size_t size, std::uint32_t seed) {
    std::vector<std::byte> bytes(size);
    std::uint32_t a = 0xdead4bad * seed;
    std::uint32_t b = 1;
    for (auto& byte : bytes) {
      auto next = a + b;
      a = b;
      b = next;
      byte = static_cast<std::byte>(next >> 24);
    }
    return bytes;
  };
  std::vector<std::byte> all;
  auto append = [&](const std::string& digest) {
    auto bytes = unhex(digest);
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  for (std::size_t out : {16, 20, 28, 32}) {
    for (std::size_t in : {0, 3, 64, 65, 255, 1024}) {
      auto data = sequence(in, in);
      append(blake2s(out, data));
      append(blake2s(out, data, sequence(out, out)));
    }
  }
  EXPECT_EQ(blake2s(32, all),
            "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

std::string read(ebbrt::EntropyPool& pool, std::size_t size) {
  std::vector<std::byte> bytes(size);
  pool.Read(bytes);
  return hex(bytes);
}

TEST(EntropyPool, NeverRepeats) {
  ebbrt::EntropyPool pool;
  pool.Mix(unhex("00"));
  std::set<std::string> seen;
  for (int i = 0; i < 10000; ++i)
    EXPECT_TRUE(seen.insert(read(pool, 16)).second);
}

TEST(EntropyPool, EverySizeIsFilledAndNoMore) {
  ebbrt::EntropyPool pool;
  for (std::size_t size = 0; size < 300; ++size) {
    // Two reads that both leave a byte as it was are one in 65,536 by chance,
    // so each byte gets eight.
    std::vector<bool> changed(size + 1);
    for (int round = 0; round < 8; ++round) {
      std::vector<std::byte> bytes(size + 1, std::byte{0x5a});
      pool.Read(std::span(bytes).first(size));
      for (std::size_t i = 0; i <= size; ++i)
        changed[i] = changed[i] || bytes[i] != std::byte{0x5a};
    }
    for (std::size_t i = 0; i < size; ++i)
      EXPECT_TRUE(changed[i]) << i << " of " << size;
    EXPECT_FALSE(changed[size]);
  }
}

// Clones of one snapshot begin equal and must part at the first seed.
TEST(EntropyPool, ClonesPartWhenMixed) {
  ebbrt::EntropyPool original;
  original.Mix(unhex("0011"));
  auto left = original;
  auto right = original;
  EXPECT_EQ(read(left, 32), read(right, 32));
  left.Mix(unhex("01"));
  right.Mix(unhex("02"));
  EXPECT_NE(read(left, 32), read(right, 32));
}

TEST(EntropyPool, MixingKeepsWhatWasThere) {
  ebbrt::EntropyPool left;
  ebbrt::EntropyPool right;
  left.Mix(unhex("01"));
  right.Mix(unhex("02"));
  left.Mix(unhex("03"));
  right.Mix(unhex("03"));
  EXPECT_NE(read(left, 32), read(right, 32));
}

// The key after a read must not give back what was read.
TEST(EntropyPool, OldOutputCannotBeRecomputed) {
  ebbrt::EntropyPool pool;
  pool.Mix(unhex("07"));
  auto output = read(pool, 4096);
  auto stolen = pool;
  auto later = read(stolen, 8192);
  EXPECT_EQ(later.find(output.substr(0, 64)), std::string::npos);
  auto state = hex(std::as_bytes(std::span(&pool, 1)));
  EXPECT_EQ(output.find(state), std::string::npos);
}

TEST(EntropyPool, BitsAreBalanced) {
  ebbrt::EntropyPool pool;
  std::vector<std::byte> bytes(1 << 16);
  pool.Read(bytes);
  auto ones = std::accumulate(
      bytes.begin(), bytes.end(), 0, [](int sum, std::byte byte) {
        return sum + std::popcount(static_cast<unsigned>(byte));
      });
  // Ten standard deviations of a fair coin thrown 524,288 times.
  EXPECT_NEAR(ones, 4 << 16, 3620);
}

}  // namespace
