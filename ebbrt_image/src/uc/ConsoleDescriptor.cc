#include "uc/ConsoleDescriptor.h"

#include <algorithm>

#include "arch/DebugConsole.h"
#include "messenger/Messenger.h"
#include "uc/UnikernelContext.h"

namespace {

constexpr std::byte kPadding[256] = {};

}  // namespace

ebbrt::Result<void> ebbrt::ConsoleDescriptor::GetStat(abi::Stat& stat) const {
  stat = {};
  stat.mode = abi::kModeFifo | 0600;
  stat.links = 1;
  stat.block_size = kPageSize;
  return {};
}

ebbrt::Result<size_t> ebbrt::ConsoleDescriptor::ReceiveTo(uint64_t, size_t) {
  return Errno::kBadDescriptor;
}

void ebbrt::ConsoleDescriptor::send(FrameType type, uint64_t id,
                                    uint64_t address, uint32_t size) {
  if (!Messenger::Available()) {
    // A bootable test: what UCs say goes to the kernel log.
    uc_.space().ForEachPiece(address, size, [](auto piece) {
      debug_console::Write(reinterpret_cast<const char*>(piece.data()),
                           piece.size());
      return true;
    });
    return;
  }
  messenger->Begin(type, id, uc_.id(), size);
  uint32_t sent = 0;
  uc_.space().ForEachPiece(address, size, [&sent](auto piece) {
    sent += static_cast<uint32_t>(piece.size());
    // While this thread waits for the host, another one may unmap the page.
    auto pfn = ToPfn(piece.data());
    frames::AddReference(pfn);
    messenger->Write(piece);
    frames::Release(pfn);
    return true;
  });
  while (sent < size) {
    auto piece = std::min<size_t>(size - sent, sizeof(kPadding));
    messenger->Write(std::span(kPadding).first(piece));
    sent += static_cast<uint32_t>(piece);
  }
  messenger->End();
}
