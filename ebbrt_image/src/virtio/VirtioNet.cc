#include "virtio/VirtioNet.h"

#include <algorithm>
#include <cstring>

#include "event/EventManager.h"
#include "lib/Assert.h"
#include "mm/PageAllocator.h"

namespace {

constexpr uint64_t kFeatureAddress = uint64_t{1} << 5;

}  // namespace

std::unique_ptr<ebbrt::VirtioNet> ebbrt::VirtioNet::Create(Receiver receiver) {
  auto device = VirtioTransport::Find(VirtioTransport::kNetwork);
  if (!device)
    return nullptr;
  return std::unique_ptr<VirtioNet>(
      new VirtioNet(std::move(device), std::move(receiver)));
}

ebbrt::VirtioNet::VirtioNet(std::unique_ptr<VirtioTransport> device,
                            Receiver receiver)
    : device_(std::move(device)), receiver_(std::move(receiver)),
      header_(device_->legacy() ? kLegacyHeader : kHeader) {
  device_->Negotiate(kFeatureAddress);
  for (unsigned i = 0; i < address_.size(); ++i)
    address_[i] = std::byte{device_->ReadConfiguration(i)};
  device_->SetUpQueue(kReceiveQueue, receive_);
  device_->SetUpQueue(kTransmitQueue, transmit_);
  transmit_.SetInterrupts(false);
  // Two to a page.
  std::byte* page = nullptr;
  auto allocate = [&page] {
    if (page)
      return std::exchange(page, nullptr) + kBufferSize;
    auto pfn = page_allocator->Allocate();
    kbugon(!pfn.valid(), "no memory for network buffers");
    return page = ToPointer<std::byte>(pfn);
  };
  static_assert(2 * kBufferSize == kPageSize);
  for (unsigned i = 0; i < kBuffers; ++i) {
    receive_buffers_[i] = allocate();
    receive_.Offer(i, receive_buffers_[i], kBufferSize, true);
  }
  for (unsigned i = 0; i < kBuffers; ++i) {
    transmit_buffers_[i] = allocate();
    free_transmit_[free_count_++] = i;
  }
  device_->SetHandler([this] { handle_interrupt(); });
  device_->Ready();
  device_->Notify(kReceiveQueue);
}

bool ebbrt::VirtioNet::Send(
    std::span<const std::span<const std::byte>> pieces) {
  while (auto used = transmit_.Take())
    free_transmit_[free_count_++] = used->descriptor;
  kbugon(free_count_ > kBuffers, "network card returns a buffer twice");
  if (free_count_ == 0)
    return false;
  auto index = free_transmit_[free_count_ - 1];
  auto* buffer = transmit_buffers_[index];
  size_t filled = header_;
  for (auto piece : pieces) {
    if (piece.size() > kBufferSize - filled)
      return false;
    std::memcpy(buffer + filled, piece.data(), piece.size());
    filled += piece.size();
  }
  --free_count_;
  ++sent_;
  transmit_.Offer(index, buffer, static_cast<uint32_t>(filled), false);
  if (transmit_.RanDry(1))
    device_->Notify(kTransmitQueue);
  return true;
}

void ebbrt::VirtioNet::handle_interrupt() {
  if (processing_)
    return;
  processing_ = true;
  event_manager->Spawn([this] { process(); });
}

void ebbrt::VirtioNet::process() {
  unsigned taken = 0;
  for (unsigned i = 0; i < kBurst; ++i) {
    auto used = receive_.Take();
    if (!used) {
      processing_ = false;
      break;
    }
    auto* buffer = receive_buffers_[used->descriptor];
    auto length = std::min<size_t>(used->length, kBufferSize);
    if (length > header_)
      receiver_({buffer + header_, length - header_});
    ++received_;
    receive_.Offer(used->descriptor, buffer, kBufferSize, true);
    ++taken;
  }
  if (taken > 0 && receive_.RanDry(taken))
    device_->Notify(kReceiveQueue);
  if (processing_)
    event_manager->Spawn([this] { process(); });
}
