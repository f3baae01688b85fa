// Answers of servers that mean no good: pieces of HTTP in any order, cut
// anywhere.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "FuzzInput.h"
#include "HttpAnswer.h"

namespace {

constexpr std::string_view kPieces[] = {"HTTP/1.1 ",
                                        "HTTP/1.0 ",
                                        "200",
                                        "204",
                                        "100 Go on",
                                        "101 Switch",
                                        "104 On",
                                        "304",
                                        " OK",
                                        "\r\n",
                                        "\r\n\r\n",
                                        "\n",
                                        "\r",
                                        ": ",
                                        "Name",
                                        "Content-Length: ",
                                        "5",
                                        "0",
                                        "ffffff",
                                        "67108865",
                                        "18446744073709551616",
                                        "Transfer-Encoding: chunked",
                                        "Transfer-Encoding: gzip",
                                        "Connection: close",
                                        "Connection: upgrade\r\nUpgrade: x",
                                        "5\r\nhello\r\n",
                                        "0\r\n\r\n",
                                        "0\r\nLate: x\r\n\r\n",
                                        ";ext=\"a\"",
                                        std::string_view("\0", 1),
                                        "\xff\x80",
                                        "body",
                                        " ",
                                        "\t"};
constexpr unsigned kPieceCount = sizeof(kPieces) / sizeof(kPieces[0]);

void Use(const HttpAnswer* answer) {
  size_t total = std::strlen(HttpAnswerReason(answer));
  for (int i = 0; i < HttpAnswerFields(answer); ++i)
    total += std::strlen(HttpAnswerName(answer, i)) +
             std::strlen(HttpAnswerValue(answer, i));
  if (total > kMaxAnswerHead || HttpAnswerFields(answer) >= kMaxAnswerFields ||
      HttpAnswerStatus(answer) < 200)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  FuzzInput input(data, size);
  auto without_body = input.Below(8) == 0;
  auto longest = 1 + input.Below(64);
  // A good start half of the time: little comes far without.
  std::string text = input.Below(2) ? "HTTP/1.1 200 OK\r\n" : "";
  while (!input.done()) {
    auto choice = input.Below(kPieceCount + 1);
    if (choice < kPieceCount)
      text += kPieces[choice];
    else
      text += static_cast<char>(input.Below(256));
  }
  auto* answer = NewHttpAnswer(without_body);
  auto state = HttpAnswerState(answer);
  for (size_t at = 0; at < text.size(); at += longest) {
    // A copy of its own size, so that the sanitizer sees what is read beyond.
    std::string piece = text.substr(at, longest);
    piece.shrink_to_fit();
    auto next = FeedHttpAnswer(
        answer, reinterpret_cast<const std::uint8_t*>(piece.data()),
        piece.size());
    if (next < state)
      std::abort();
    state = next;
    if (state == kAnswerHasHead)
      Use(answer);
  }
  state = FeedHttpAnswer(answer, nullptr, 0);
  if (state == kAnswerComplete)
    Use(answer);
  else if (state != kAnswerBroken || !*HttpAnswerFault(answer))
    std::abort();
  size_t length;
  auto* body = TakeHttpAnswerBody(answer, &length);
  if (length > text.size() || (without_body && length > 0))
    std::abort();
  std::free(body);
  FreeHttpAnswer(answer);
  return 0;
}
