#include "uc/Channel.h"

#include <algorithm>
#include <cstring>

#include "mm/KernelFrames.h"
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

ebbrt::Channel::~Channel() {
  for (auto& message : messages_)
    release(message);
  release(incoming_);
}

void ebbrt::Channel::BeginFrame(const FrameHeader& header) {
  release(incoming_);
  incoming_ = Message();
  incoming_.header = header;
}

bool ebbrt::Channel::AddPayload(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    auto offset = incoming_.filled % kPageSize;
    if (offset == 0) {
      auto pfn = PageAllocator::UncachedFrames() > kKernelReserve
                     ? page_allocator->Allocate()
                     : Pfn::None();
      if (!pfn.valid()) {
        release(incoming_);
        return false;
      }
      incoming_.pages.PushBack(pfn);
    }
    auto size = std::min(bytes.size(), kPageSize - offset);
    std::memcpy(ToPointer<std::byte>(incoming_.pages.back()) + offset,
                bytes.data(), size);
    incoming_.filled += static_cast<uint32_t>(size);
    bytes = bytes.subspan(size);
  }
  return true;
}

void ebbrt::Channel::EndFrame() {
  messages_.PushBack(std::move(incoming_));
  incoming_ = Message();
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

uint32_t ebbrt::Channel::Ready() const {
  return abi::kPollOut | (messages_.empty() ? 0 : abi::kPollIn);
}

ebbrt::Result<size_t> ebbrt::Channel::ReceiveTo(uint64_t address, size_t size) {
  if (messages_.empty())
    return Errno::kAgain;
  auto& message = messages_.front();
  if (read_ == 0 && message.header.type != FrameType::kSync)
    uc_.BeginRequest(message.header.id, message.header.limit_ms);
  auto end = sizeof(FrameHeader) + message.header.length;
  size_t total = 0;
  auto accessed =
      uc_.space().ForEachWritablePiece(address, size, [&](auto piece) {
        total += take(piece);
        return read_ < end;
      });
  if (read_ == end) {
    release(message);
    messages_.Erase(0);
    read_ = 0;
  }
  if (!accessed && total == 0)
    return Errno::kFault;
  return total;
}

void ebbrt::Channel::release(Message& message) {
  for (auto pfn : message.pages)
    page_allocator->Free(pfn);
  message.pages.Clear();
}

size_t ebbrt::Channel::take(std::span<std::byte> bytes) {
  auto& message = messages_.front();
  size_t total = 0;
  if (read_ < sizeof(FrameHeader)) {
    auto head = message.header.bytes().subspan(read_);
    total = std::min(head.size(), bytes.size());
    std::memcpy(bytes.data(), head.data(), total);
    read_ += total;
  }
  while (total < bytes.size() &&
         read_ < sizeof(FrameHeader) + message.header.length) {
    auto at = read_ - sizeof(FrameHeader);
    auto size = std::min({bytes.size() - total, kPageSize - at % kPageSize,
                          size_t{message.header.length} - at});
    std::memcpy(bytes.data() + total,
                ToPointer<std::byte>(message.pages[at / kPageSize]) +
                    at % kPageSize,
                size);
    total += size;
    read_ += size;
  }
  return total;
}
