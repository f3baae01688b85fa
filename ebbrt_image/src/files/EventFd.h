// eventfd: a counter that can be waited for.
#ifndef EBBRT_FILES_EVENTFD_H_
#define EBBRT_FILES_EVENTFD_H_

#include "files/Descriptor.h"

namespace ebbrt {

class EventFd : public Descriptor {
 public:
  // A semaphore gives one with every read, any other event all it has.
  // `status`: kOpenNonBlock or 0.
  EventFd(std::uint32_t count, bool semaphore, int status);
  static RefPtr<Descriptor> Load(StateCursor& body, int flags);

  Result<void> GetStat(abi::Stat& stat) const override;
  std::uint32_t Ready() const override;
  std::uint32_t activity() const override { return activity_; }

 protected:
  explicit EventFd(const EventFd& source);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  std::uint64_t count_;
  bool semaphore_;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_EVENTFD_H_
