#include "virtio/VirtioConsole.h"

#include <algorithm>
#include <cstring>

#include "lib/Assert.h"
#include "mm/PageAllocator.h"

std::unique_ptr<ebbrt::VirtioConsole>
ebbrt::VirtioConsole::Create(Receiver receiver) {
  auto device = VirtioTransport::Find(VirtioTransport::kConsole);
  if (!device)
    return nullptr;
  return std::unique_ptr<VirtioConsole>(
      new VirtioConsole(std::move(device), std::move(receiver)));
}

ebbrt::VirtioConsole::VirtioConsole(std::unique_ptr<VirtioTransport> device,
                                    Receiver receiver)
    : device_(std::move(device)), receiver_(std::move(receiver)) {
  device_->Negotiate(0);
  device_->SetUpQueue(kReceiveQueue, receive_);
  device_->SetUpQueue(kTransmitQueue, transmit_);
  auto allocate = [] {
    auto pfn = page_allocator->Allocate();
    kbugon(!pfn.valid(), "no memory for console buffers");
    return ToPointer<std::byte>(pfn);
  };
  for (auto& page : receive_pages_)
    page = allocate();
  for (unsigned i = 0; i < kReceiveBuffers; ++i)
    receive_.Offer(i, receive_buffer(i), kReceiveSize, true);
  for (unsigned i = 0; i < kTransmitBuffers; ++i) {
    transmit_buffers_[i] = allocate();
    free_transmit_[free_count_++] = i;
  }
  device_->SetHandler([this] { handle_interrupt(); });
  transmit_.SetInterrupts(false);
  device_->Ready();
  device_->Notify(kReceiveQueue);
}

bool ebbrt::VirtioConsole::TryOffer(std::span<const std::byte> head,
                                    std::span<const std::byte> rest) {
  kassert(filling_ == kNone && head.size() + rest.size() <= kBufferSize);
  if (!reclaim())
    return false;
  auto number = free_transmit_[--free_count_];
  auto* buffer = transmit_buffers_[number];
  std::memcpy(buffer, head.data(), head.size());
  if (!rest.empty())
    std::memcpy(buffer + head.size(), rest.data(), rest.size());
  transmit_.Offer(number, buffer,
                  static_cast<uint32_t>(head.size() + rest.size()), false);
  return true;
}

void ebbrt::VirtioConsole::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_ == kNone) {
      while (!reclaim())
        wait_for_buffer();
      filling_ = free_transmit_[--free_count_];
      filled_ = 0;
    }
    auto size = std::min(bytes.size(), kBufferSize - filled_);
    std::memcpy(transmit_buffers_[filling_] + filled_, bytes.data(), size);
    filled_ += size;
    bytes = bytes.subspan(size);
    if (filled_ == kBufferSize)
      Flush();
  }
}

void ebbrt::VirtioConsole::Flush() {
  if (filling_ == kNone)
    return;
  transmit_.Offer(filling_, transmit_buffers_[filling_],
                  static_cast<uint32_t>(filled_), false);
  filling_ = kNone;
  device_->Notify(kTransmitQueue);
}

void ebbrt::VirtioConsole::wait_for_buffer() {
  transmit_.SetInterrupts(true);
  // It may have come before the device knew that somebody waits.
  if (!reclaim())
    writers_.Wait();
  transmit_.SetInterrupts(false);
}

void ebbrt::VirtioConsole::handle_interrupt() {
  if (!writers_.empty() && reclaim())
    writers_.WakeOne();
  if (processing_)
    return;
  processing_ = true;
  event_manager->Spawn([this] { process(); });
}

void ebbrt::VirtioConsole::process() {
  // The receiver may block; bytes must still come in order, so interrupts
  // start no second round meanwhile.
  while (auto used = receive_.Take()) {
    auto number = used->descriptor;
    kbugon(number >= kReceiveBuffers, "console fills buffer %u", number);
    auto* buffer = receive_buffer(number);
    receiver_({buffer, std::min<size_t>(used->length, kReceiveSize)});
    receive_.Offer(number, buffer, kReceiveSize, true);
    if (receive_.RanDry(1))
      device_->Notify(kReceiveQueue);
  }
  processing_ = false;
}

std::byte* ebbrt::VirtioConsole::receive_buffer(unsigned number) const {
  auto place = number * kReceiveSize;
  return receive_pages_[place / kPageSize] + place % kPageSize;
}

bool ebbrt::VirtioConsole::reclaim() {
  while (auto used = transmit_.Take()) {
    kbugon(used->descriptor >= kTransmitBuffers, "console returns buffer %u",
           used->descriptor);
    free_transmit_[free_count_++] = used->descriptor;
  }
  return free_count_ > 0;
}
