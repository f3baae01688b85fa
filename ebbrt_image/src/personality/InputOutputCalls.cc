// Reading and writing descriptors. The UC's pages are handed to the descriptors
// where they lie. Descriptors never wait: the loops here do.

#include "personality/Calls.h"
#include "personality/Datagrams.h"

namespace {

using namespace ebbrt;

constexpr size_t kDirectoryBuffer = 4096;

// Others of this UC may wait for what was read or written.
void Changed(SystemCall& call, const Descriptor& descriptor) {
  switch (descriptor.kind()) {
  case Descriptor::Kind::kPipe:
  case Descriptor::Kind::kSocket:
  case Descriptor::Kind::kEventFd:
    call.uc().DescriptorsChanged();
    break;
  default:
    break;
  }
}

// transfer(piece) for each piece of the range until one is cut short.
template <class Transfer>
Answer ReadPieces(SystemCall& call, uint64_t address, uint64_t size,
                  Transfer transfer) {
  uint64_t total = 0;
  Result<size_t> last = size_t{0};
  if (size == 0) {
    last = transfer(std::span<std::byte>());
    return last ? Answer(total) : Answer(last.error());
  }
  auto accessed = call.space().ForEachWritablePiece(
      address, size, [&](std::span<std::byte> piece) {
        last = transfer(piece);
        if (last)
          total += *last;
        return last && *last == piece.size() && call.GoOn(piece.size());
      });
  if (total > 0)
    return total;
  if (!last)
    return last.error();
  return accessed ? Answer(total) : Answer(Errno::kFault);
}

template <class Transfer>
Answer WritePieces(SystemCall& call, uint64_t address, uint64_t size,
                   Transfer transfer) {
  uint64_t total = 0;
  Result<size_t> last = size_t{0};
  if (size == 0) {
    last = transfer(std::span<const std::byte>());
    return last ? Answer(total) : Answer(last.error());
  }
  auto accessed = call.space().ForEachPiece(
      address, size, [&](std::span<const std::byte> piece) {
        last = transfer(piece);
        if (last)
          total += *last;
        return last && *last == piece.size() && call.GoOn(piece.size());
      });
  if (total > 0)
    return total;
  if (!last)
    return last.error();
  return accessed ? Answer(total) : Answer(Errno::kFault);
}

// Where a UC without a request waits: it keeps no stack meanwhile.
Answer ReadConsole(SystemCall& call, ConsoleDescriptor& console,
                   uint64_t address, uint64_t size, bool may_wait) {
  auto received = console.ReceiveTo(address, size);
  if (received)
    return *received;
  auto wait = received.error() == Errno::kAgain && may_wait;
  return wait && !call.uc().ended() ? Errno::kRestart : received.error();
}

Answer ReadFrom(SystemCall& call, Descriptor& descriptor, uint64_t address,
                uint64_t size, bool may_wait = true) {
  size = std::min(size, kMaxTransfer);
  if (auto* socket = AsDatagramSocket(descriptor)) {
    const UserBytes parts[] = {{address, size}};
    Received received;
    return ReceiveDatagram(call, *socket, parts, {}, received);
  }
  may_wait = may_wait && !descriptor.non_blocking();
  if (descriptor.kind() == Descriptor::Kind::kConsole)
    return ReadConsole(call, static_cast<ConsoleDescriptor&>(descriptor),
                       address, size, may_wait);
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    return ReadPieces(call, address, size,
                      [&](auto piece) { return descriptor.Read(piece); });
  });
  Changed(call, descriptor);
  return answer;
}

Answer WriteTo(SystemCall& call, Descriptor& descriptor, uint64_t address,
               uint64_t size) {
  size = std::min(size, kMaxTransfer);
  const UserBytes parts[] = {{address, size}};
  if (descriptor.kind() == Descriptor::Kind::kConsole)
    return static_cast<ConsoleDescriptor&>(descriptor).SendFrom(parts);
  if (auto* socket = AsDatagramSocket(descriptor))
    return SendDatagram(call, *socket, parts, {});
  if (!call.MayBuffer(descriptor, size))
    return Errno::kNoMemory;
  // A blocking write ends when everything is written, but nothing to wait for
  // makes room for a file.
  const bool is_file = descriptor.kind() == Descriptor::Kind::kFile;
  uint64_t total = 0;
  auto answer = call.Wait(!descriptor.non_blocking(), kNever, [&]() -> Answer {
    auto piece = WritePieces(call, address + total, size - total,
                             [&](auto p) { return descriptor.Write(p); });
    if (!piece)
      return piece;
    Changed(call, descriptor);
    total += *piece;
    if (total == size || *piece == 0 || is_file)
      return total;
    call.thread().CommitCall();
    return Errno::kAgain;
  });
  if (total > 0)
    return total;
  return answer;
}

// one(element, is_first) for each element of an iovec array until one is cut
// short.
template <class One>
Answer ForVectors(SystemCall& call, std::span<const UserBytes> elements,
                  One one) {
  uint64_t total = 0;
  for (auto element : elements) {
    if (element.size == 0)
      continue;
    Answer done = one(element, total == 0);
    if (!done)
      return total > 0 ? Answer(total) : Answer(done.error());
    total += *done;
    call.thread().CommitCall();
    if (*done < element.size)
      break;
  }
  return total;
}

}  // namespace

ebbrt::Answer ebbrt::personality::Read(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  return ReadFrom(call, **descriptor, call.argument(1), call.argument(2));
}

ebbrt::Answer ebbrt::personality::Write(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  return WriteTo(call, **descriptor, call.argument(1), call.argument(2));
}

ebbrt::Answer ebbrt::personality::PRead(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  auto offset = call.argument(3);
  if (call.wide(3) < 0)
    return Errno::kInvalid;
  return ReadPieces(call, call.argument(1),
                    std::min(call.argument(2), kMaxTransfer), [&](auto piece) {
                      auto read = (*descriptor)->PRead(piece, offset);
                      offset += piece.size();
                      return read;
                    });
}

ebbrt::Answer ebbrt::personality::PWrite(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  auto offset = call.argument(3);
  if (call.wide(3) < 0)
    return Errno::kInvalid;
  return WritePieces(call, call.argument(1),
                     std::min(call.argument(2), kMaxTransfer), [&](auto piece) {
                       auto written = (*descriptor)->PWrite(piece, offset);
                       offset += piece.size();
                       return written;
                     });
}

ebbrt::Answer ebbrt::personality::ReadVector(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  auto elements = ReadVectors(call, call.argument(1), call.argument(2));
  if (!elements)
    return elements.error();
  if (auto* socket = AsDatagramSocket(**descriptor)) {
    Received received;
    return ReceiveDatagram(call, *socket, *elements, {}, received);
  }
  // Only for the first byte does it wait.
  return ForVectors(call, *elements, [&](UserBytes element, bool is_first) {
    return ReadFrom(call, **descriptor, element.address, element.size,
                    is_first);
  });
}

// A write to the host, or of a datagram, goes out as one, whatever its
// elements.
ebbrt::Answer ebbrt::personality::WriteVector(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  auto elements = ReadVectors(call, call.argument(1), call.argument(2));
  if (!elements)
    return elements.error();
  if ((*descriptor)->kind() == Descriptor::Kind::kConsole)
    return static_cast<ConsoleDescriptor&>(**descriptor).SendFrom(*elements);
  if (auto* socket = AsDatagramSocket(**descriptor))
    return SendDatagram(call, *socket, *elements, {});
  return ForVectors(call, *elements, [&](UserBytes element, bool) {
    return WriteTo(call, **descriptor, element.address, element.size);
  });
}

ebbrt::Answer ebbrt::personality::Seek(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  return (*descriptor)->Seek(call.wide(1), call.integer(2));
}

ebbrt::Answer ebbrt::personality::Truncate(SystemCall& call) {
  auto path = call.Path(0);
  if (!path)
    return path.error();
  if (call.wide(1) < 0)
    return Errno::kInvalid;
  return Zero(call.uc().files().system().Truncate(call.uc().files().directory(),
                                                  *path, call.argument(1)));
}

ebbrt::Answer ebbrt::personality::TruncateDescriptor(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  if (call.wide(1) < 0)
    return Errno::kInvalid;
  return Zero((*descriptor)->Truncate(call.argument(1)));
}

// Only the plain form, which makes a file at least as long as asked for.
ebbrt::Answer ebbrt::personality::Allocate(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  if (call.integer(1) != 0)
    return Errno::kNotSupported;
  if (call.wide(2) < 0 || call.wide(3) <= 0)
    return Errno::kInvalid;
  abi::Stat stat;
  if (auto got = (*descriptor)->GetStat(stat); !got)
    return got.error();
  auto end = call.argument(2) + call.argument(3);
  if (end <= static_cast<uint64_t>(stat.size))
    return uint64_t{0};
  return Zero((*descriptor)->Truncate(end));
}

ebbrt::Answer ebbrt::personality::ReadDirectory(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  alignas(8) std::byte buffer[kDirectoryBuffer];
  auto size = std::min<uint64_t>(call.argument(2), sizeof(buffer));
  auto filled = (*descriptor)->ReadDirectory(std::span(buffer, size));
  if (!filled)
    return filled.error();
  if (!call.space().CopyOut(call.argument(1), std::span(buffer, *filled)))
    return Errno::kFault;
  return *filled;
}

// fsync, fdatasync, flock: nothing is behind memory, nobody else has the file.
ebbrt::Answer ebbrt::personality::Synchronise(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  return uint64_t{0};
}
