// Random opening, sharing, closing, watching and moving of bytes. The sanitizer
// looks for what is used after its end; here, what the table says must hold.
#include <cstdlib>
#include <vector>

#include "FuzzInput.h"
#include "files/DescriptorTable.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/Pipe.h"
#include "files/SocketEnd.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Descriptor;
using ebbrt::DescriptorTable;
using ebbrt::RefPtr;

constexpr int kLimit = 12;

void open_something(DescriptorTable& table, FuzzInput& input) {
  auto add = [&](RefPtr<Descriptor> descriptor) {
    static_cast<void>(table.Allocate(std::move(descriptor), false));
  };
  switch (input.Below(4)) {
  case 0: {
    auto pipe = ebbrt::MakePipe(0);
    add(std::move(pipe.reader));
    add(std::move(pipe.writer));
    break;
  }
  case 1: {
    auto pair = ebbrt::MakeSocketPair(0);
    add(std::move(pair.first));
    add(std::move(pair.second));
    break;
  }
  case 2:
    add(ebbrt::MakeRef<ebbrt::EventFd>(0, input.Below(2) == 1, 0));
    break;
  default:
    add(ebbrt::MakeRef<ebbrt::Epoll>());
    break;
  }
}

void watch(ebbrt::Epoll& epoll, DescriptorTable& table, FuzzInput& input) {
  auto number = static_cast<int>(input.Below(kLimit));
  auto target = table.Get(number);
  if (!target.ok())
    return;
  constexpr std::uint32_t kEvents[] = {
      abi::kPollIn, abi::kPollOut, abi::kPollIn | abi::kEpollEdge,
      abi::kPollIn | abi::kPollOut | abi::kEpollOneShot};
  const abi::EpollEvent event{kEvents[input.Below(4)], input.Below(256)};
  switch (input.Below(3)) {
  case 0:
    static_cast<void>(epoll.Add(number, **target, event));
    break;
  case 1:
    static_cast<void>(epoll.Modify(number, **target, event));
    break;
  default:
    static_cast<void>(epoll.Remove(number, **target));
    break;
  }
}

void use(Descriptor& descriptor, DescriptorTable& table, FuzzInput& input) {
  if (descriptor.kind() == Descriptor::Kind::kEpoll) {
    auto& epoll = static_cast<ebbrt::Epoll&>(descriptor);
    watch(epoll, table, input);
    std::vector<abi::EpollEvent> events(input.Below(4));
    auto announced = epoll.Ready() != 0;
    auto count = epoll.Collect(events);
    if (count > events.size() || (!announced && count > 0) ||
        (announced && !events.empty() && count == 0))
      std::abort();
    return;
  }
  if (descriptor.kind() == Descriptor::Kind::kSocket && input.Below(8) == 0)
    static_cast<void>(static_cast<ebbrt::SocketEnd&>(descriptor)
                          .Shutdown(static_cast<int>(input.Below(3))));
  std::vector<std::byte> bytes(input.Below(200) * 100);
  auto ready = descriptor.Ready();
  auto reading = input.Below(2) == 0;
  auto done = reading ? descriptor.Read(bytes) : descriptor.Write(bytes);
  if (done.ok() && *done > bytes.size())
    std::abort();
  // What poll promises, a call keeps.
  auto promised = (ready & (reading ? abi::kPollIn : abi::kPollOut)) != 0;
  auto small = bytes.size() <= abi::kPipeAtomic && bytes.size() >= 8;
  if (promised && small && !done.ok() && done.error() == ebbrt::Errno::kAgain)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  FuzzInput input(data, size);
  DescriptorTable table(kLimit);
  while (!input.done()) {
    auto number = static_cast<int>(input.Below(kLimit));
    switch (input.Below(6)) {
    case 0:
      open_something(table, input);
      break;
    case 1:
      static_cast<void>(table.Close(number));
      break;
    case 2:
      static_cast<void>(
          table.DuplicateTo(number, static_cast<int>(input.Below(kLimit))));
      break;
    default: {
      // Borrowed as the system-call layer does: the number may be closed while
      // the call runs.
      auto descriptor = table.Get(number);
      if (descriptor.ok())
        use(**descriptor, table, input);
      break;
    }
    }
    std::size_t open = 0;
    table.ForEach([&open](int, Descriptor&) { ++open; });
    if (open != table.open_count())
      std::abort();
  }
  return 0;
}
