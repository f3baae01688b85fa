#include "files/EventFd.h"

#include <cstring>

#include "files/StateReader.h"
#include "files/StateWriter.h"

namespace {

constexpr std::uint64_t kMaxCount = UINT64_MAX - 1;

}  // namespace

ebbrt::EventFd::EventFd(std::uint32_t count, bool semaphore, int status)
    : Descriptor(Kind::kEventFd, abi::kOpenReadWrite | status), count_(count),
      semaphore_(semaphore) {}

ebbrt::EventFd::EventFd(const EventFd& source)
    : Descriptor(source), count_(source.count_), semaphore_(source.semaphore_),
      activity_(source.activity_) {}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::EventFd::DoClone(CloneMap&) const {
  return RefPtr<EventFd>::Adopt(new EventFd(*this));
}

ebbrt::StateKind ebbrt::EventFd::Save(StateWriter&, StateBuffer& body) const {
  body.Add64(count_);
  body.Add8(semaphore_ ? 1 : 0);
  body.Add32(activity_);
  return StateKind::kEventFd;
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::EventFd::Load(StateCursor& body,
                                                      int flags) {
  auto count = body.Take64();
  auto semaphore = body.TakeBool();
  if (count > kMaxCount ||
      (flags & abi::kOpenAccessMask) != abi::kOpenReadWrite)
    return nullptr;
  auto event = MakeRef<EventFd>(0, semaphore, flags);
  event->count_ = count;
  event->activity_ = body.Take32();
  return event;
}

ebbrt::Result<void> ebbrt::EventFd::GetStat(abi::Stat& stat) const {
  constexpr std::uint32_t kPermissions = 0600;
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.mode = kPermissions;
  stat.links = 1;
  stat.block_size = kBlockSize;
  return {};
}

std::uint32_t ebbrt::EventFd::Ready() const {
  std::uint32_t ready = 0;
  if (count_ > 0)
    ready |= abi::kPollIn | abi::kPollReadNormal;
  if (count_ < kMaxCount)
    ready |= abi::kPollOut | abi::kPollWriteNormal;
  return ready;
}

ebbrt::Result<std::size_t> ebbrt::EventFd::DoRead(std::span<std::byte> bytes) {
  if (bytes.size() < sizeof(count_))
    return Errno::kInvalid;
  if (count_ == 0)
    return Errno::kAgain;
  auto given = semaphore_ ? 1 : count_;
  std::memcpy(bytes.data(), &given, sizeof(given));
  count_ -= given;
  ++activity_;
  return sizeof(given);
}

ebbrt::Result<std::size_t>
ebbrt::EventFd::DoWrite(std::span<const std::byte> bytes) {
  std::uint64_t added;
  if (bytes.size() < sizeof(added))
    return Errno::kInvalid;
  std::memcpy(&added, bytes.data(), sizeof(added));
  if (added > kMaxCount)
    return Errno::kInvalid;
  if (added > kMaxCount - count_)
    return Errno::kAgain;
  count_ += added;
  ++activity_;
  return sizeof(added);
}
