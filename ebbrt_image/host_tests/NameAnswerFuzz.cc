// Questions for names, and lists of rights, from nobody in particular.
#include <cstdlib>
#include <vector>

#include "net/NameAnswer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size < 1)
    return 0;
  auto input = std::as_bytes(std::span(data + 1, size - 1));
  auto cut = std::min<std::size_t>(data[0], input.size());
  std::vector<std::byte> list(input.begin(),
                              input.begin() + static_cast<long>(cut));
  auto rights = ebbrt::NetworkRights::Parse(list);
  if (!rights)
    rights = ebbrt::NetworkRights::Parse({});
  // A header that is right half of the time.
  std::vector<std::byte> question(input.begin() + static_cast<long>(cut),
                                  input.end());
  if (question.size() >= 12 && data[0] % 2) {
    question[2] = std::byte{1};
    question[4] = std::byte{0};
    question[5] = std::byte{1};
  }
  std::vector<std::byte> answer(ebbrt::kMaxNameMessage);
  auto written =
      ebbrt::AnswerName(rights.get(), question,
                        std::span<std::byte, ebbrt::kMaxNameMessage>(answer));
  if (written > answer.size() || (written > 0 && written < 12))
    std::abort();
  return 0;
}
