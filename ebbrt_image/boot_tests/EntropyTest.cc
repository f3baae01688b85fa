#include "entropy/Entropy.h"

#include <cstring>

#include "Support.h"

using namespace ebbrt;

namespace {

constexpr size_t kSize = 64;
using Bytes = std::byte[kSize];

void ReadsNeverRepeat() {
  Bytes last = {};
  for (int i = 0; i < 1000; ++i) {
    Bytes next;
    entropy->Read(next);
    kassert(std::memcmp(last, next, kSize) != 0);
    std::memcpy(last, next, kSize);
  }
}

void EverySizeIsFilled() {
  std::byte bytes[300];
  for (size_t size = 0; size <= sizeof(bytes) - 8; ++size) {
    std::memset(bytes, 0, sizeof(bytes));
    // The last byte is not always zero, the one behind it always is.
    unsigned last = 0;
    for (int tries = 0; tries < 8 && size > 0; ++tries) {
      entropy->Read(std::span(bytes).first(size));
      last |= static_cast<unsigned>(bytes[size - 1]);
    }
    kassert(size == 0 || last != 0);
    for (size_t at = size; at < size + 8; ++at)
      kassert(bytes[at] == std::byte{0});
  }
}

void ExpectAllDiffer(const Bytes* samples, unsigned count) {
  for (unsigned a = 0; a < count; ++a)
    for (unsigned b = 0; b < a; ++b)
      kbugon(std::memcmp(samples[a], samples[b], kSize) == 0,
             "samples %u and %u are the same", a, b);
}

// Two restores with one seed: neither the cores nor the times give the same.
void CoresAndReseedsDiffer() {
  constexpr unsigned kRounds = 4;
  static Bytes samples[kRounds * kMaxCores];
  const std::byte seed[32] = {std::byte{1}};
  for (unsigned round = 0; round < kRounds; ++round) {
    Entropy::Reseed(seed);
    test::RunOnAll([round](unsigned core) {
      entropy->Read(samples[round * cpu::Count() + core]);
    });
  }
  ExpectAllDiffer(samples, kRounds * cpu::Count());
}

void CoresReadDuringReseed() {
  test::RunOnAll([](unsigned core) {
    Bytes bytes, last = {};
    for (int i = 0; i < 300; ++i) {
      if (core == 0)
        Entropy::Reseed(bytes);
      entropy->Read(bytes);
      kassert(std::memcmp(bytes, last, kSize) != 0);
      std::memcpy(last, bytes, kSize);
    }
  });
}

void BitsAreBalanced() {
  static std::byte bytes[8192];
  entropy->Read(bytes);
  unsigned ones = 0;
  for (auto byte : bytes)
    ones +=
        static_cast<unsigned>(__builtin_popcount(static_cast<unsigned>(byte)));
  // Half of 65536, within ten standard deviations.
  kbugon(ones < 32768 - 1280 || ones > 32768 + 1280, "%u of 65536 bits", ones);
}

}  // namespace

void AppMain() {
  test::Case("reads", ReadsNeverRepeat);
  test::Case("sizes", EverySizeIsFilled);
  test::Case("cores and reseeds", CoresAndReseedsDiffer);
  test::Case("reads during reseeds", CoresReadDuringReseed);
  test::Case("balance", BitsAreBalanced);
  test::Pass();
}
