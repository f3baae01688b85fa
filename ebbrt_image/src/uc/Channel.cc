#include "uc/Channel.h"

#include "uc/UnikernelContext.h"

namespace {

bool RunnerMaySend(ebbrt::FrameType type) {
  using ebbrt::FrameType;
  return type == FrameType::kReady || type == FrameType::kDone ||
         type == FrameType::kLoaded || type == FrameType::kResult ||
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
  if (header.Check() != FrameError::kNone || !RunnerMaySend(header.type) ||
      header.length != total - sizeof(header))
    return Errno::kInvalid;
  if (count_readable(pieces, total) != total)
    return Errno::kFault;
  // From here on the request counts as answered: its time limit must not come
  // between the parts of the frame.
  if (header.type == FrameType::kReady)
    ready_ = true;
  else
    uc_.EndRequest(header.id);
  send(header.type, header.id, pieces, sizeof(header), header.length);
  return total;
}

ebbrt::Result<size_t> ebbrt::Channel::ReceiveTo(uint64_t address, size_t size) {
  if (messages_.empty())
    return Errno::kAgain;
  const auto& message = messages_.front();
  const auto& header = message.header();
  if (read_ == 0 && header.type != FrameType::kSync)
    uc_.BeginRequest(header.id, header.limit_ms);
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
    read_ = 0;
  }
  if (!accessed && total == 0)
    return Errno::kFault;
  return total;
}

uint32_t ebbrt::Channel::Ready() const {
  return abi::kPollOut | (messages_.empty() ? 0 : abi::kPollIn);
}
