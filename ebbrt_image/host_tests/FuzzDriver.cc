// Runs a fuzz target on seeded random inputs. The targets have libFuzzer's
// interface, so clang++ -fsized-deallocation -fsanitize=fuzzer drives them too.
//
//   XFuzz [RUNS [SEED]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

int main(int argc, char** argv) {
  auto runs = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 20000;
  auto seed = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1;
  constexpr std::size_t kMaxSize = 512;
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> input;
  for (unsigned long run = 0; run < runs; ++run) {
    input.resize(random() % kMaxSize);
    for (auto& byte : input)
      byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%s: %lu runs from seed %lu\n", argv[0], runs, seed);
}
