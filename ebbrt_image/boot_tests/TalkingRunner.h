// A UC that is talked to: it answers requests, and may be captured by its own
// wish or at a breakpoint.
#ifndef EBBRT_BOOT_TESTS_TALKINGRUNNER_H_
#define EBBRT_BOOT_TESTS_TALKINGRUNNER_H_

#include "UcRunner.h"

namespace ebbrt::test {

using SnapshotRef = RefPtr<Snapshot>;

// Where guests leave figures (guests/Requests.h).
constexpr uint64_t kReport = 0x20000000;

class TalkingRunner final : public UcRunner {
 public:
  using UcRunner::UcRunner;

  // Gives it a request and blocks until it is answered and waits for the next.
  void Ask(uint64_t request) {
    answers_ = 0;
    Request(request, 0);
    while (answers_ == 0) {
      kbugon(ended(), "ended instead of an answer to %lx: %s", request,
             Wait().message);
      changed_.Wait(clock::Uptime() + kMillisecond);
    }
    Settle();
  }

  // Lets it run until it waits for a request.
  void Settle() {
    while (!ended() && (uc().io().empty() || uc().channel().waiting()))
      event_manager->Yield();
    kbugon(ended(), "ended before it waited: %s", Wait().message);
  }

  SnapshotRef Take(uint32_t number = 1) {
    Settle();
    auto taken = uc().Capture(number, nullptr);
    kbugon(!taken, "no snapshot: error %d", static_cast<int>(taken.error()));
    return *taken;
  }

  uint64_t Figure(unsigned index) {
    uint64_t value;
    kassert(uc().space().Read(kReport + 8 * index, value));
    return value;
  }

  // Requests that ended since it was asked, or came to life.
  unsigned answers() const { return answers_; }
  // The id of the last.
  uint64_t answered() const { return answered_; }
  // Snapshots that it asked for, or that the breakpoint took.
  Vector<SnapshotRef>& asked() { return asked_; }
  unsigned hits() const { return hits_; }

  void ContextEnded(UnikernelContext& uc) override {
    UcRunner::ContextEnded(uc);
    changed_.WakeAll();
  }
  void RequestEnded(UnikernelContext& uc) override {
    ++answers_;
    answered_ = uc.request();
    changed_.WakeAll();
  }
  Result<uint32_t> CaptureAsked(UnikernelContext& uc,
                                UcThread& thread) override {
    auto taken =
        uc.Capture(static_cast<uint32_t>(asked_.size() + kFirstAsked), &thread);
    if (!taken)
      return taken.error();
    asked_.PushBack(*taken);
    return (*taken)->id();
  }
  void BreakpointHit(UnikernelContext& uc, UcThread& thread) override {
    ++hits_;
    kassert(CaptureAsked(uc, thread));
  }

  static constexpr uint32_t kFirstAsked = 70;

 private:
  WaitQueue changed_;
  unsigned answers_ = 0;
  uint64_t answered_ = 0;
  unsigned hits_ = 0;
  Vector<SnapshotRef> asked_;
};

}  // namespace ebbrt::test

#endif  // EBBRT_BOOT_TESTS_TALKINGRUNNER_H_
