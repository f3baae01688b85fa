// Runs guest programs as UCs, and tells how they ended.
#ifndef EBBRT_BOOT_TESTS_UCRUNNER_H_
#define EBBRT_BOOT_TESTS_UCRUNNER_H_

#include <cstring>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "Support.h"
#include "files/Archive.h"
#include "lib/Vector.h"
#include "mm/PageAllocator.h"
#include "uc/UnikernelContext.h"

extern "C" const std::byte archive_start[], archive_end[];

namespace ebbrt::test {

inline const Archive& GuestArchive() {
  static const Archive* archive = [] {
    auto opened = Archive::Open({archive_start, archive_end});
    kbugon(!opened, "the archive of guests is damaged");
    return new Archive(std::move(*opened));
  }();
  return *archive;
}

struct Outcome {
  EndKind kind;
  char message[200];
  AddressSpace::Counters counters;
  uint64_t owned_frames;
  uint64_t peak_frames;

  bool Says(std::string_view text) const {
    return std::string_view(message).find(text) != std::string_view::npos;
  }
};

// A UC from its start to its end, on the core of the event that made it.
class UcRunner : public UcObserver {
 public:
  UcRunner(std::initializer_list<std::string_view> arguments,
           const UcLimits& limits = {})
      : uc_(std::make_unique<UnikernelContext>(NextId(), limits, GuestArchive(),
                                               *this)) {
    char path[64] = "/bin/";
    auto name = *arguments.begin();
    std::memcpy(path + 5, name.data(), name.size());
    auto started = uc_->Start(path, {arguments.begin(), arguments.size()}, {});
    kbugon(!started, "%s cannot be started: error %d", path,
           static_cast<int>(started.error()));
  }

  // A UC deployed from a snapshot.
  explicit UcRunner(const RefPtr<Snapshot>& origin, const UcLimits& limits = {})
      : uc_(std::make_unique<UnikernelContext>(NextId(), limits, GuestArchive(),
                                               *this, origin)) {
    kbugon(!uc_->valid(), "no memory to deploy");
    uc_->Resume();
  }

  UnikernelContext& uc() { return *uc_; }
  bool ended() const { return !uc_; }

  // A request as the host sends it.
  void Request(uint64_t id, uint32_t limit_ms,
               FrameType type = FrameType::kInvoke) {
    uc_->channel().Deliver(
        IncomingFrame(FrameHeader::Make(type, id, uc_->id(), 0, limit_ms)));
  }

  const Outcome& Wait() {
    while (!ended())
      end_.Wait();
    return outcome_;
  }

  void ContextEnded(UnikernelContext& uc) override {
    kassert(&uc == uc_.get() && uc.ended() && uc.thread_count() == 0);
    outcome_.kind = uc.end_kind();
    std::memcpy(outcome_.message, uc.end_message(),
                std::strlen(uc.end_message()) + 1);
    outcome_.counters = uc.space().counters();
    outcome_.owned_frames = uc.space().owned_frames();
    outcome_.peak_frames = uc.space().peak_frames();
    uc_.reset();
    end_.WakeAll();
  }

 private:
  static uint32_t NextId() {
    static uint32_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
  }

  std::unique_ptr<UnikernelContext> uc_;
  Outcome outcome_ = {};
  WaitQueue end_;
};

inline void Expect(const Outcome& outcome, EndKind kind,
                   std::string_view message) {
  kbugon(outcome.kind != kind || !outcome.Says(message),
         "ended by %s: %s; expected %s: %.*s", Name(outcome.kind),
         outcome.message, Name(kind), static_cast<int>(message.size()),
         message.data());
}

inline void ExpectStatus(const Outcome& outcome, int status) {
  char message[] = "exit status   ";
  message[12] = static_cast<char>('0' + status / 10);
  message[13] = static_cast<char>('0' + status % 10);
  if (status < 10) {
    message[12] = static_cast<char>('0' + status);
    message[13] = 0;
  }
  Expect(outcome, EndKind::kExit, message);
}

// Frames that are free, or were made event stacks, of which some are kept.
inline size_t SpareFrames() {
  return PageAllocator::FreeFrames() +
         StackPool::Count() * (kEventStackSize / kPageSize);
}

// Every frame that `use` takes must be back after it. The first times may fill
// the reserves of slabs, and with many cores it is chance when that is done;
// what is lost every time is a leak.
template <class Use> void ReturnsAllFrames(Use use) {
  constexpr int kTries = 4;
  size_t before, after;
  use();
  for (int i = 0; i < kTries; ++i) {
    before = SpareFrames();
    use();
    after = SpareFrames();
    if (after == before)
      return;
  }
  kabort("%lu frames spare before, %lu after", before, after);
}

inline Outcome Run(std::initializer_list<std::string_view> arguments,
                   const UcLimits& limits = {}) {
  UcRunner runner(arguments, limits);
  return runner.Wait();
}

}  // namespace ebbrt::test

#endif  // EBBRT_BOOT_TESTS_UCRUNNER_H_
