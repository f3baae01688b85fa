// The first byte chooses how the rest becomes a stream: as it is, or as frames
// whose headers are right but for the fields that the input sets.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "messenger/FrameParser.h"

namespace {

using ebbrt::FrameHeader;
using ebbrt::FrameParser;

void append(std::vector<std::byte>& stream, std::span<const std::byte> bytes) {
  stream.insert(stream.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> make_frames(std::span<const std::byte> input) {
  std::vector<std::byte> stream;
  while (input.size() >= 4) {
    auto wanted = static_cast<std::size_t>(input[0]) % 64;
    auto broken = static_cast<unsigned>(input[1]);
    auto flip = static_cast<std::size_t>(input[2]);
    input = input.subspan(4);
    auto payload = input.first(std::min(wanted, input.size()));
    auto header =
        FrameHeader::Make(ebbrt::FrameType::kInvoke, broken, 0, payload.size());
    if (broken < 16)
      reinterpret_cast<std::byte*>(&header)[flip % sizeof(header)] ^=
          std::byte{1};
    append(stream, header.bytes());
    append(stream, payload);
    input = input.subspan(payload.size());
  }
  return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size < 2)
    return 0;
  auto input = std::as_bytes(std::span(data + 2, size - 2));
  std::vector<std::byte> stream(input.begin(), input.end());
  if (data[0] % 4 != 0)
    stream = make_frames(input);
  std::size_t piece = data[1] % 40 + 1;

  FrameParser parser;
  std::uint64_t owed = 0;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    // A copy of its own lets the sanitizer see a read past the piece.
    std::vector<std::byte> copy(stream.begin() + at,
                                stream.begin() +
                                    std::min(at + piece, stream.size()));
    std::span<const std::byte> rest = copy;
    for (bool more = true; more;) {
      auto before = rest.size();
      auto step = parser.Next(rest);
      switch (step.event) {
      case FrameParser::Event::kNeedMore:
        more = false;
        if (!rest.empty())
          std::abort();
        break;
      case FrameParser::Event::kHeader:
        owed = parser.header().length;
        if (owed > FrameHeader::kMaxPayload ||
            parser.header().Check() != ebbrt::FrameError::kNone)
          std::abort();
        break;
      case FrameParser::Event::kPayload:
        if (step.payload.empty() || step.payload.size() > owed ||
            before - rest.size() != step.payload.size())
          std::abort();
        owed -= step.payload.size();
        break;
      case FrameParser::Event::kEnd:
        if (owed != 0)
          std::abort();
        break;
      case FrameParser::Event::kError:
        if (parser.error() == ebbrt::FrameError::kNone)
          std::abort();
        return 0;
      }
    }
  }
  return 0;
}
