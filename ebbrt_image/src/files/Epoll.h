// epoll: a set of descriptors and what to wait for on each. Sets within sets
// are refused.
#ifndef EBBRT_FILES_EPOLL_H_
#define EBBRT_FILES_EPOLL_H_

#include <cstdint>
#include <span>

#include "files/Descriptor.h"
#include "lib/IntrusiveList.h"

namespace ebbrt {

class Epoll : public Descriptor {
 public:
  // Bounds what one set can make the kernel remember.
  static constexpr std::size_t kMaxInterests = 4096;

  Epoll();
  ~Epoll() override;
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  // epoll_ctl. An interest is known by the number it was registered under and
  // what the number meant then.
  Result<void> Add(int number, Descriptor& descriptor,
                   const abi::EpollEvent& event);
  Result<void> Modify(int number, Descriptor& descriptor,
                      const abi::EpollEvent& event);
  Result<void> Remove(int number, Descriptor& descriptor);

  // What epoll_wait answers now; how many events were filled in. Those that do
  // not fit come first next time.
  std::size_t Collect(std::span<abi::EpollEvent> events);

  std::size_t size() const { return count_; }

  Result<void> GetStat(abi::Stat& stat) const override;
  std::uint32_t Ready() const override;

 protected:
  Epoll(const Epoll& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;

 private:
  class Interest;
  using InterestList = IntrusiveList<Interest, Epoll>;

  Interest* find(int number, const Descriptor& descriptor);
  void forget(Interest& interest);

  InterestList interests_;
  std::size_t count_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_EPOLL_H_
