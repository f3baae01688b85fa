#include "messenger/Messenger.h"

#include <algorithm>
#include <cstring>

#include "arch/DebugConsole.h"
#include "lib/Assert.h"

namespace {

bool available;

}  // namespace

bool ebbrt::Messenger::Available() {
  return available;
}

bool ebbrt::Messenger::ClassInit(FrameReceiver& receiver) {
  auto* self = new Messenger(receiver);
  self->console_ = VirtioConsole::Create(
      [self](std::span<const std::byte> bytes) { self->receive(bytes); });
  if (!self->console_) {
    delete self;
    return false;
  }
  Create(self, kMessengerId);
  available = true;
  return true;
}

void ebbrt::Messenger::Send(FrameType type, uint64_t id, uint32_t context,
                            std::span<const std::byte> payload) {
  Begin(type, id, context, static_cast<uint32_t>(payload.size()));
  Write(payload);
  End();
}

void ebbrt::Messenger::SendText(FrameType type, uint64_t id, uint32_t context,
                                std::string_view text) {
  Send(type, id, context, std::as_bytes(std::span(text.data(), text.size())));
}

void ebbrt::Messenger::Begin(FrameType type, uint64_t id, uint32_t context,
                             uint32_t length, uint32_t time) {
  auto header = FrameHeader::Make(type, id, context, length, time);
  auto& gathered = gathered_[cpu::Index()];
  while (gathered.busy)
    gathered.senders.Wait();
  gathered.busy = true;
  gathered.header = header;
  gathered.begun = false;
  gathered.unsent = length;
  gathered.filled = 0;
  if (!gathered.bytes)
    gathered.bytes = new std::byte[Gathered::kSize];
}

void ebbrt::Messenger::Write(std::span<const std::byte> bytes) {
  auto& gathered = gathered_[cpu::Index()];
  kbugon(bytes.size() > gathered.unsent, "frame longer than its header says");
  gathered.unsent -= static_cast<uint32_t>(bytes.size());
  while (!bytes.empty()) {
    if (gathered.filled == Gathered::kSize)
      hand_on(gathered, false);
    auto size = std::min(bytes.size(), Gathered::kSize - gathered.filled);
    std::memcpy(gathered.bytes + gathered.filled, bytes.data(), size);
    gathered.filled += size;
    bytes = bytes.subspan(size);
  }
}

void ebbrt::Messenger::End() {
  auto& gathered = gathered_[cpu::Index()];
  kbugon(gathered.unsent != 0, "frame shorter than its header says");
  if (!try_send(gathered))
    hand_on(gathered, true);
  gathered.busy = false;
  gathered.senders.WakeOne();
}

bool ebbrt::Messenger::try_send(const Gathered& gathered) {
  auto head = gathered.header.bytes();
  if (gathered.begun ||
      head.size() + gathered.filled > VirtioConsole::kBufferSize)
    return false;
  {
    LockGuard guard(lock_);
    if (busy_ || !console_->TryOffer(head, {gathered.bytes, gathered.filled}))
      return false;
  }
  // Takes long, and in any order: not under the lock.
  console_->Notify();
  return true;
}

void ebbrt::Messenger::hand_on(Gathered& gathered, bool last) {
  auto send = [this, &gathered, last] {
    if (!gathered.begun)
      begin(gathered.header);
    console_->Write({gathered.bytes, gathered.filled});
    if (last)
      end();
  };
  if (cpu::Index() == 0)
    send();
  else
    EventManager::CallRemote(send, 0);
  gathered.begun = true;
  gathered.filled = 0;
}

void ebbrt::Messenger::begin(const FrameHeader& header) {
  while (busy_)
    senders_.Wait();
  {
    LockGuard guard(lock_);
    busy_ = true;
  }
  console_->Write(header.bytes());
}

void ebbrt::Messenger::end() {
  console_->Flush();
  {
    LockGuard guard(lock_);
    busy_ = false;
  }
  senders_.WakeOne();
}

void ebbrt::Messenger::receive(std::span<const std::byte> bytes) {
  for (;;) {
    auto step = parser_.Next(bytes);
    switch (step.event) {
    case FrameParser::Event::kNeedMore:
      return;
    case FrameParser::Event::kHeader:
      receiver_.BeginFrame(parser_.header());
      break;
    case FrameParser::Event::kPayload:
      receiver_.AddPayload(step.payload);
      break;
    case FrameParser::Event::kEnd:
      receiver_.EndFrame();
      break;
    case FrameParser::Event::kError:
      // The two ends disagree about where frames begin: nothing that comes can
      // be trusted, and the host has to see that at once.
      kabort("host sent a bad frame: %s", Describe(parser_.error()));
    }
  }
}
