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

uint64_t
ebbrt::ConsoleDescriptor::count_readable(std::span<const UserBytes> pieces,
                                         uint64_t limit) {
  uint64_t readable = 0;
  for (auto piece : pieces) {
    auto whole = uc_.space().ForEachPiece(piece.address, piece.size,
                                          [&readable, limit](auto bytes) {
                                            readable += bytes.size();
                                            return readable < limit;
                                          });
    if (!whole || readable >= limit)
      break;
  }
  return std::min(readable, limit);
}

void ebbrt::ConsoleDescriptor::send(FrameType type, uint64_t id,
                                    std::span<const UserBytes> pieces,
                                    uint64_t skip, uint32_t size,
                                    uint32_t time) {
  // A bootable test has no host: what its UCs say goes to the kernel's log.
  auto to_host = Messenger::Available();
  UcThread::Current().CommitCall();
  if (to_host)
    messenger->Begin(type, id, uc_.id(), size, time);
  uint32_t sent = 0;
  for (auto piece : pieces) {
    auto skipped = std::min(skip, piece.size);
    skip -= skipped;
    auto length = std::min<uint64_t>(piece.size - skipped, size - sent);
    uc_.space().ForEachPiece(
        piece.address + skipped, length, [&](std::span<const std::byte> bytes) {
          sent += static_cast<uint32_t>(bytes.size());
          // While this thread waits for the host, another one may unmap the
          // page.
          auto pfn = ToPfn(bytes.data());
          frames::AddReference(pfn);
          if (to_host)
            messenger->Write(bytes);
          else
            debug_console::Write(reinterpret_cast<const char*>(bytes.data()),
                                 bytes.size());
          frames::Release(pfn);
          return true;
        });
  }
  if (!to_host)
    return;
  while (sent < size) {
    auto padding = std::min<size_t>(size - sent, sizeof(kPadding));
    messenger->Write(std::span(kPadding).first(padding));
    sent += static_cast<uint32_t>(padding);
  }
  messenger->End();
}
