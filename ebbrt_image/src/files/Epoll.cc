#include "files/Epoll.h"

#include "files/CloneMap.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

namespace {

constexpr std::uint32_t kAlwaysReported =
    ebbrt::abi::kPollError | ebbrt::abi::kPollHangUp;
constexpr std::uint32_t kBehaviour =
    ebbrt::abi::kEpollEdge | ebbrt::abi::kEpollOneShot;

}  // namespace

class ebbrt::Epoll::Interest final : public DescriptorWatch,
                                     public IntrusiveListHook<Epoll> {
 public:
  Interest(Epoll& epoll, int number, Descriptor& descriptor)
      : epoll_(epoll), number_(number), descriptor_(descriptor) {
    descriptor_.AddWatch(*this);
  }

  // A clone in `epoll`, which watches `descriptor`.
  Interest(const Interest& source, Epoll& epoll, Descriptor& descriptor)
      : epoll_(epoll), number_(source.number_), descriptor_(descriptor),
        event_(source.event_), seen_(source.seen_),
        seen_activity_(source.seen_activity_) {
    descriptor_.AddWatch(*this);
  }

  const Descriptor& descriptor() const { return descriptor_; }

  void Save(std::uint32_t descriptor, StateBuffer& body) const {
    body.Add32(static_cast<std::uint32_t>(number_));
    body.Add32(descriptor);
    body.Add32(event_.events);
    body.Add64(event_.data);
    body.Add32(seen_);
    body.Add32(seen_activity_);
  }
  // What follows number and descriptor.
  void Load(StateCursor& body) {
    event_.events = body.Take32();
    event_.data = body.Take64();
    seen_ = body.Take32();
    seen_activity_ = body.Take32();
  }

  bool Means(int number, const Descriptor& descriptor) const {
    return number_ == number && &descriptor_ == &descriptor;
  }

  // A new setting reports again what held before.
  void Set(const abi::EpollEvent& event) {
    event_ = event;
    seen_ = 0;
  }

  // What is to be reported now.
  std::uint32_t Pending() const {
    auto ready = wanted();
    if ((event_.events & abi::kEpollEdge) == 0)
      return ready;
    // Edge: a bit that did not hold last time, or something that happened
    // since.
    auto fresh = (ready & ~seen_) != 0 || seen_activity_ != activity();
    return fresh ? ready : 0;
  }

  // Takes Pending() as reported.
  void Report(abi::EpollEvent& event, std::uint32_t ready) {
    event = {ready, event_.data};
    if ((event_.events & abi::kEpollOneShot) != 0)
      event_.events &= kBehaviour;
  }

  void Remember() {
    seen_ = wanted();
    seen_activity_ = activity();
  }

  void StopWatching() { descriptor_.RemoveWatch(*this); }
  void DescriptorGone() override { epoll_.forget(*this); }

 private:
  std::uint32_t wanted() const {
    auto mask = event_.events & ~kBehaviour;
    // A one-shot that has fired reports nothing, not even errors.
    if (mask == 0 && (event_.events & abi::kEpollOneShot) != 0)
      return 0;
    return descriptor_.Ready() & (mask | kAlwaysReported);
  }
  std::uint32_t activity() const { return descriptor_.activity(); }

  Epoll& epoll_;
  int number_;
  Descriptor& descriptor_;
  abi::EpollEvent event_{};
  std::uint32_t seen_ = 0;
  std::uint32_t seen_activity_ = 0;
};

ebbrt::Epoll::Epoll() : Descriptor(Kind::kEpoll, abi::kOpenReadWrite) {}

ebbrt::Epoll::Epoll(const Epoll& source, CloneMap& map) : Descriptor(source) {
  for (auto& interest : source.interests_) {
    auto watched = map.Find(interest.descriptor());
    // No number leads to it: closed but for a call that still borrows it.
    if (watched == nullptr)
      continue;
    interests_.PushBack(*new Interest(interest, *this, *watched));
    ++count_;
  }
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::Epoll::DoClone(CloneMap& map) const {
  return RefPtr<Epoll>::Adopt(new Epoll(*this, map));
}

ebbrt::StateKind ebbrt::Epoll::Save(StateWriter& writer,
                                    StateBuffer& body) const {
  for (auto& interest : interests_) {
    auto descriptor = writer.Find(interest.descriptor());
    if (descriptor != nullptr)
      interest.Save(*descriptor, body);
  }
  return StateKind::kEpoll;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::Epoll::Load(StateReader& reader, StateCursor& body, int flags) {
  if ((flags & abi::kOpenAccessMask) != abi::kOpenReadWrite)
    return nullptr;
  auto epoll = MakeRef<Epoll>();
  epoll->set_flags(flags);
  while (body.ok() && !body.complete()) {
    auto number = static_cast<int>(body.Take32());
    auto watched = reader.TakeDescriptor(body);
    if (!watched || !epoll->Add(number, *watched, {}).ok())
      return nullptr;
    epoll->interests_.back().Load(body);
  }
  return epoll;
}

ebbrt::Epoll::~Epoll() {
  while (!interests_.empty()) {
    auto& interest = interests_.front();
    interest.StopWatching();
    forget(interest);
  }
}

ebbrt::Epoll::Interest* ebbrt::Epoll::find(int number,
                                           const Descriptor& descriptor) {
  for (auto& interest : interests_)
    if (interest.Means(number, descriptor))
      return &interest;
  return nullptr;
}

void ebbrt::Epoll::forget(Interest& interest) {
  interests_.Erase(interest);
  --count_;
  delete &interest;
}

ebbrt::Result<void> ebbrt::Epoll::Add(int number, Descriptor& descriptor,
                                      const abi::EpollEvent& event) {
  if (descriptor.kind() == Kind::kEpoll)
    return Errno::kInvalid;
  if (!descriptor.pollable())
    return Errno::kPerm;
  if (find(number, descriptor) != nullptr)
    return Errno::kExists;
  if (count_ == kMaxInterests)
    return Errno::kNoSpace;
  auto interest = new Interest(*this, number, descriptor);
  interest->Set(event);
  interests_.PushBack(*interest);
  ++count_;
  return {};
}

ebbrt::Result<void> ebbrt::Epoll::Modify(int number, Descriptor& descriptor,
                                         const abi::EpollEvent& event) {
  auto interest = find(number, descriptor);
  if (interest == nullptr)
    return Errno::kNoEntry;
  interest->Set(event);
  return {};
}

ebbrt::Result<void> ebbrt::Epoll::Remove(int number, Descriptor& descriptor) {
  auto interest = find(number, descriptor);
  if (interest == nullptr)
    return Errno::kNoEntry;
  interest->StopWatching();
  forget(*interest);
  return {};
}

std::size_t ebbrt::Epoll::Collect(std::span<abi::EpollEvent> events) {
  std::size_t filled = 0;
  // Every interest is looked at once; those reported go to the back, so that a
  // small array does not always show the same ones.
  auto left = count_;
  auto next = interests_.begin();
  for (; left > 0 && filled < events.size(); --left) {
    auto& interest = *next;
    ++next;
    auto ready = interest.Pending();
    interest.Remember();
    if (ready == 0)
      continue;
    interest.Report(events[filled++], ready);
    interests_.Erase(interest);
    interests_.PushBack(interest);
  }
  return filled;
}

ebbrt::Result<void> ebbrt::Epoll::GetStat(abi::Stat& stat) const {
  constexpr std::uint32_t kPermissions = 0600;
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.mode = kPermissions;
  stat.links = 1;
  stat.block_size = kBlockSize;
  return {};
}

std::uint32_t ebbrt::Epoll::Ready() const {
  for (auto& interest : interests_)
    if (interest.Pending() != 0)
      return abi::kPollIn | abi::kPollReadNormal;
  return 0;
}
