#include "messenger/FrameParser.h"

#include <algorithm>
#include <cstring>

ebbrt::FrameParser::Step
ebbrt::FrameParser::Next(std::span<const std::byte>& input) {
  switch (state_) {
  case State::kHeader: {
    auto count = std::min(input.size(), sizeof(header_) - filled_);
    if (count > 0)
      std::memcpy(reinterpret_cast<std::byte*>(&header_) + filled_,
                  input.data(), count);
    input = input.subspan(count);
    filled_ += count;
    if (filled_ < sizeof(header_))
      return {Event::kNeedMore, {}};
    filled_ = 0;
    error_ = header_.Check();
    if (error_ != FrameError::kNone) {
      state_ = State::kError;
      return {Event::kError, {}};
    }
    remaining_ = header_.length;
    state_ = State::kPayload;
    return {Event::kHeader, {}};
  }
  case State::kPayload: {
    if (remaining_ == 0) {
      state_ = State::kHeader;
      return {Event::kEnd, {}};
    }
    if (input.empty())
      return {Event::kNeedMore, {}};
    auto payload = input.first(std::min<std::size_t>(input.size(), remaining_));
    input = input.subspan(payload.size());
    remaining_ -= payload.size();
    return {Event::kPayload, payload};
  }
  case State::kError:
    break;
  }
  return {Event::kError, {}};
}
