#include "uc/Channel.h"

#include <algorithm>

#include "uc/UnikernelContext.h"

namespace {

// Whether a frame answers a request.
bool Answers(ebbrt::FrameType type, ebbrt::FrameType request) {
  using ebbrt::FrameType;
  if (type == FrameType::kError)
    return true;
  switch (request) {
  case FrameType::kLoad:
    return type == FrameType::kLoaded;
  case FrameType::kInvoke:
  case FrameType::kRest:
    return type == FrameType::kResult;
  case FrameType::kBegin:
    return type == FrameType::kResult || type == FrameType::kPoint;
  default:
    return type == FrameType::kDone;
  }
}

bool MayAnswer(ebbrt::FrameType type) {
  using ebbrt::FrameType;
  return type == FrameType::kDone || type == FrameType::kLoaded ||
         type == FrameType::kResult || type == FrameType::kPoint ||
         type == FrameType::kError;
}

}  // namespace

ebbrt::Channel::Channel(UnikernelContext& uc)
    : ConsoleDescriptor(uc, abi::kOpenReadWrite) {}

void ebbrt::Channel::Deliver(IncomingFrame frame) {
  messages_.PushBack(std::move(frame));
  uc_.io().WakeAll();
}

ebbrt::Result<size_t>
ebbrt::Channel::SendFrom(std::span<const UserBytes> pieces) {
  FrameHeader header;
  uint64_t total = 0;
  for (auto piece : pieces)
    total += piece.size;
  if (pieces.empty() || pieces[0].size < sizeof(header))
    return Errno::kInvalid;
  if (!uc_.space().Read(pieces[0].address, header))
    return Errno::kFault;
  if (header.Check() != FrameError::kNone || !expected(header.type) ||
      header.length != total - sizeof(header))
    return Errno::kInvalid;
  if (count_readable(pieces, total) != total)
    return Errno::kFault;
  if (header.type == FrameType::kReady) {
    ready_ = true;
    // The host waits for it from what it booted, and from nobody else.
    if (!uc_.deployed())
      send(header.type, 0, pieces, sizeof(header), header.length);
    return total;
  }
  if (!uc_.serving()) {
    answers_original_ = false;
    return total;
  }
  // The id is the kernel's word, whatever the UC wrote. From here on the
  // request counts as answered: its time limit must not come between the parts
  // of the frame.
  auto id = uc_.request();
  uc_.EndRequest();
  auto deploy_ns = std::min<uint64_t>(uc_.TakeDeployNs(), ~uint32_t{0});
  send(header.type, id, pieces, sizeof(header), header.length,
       static_cast<uint32_t>(deploy_ns));
  return total;
}

bool ebbrt::Channel::expected(FrameType type) const {
  if (type == FrameType::kReady)
    return !ready_;
  if (uc_.serving())
    return Answers(type, uc_.request_type());
  return answers_original_ && MayAnswer(type);
}

ebbrt::Result<size_t> ebbrt::Channel::ReceiveTo(uint64_t address, size_t size) {
  if (!readable())
    return Errno::kAgain;
  auto& message = messages_.front();
  const auto& header = message.header();
  // Once: a read that fails must not give it its time anew.
  if (!begun_ && header.type != FrameType::kSync)
    begin(message);
  size_t total = 0;
  auto accessed = uc_.space().ForEachWritablePiece(
      address, size, [&](std::span<std::byte> piece) {
        auto got = message.Read(read_, piece);
        read_ += got;
        total += got;
        return read_ < message.size();
      });
  if (read_ == message.size()) {
    messages_.Erase(0);
    begun_ = false;
    read_ = 0;
  }
  if (!accessed && total == 0)
    return Errno::kFault;
  return total;
}

uint32_t ebbrt::Channel::Ready() const {
  return abi::kPollOut | (readable() ? abi::kPollIn : 0);
}

void ebbrt::Channel::begin(IncomingFrame& message) {
  begun_ = true;
  answers_original_ = false;
  uc_.BeginRequest(message.header(), message.TakeRights());
}

bool ebbrt::Channel::readable() const {
  if (messages_.empty())
    return false;
  return begun_ || read_ > 0 || !uc_.serving() ||
         messages_[0].header().type == FrameType::kSync;
}
