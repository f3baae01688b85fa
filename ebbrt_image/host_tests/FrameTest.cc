#include "messenger/Frame.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "messenger/FrameParser.h"

namespace {

using ebbrt::FrameError;
using ebbrt::FrameHeader;
using ebbrt::FrameParser;
using ebbrt::FrameType;

struct GoodFrame {
  const char* name;
  unsigned type;
  std::uint64_t id;
  std::uint32_t context;
  std::uint32_t time;
  std::string payload;
  std::string frame;
};
struct BadFrame {
  const char* name;
  FrameError error;
  std::string frame;
};

const std::vector<GoodFrame>& good_frames() {
  static const std::vector<GoodFrame> kFrames = {
#define GOOD_FRAME(...) {__VA_ARGS__},
#define BAD_FRAME(...)
#include "FrameVectors.inc"
#undef GOOD_FRAME
#undef BAD_FRAME
  };
  return kFrames;
}

const std::vector<BadFrame>& bad_frames() {
  static const std::vector<BadFrame> kFrames = {
#define GOOD_FRAME(...)
#define BAD_FRAME(name, error, frame) {name, FrameError::error, frame},
#include "FrameVectors.inc"
#undef GOOD_FRAME
#undef BAD_FRAME
  };
  return kFrames;
}

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

struct Collected {
  FrameHeader header;
  std::string payload;
};

// Feeds `stream` in pieces of `piece` bytes; stops at the first error.
std::vector<Collected> parse(FrameParser& parser, const std::string& stream,
                             std::size_t piece) {
  std::vector<Collected> frames;
  Collected current;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    auto chunk = stream.substr(at, piece);
    auto input = bytes(chunk);
    for (bool more = true; more;) {
      auto step = parser.Next(input);
      switch (step.event) {
      case FrameParser::Event::kNeedMore:
        EXPECT_TRUE(input.empty());
        more = false;
        break;
      case FrameParser::Event::kHeader:
        current = {parser.header(), ""};
        break;
      case FrameParser::Event::kPayload:
        EXPECT_FALSE(step.payload.empty());
        current.payload.append(
            reinterpret_cast<const char*>(step.payload.data()),
            step.payload.size());
        break;
      case FrameParser::Event::kEnd:
        frames.push_back(current);
        break;
      case FrameParser::Event::kError:
        return frames;
      }
    }
  }
  return frames;
}

TEST(Frame, VectorsCoverEveryType) {
  for (unsigned type : {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x81, 0x82,
                        0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a}) {
    int count = 0;
    for (auto& vector : good_frames())
      count += vector.type == type;
    EXPECT_GE(count, 2) << "type " << type;
  }
}

TEST(Frame, MakeMatchesTheVectors) {
  for (auto& vector : good_frames()) {
    auto header =
        FrameHeader::Make(static_cast<FrameType>(vector.type), vector.id,
                          vector.context, vector.payload.size(), vector.time);
    std::string frame(reinterpret_cast<const char*>(header.bytes().data()),
                      header.bytes().size());
    EXPECT_EQ(frame + vector.payload, vector.frame) << vector.name;
  }
}

TEST(FrameParser, ParsesTheVectorsInPiecesOfAnySize) {
  std::string stream;
  for (auto& vector : good_frames())
    stream += vector.frame;
  for (std::size_t piece : {1, 2, 31, 32, 33, 100, 1 << 20}) {
    FrameParser parser;
    auto frames = parse(parser, stream, piece);
    ASSERT_EQ(frames.size(), good_frames().size()) << piece;
    EXPECT_TRUE(parser.idle());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      auto& vector = good_frames()[i];
      EXPECT_EQ(static_cast<unsigned>(frames[i].header.type), vector.type);
      EXPECT_EQ(frames[i].header.id, vector.id);
      EXPECT_EQ(frames[i].header.context, vector.context);
      EXPECT_EQ(frames[i].header.time, vector.time);
      EXPECT_EQ(frames[i].payload, vector.payload) << vector.name;
    }
  }
}

TEST(FrameParser, RefusesBadHeadersAndStaysRefusing) {
  ASSERT_GE(bad_frames().size(), 10u);
  for (auto& vector : bad_frames()) {
    FrameParser parser;
    EXPECT_TRUE(parse(parser, vector.frame, 5).empty()) << vector.name;
    EXPECT_EQ(parser.error(), vector.error) << vector.name;
    EXPECT_TRUE(parse(parser, good_frames()[0].frame, 100).empty());
    parser.Reset();
    EXPECT_EQ(parse(parser, good_frames()[0].frame, 100).size(), 1u);
  }
}

TEST(FrameParser, EveryFlippedHeaderBitIsNoticed) {
  auto& frame = good_frames()[3].frame;
  for (std::size_t bit = 0; bit < sizeof(FrameHeader) * 8; ++bit) {
    auto broken = frame;
    broken[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    FrameParser parser;
    EXPECT_TRUE(parse(parser, broken, 1000).empty()) << bit;
    EXPECT_NE(parser.error(), FrameError::kNone) << bit;
  }
}

TEST(FrameParser, TruncatedStreamIsNotIdle) {
  FrameParser parser;
  auto& frame = good_frames()[1].frame;
  EXPECT_TRUE(parse(parser, frame.substr(0, 40), 7).empty());
  EXPECT_FALSE(parser.idle());
  EXPECT_EQ(parser.remaining(), frame.size() - 40);
}

TEST(FrameParser, LongestPayloadIsAccepted) {
  auto header =
      FrameHeader::Make(FrameType::kResult, 1, 0, FrameHeader::kMaxPayload);
  EXPECT_EQ(header.Check(), FrameError::kNone);
}

}  // namespace
