// Damages what StateWriter wrote, mostly with a check sum made right again, and
// reads it. Whatever is not refused must be a side that works, and that writes
// what can be read back; of what is refused, nothing may be left.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "FileOperations.h"
#include "FuzzInput.h"
#include "lib/Crc32.h"

namespace {

using State = std::vector<std::byte>;

void expect(bool condition, const char* what) {
  if (condition)
    return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void operate(FileSide& side, FuzzInput& input, std::size_t count) {
  for (; count > 0; --count) {
    Operation operation;
    for (auto& byte : operation.bytes)
      byte = static_cast<std::uint8_t>(input.Below(256));
    FileSide::now += 1'000'000'007;
    FileOperator(side, operation).Run();
  }
}

std::size_t take_position(FuzzInput& input, std::size_t size) {
  auto high = input.Below(256);
  return (high << 8 | input.Below(256)) % (size + 1);
}

void damage(State& state, FuzzInput& input) {
  auto at = take_position(input, state.size());
  auto span = std::min<std::size_t>(input.Below(40), state.size() - at);
  auto place = state.begin() + static_cast<std::ptrdiff_t>(at);
  auto end = place + static_cast<std::ptrdiff_t>(span);
  switch (input.Below(6)) {
  case 0:
  case 1:
    if (span > 0)
      *place = static_cast<std::byte>(input.Below(256));
    break;
  case 2:
    if (span > 0)
      *place ^= std::byte{1} << input.Below(8);
    break;
  case 3:
    state.erase(place, end);
    break;
  case 4: {
    State again(place, end);
    state.insert(end, again.begin(), again.end());
    break;
  }
  default:
    std::fill(place, end, static_cast<std::byte>(input.Below(256)));
    break;
  }
}

void seal(State& state) {
  auto put = [&state](std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      state[at + i] = static_cast<std::byte>(value >> 8 * i);
  };
  if (state.size() < ebbrt::kStateHeaderSize + ebbrt::kStateCheckSize)
    return;
  put(ebbrt::kStateHeaderSize - 8, state.size(), 8);
  auto checked = state.size() - ebbrt::kStateCheckSize;
  put(checked, ebbrt::Crc32(std::span(state).first(checked)), 4);
}

void check(FuzzInput& input, FakePages& pages) {
  FileSide side(pages);
  operate(side, input, 4 + input.Below(30));
  auto state = side.Save();
  auto used = pages.used();
  for (auto count = 1 + input.Below(4); count > 0; --count)
    damage(state, input);
  if (input.Below(16) > 0)
    seal(state);
  auto loaded = FileSide::Load(pages, state);
  if (!loaded) {
    expect(pages.used() == used, "a refused state leaves pages behind");
    return;
  }
  auto written = loaded->Save();
  auto again = FileSide::Load(pages, written);
  expect(again != nullptr, "what was written is refused");
  expect(again->Save() == written, "what was read is not what was written");
  expect(loaded->Clone(pages)->Save() == written,
         "a clone is not what its source is");
  operate(*loaded, input, 30);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  FuzzInput input(data, size);
  FakePages pages;
  check(input, pages);
  expect(pages.used() == 0, "pages are left");
  return 0;
}
