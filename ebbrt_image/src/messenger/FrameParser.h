// Cuts a byte stream into frames as the bytes come, without collecting
// payloads: they are handed on piece by piece, so a peer cannot make the kernel
// hold more than one header.
#ifndef EBBRT_MESSENGER_FRAMEPARSER_H_
#define EBBRT_MESSENGER_FRAMEPARSER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "messenger/Frame.h"

namespace ebbrt {

class FrameParser {
 public:
  enum class Event {
    kNeedMore,  // the input is used up
    kHeader,    // header() has just become valid
    kPayload,   // `payload` holds the next bytes of this frame, at least one
    kEnd,       // the frame is complete; comes without kPayload if it is empty
    kError,     // error() says why; the stream cannot be trusted any further
  };
  struct Step {
    Event event;
    std::span<const std::byte> payload;
  };

  // Takes bytes from the front of `input` up to the next event. Call it until
  // it asks for more. After kError it answers kError until Reset.
  Step Next(std::span<const std::byte>& input);

  // Of the current frame: valid from kHeader to kEnd.
  const FrameHeader& header() const { return header_; }
  FrameError error() const { return error_; }
  // Bytes of payload that did not come yet.
  std::uint32_t remaining() const { return remaining_; }
  // True between two frames: the stream may end here.
  bool idle() const { return state_ == State::kHeader && filled_ == 0; }

  void Reset() { *this = FrameParser(); }

 private:
  enum class State { kHeader, kPayload, kError };

  FrameHeader header_;
  State state_ = State::kHeader;
  FrameError error_ = FrameError::kNone;
  std::uint32_t filled_ = 0;
  std::uint32_t remaining_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_MESSENGER_FRAMEPARSER_H_
