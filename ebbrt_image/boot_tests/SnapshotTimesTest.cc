// When a snapshot may be taken: while threads wait or compute, by the UC's own
// call, at a breakpoint; and when it is refused.

#include "Witness.h"

using namespace ebbrt;
using namespace ebbrt::test;
using namespace ebbrt::test::witness;

namespace {

void LetGo(TalkingRunner& runner) {
  runner.Request(1, 0);
  ExpectStatus(runner.Wait(), 21);
}

// Captured at moments that nobody chose, each time with two copies.
void ThreadsGoOnInCopies() {
  ReturnsAllFrames([] {
    for (uint64_t delay : {0, 50, 1000, 4000}) {
      TalkingRunner original({"waiters"});
      Sleep(delay * 1000);
      auto snapshot = original.Take();
      kassert(snapshot->state().threads.size() == original.uc().thread_count());
      TalkingRunner first(snapshot), second(snapshot);
      Sleep(delay * 500);
      auto again = second.Take(2);
      LetGo(first);
      LetGo(original);
      TalkingRunner third(again);
      LetGo(third);
      LetGo(second);
    }
  });
}

void ThreadsGoOnOnAllCores() {
  ReturnsAllFrames([] {
    TalkingRunner original({"waiters"});
    Sleep(2 * kMillisecond);
    auto snapshot = original.Take();
    RunOnAll([&snapshot](unsigned) {
      for (int round = 0; round < 2; ++round) {
        TalkingRunner first(snapshot), second(snapshot);
        Sleep(kMillisecond / 2);
        TalkingRunner third(first.Take(2));
        LetGo(second);
        LetGo(third);
        LetGo(first);
      }
    });
    LetGo(original);
  });
}

// The number in the original, 0 in copies; both go on.
void OwnCallIsAnsweredTwice() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    original.Ask(Of(kSelf));
    kassert(original.asked().size() == 1);
    kassert(original.Figure(1) == TalkingRunner::kFirstAsked);
    // It was in the middle of a request, which is not the copy's.
    TalkingRunner copy(original.asked()[0]);
    kassert(!copy.uc().serving());
    copy.Settle();
    kassert(copy.Figure(1) == 0 && copy.answers() == 0);
    Check(copy, 0);
    Check(original, 0);
    copy.Ask(Of(kSelf));
    kassert(copy.Figure(1) == TalkingRunner::kFirstAsked);
    kassert(copy.asked()[0]->parent() == original.asked()[0]);
    CheckCopy(copy.asked()[0], 0);
    Finish(original, 3);
    Finish(copy, 4);
  });
}

void OwnCallMayBeRefused() {
  ReturnsAllFrames([] {
    class Refusing final : public UcObserver {
     public:
      void ContextEnded(UnikernelContext&) override { end.WakeAll(); }
      void RequestEnded(UnikernelContext&) override { answered = true; }
      WaitQueue end;
      bool answered = false;
    } observer;
    auto base = Base();
    UnikernelContext uc(950, {}, GuestArchive(), observer, base);
    uc.Resume();
    uc.channel().Deliver(IncomingFrame(
        FrameHeader::Make(FrameType::kInvoke, Of(kSelf), uc.id(), 0, 0)));
    while (!observer.answered)
      event_manager->Yield();
    int64_t answer;
    kassert(uc.space().Read(kReport + 8, answer));
    kassert(answer == -static_cast<int64_t>(Errno::kNotSupported));
    uc.End(EndKind::kStopped, "enough");
    observer.end.Wait();
  });
}

// The first instruction behind the capture runs once in each, with the same
// registers.
void BreakpointCaptures() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    original.Settle();
    auto address = original.Figure(0);
    original.uc().set_breakpoint(address);
    original.Ask(Of(kStep, 1));
    kassert(original.hits() == 1 && original.asked().size() == 1);
    kassert(original.uc().breakpoint() == 0);
    kassert(original.Figure(4) == 6 && original.Figure(5) == 1);
    auto snapshot = original.asked()[0];
    kassert(snapshot->state().threads[0].frame.rip == address);
    // Disarmed: it passes there again.
    original.Ask(Of(kStep, 2));
    kassert(original.hits() == 1 && original.Figure(5) == 3);

    TalkingRunner copy(snapshot);
    copy.Settle();
    kassert(copy.hits() == 0 && copy.Figure(4) == 6 && copy.Figure(5) == 1);
    Check(copy, 0);
    // A breakpoint at its first instruction is met when it comes back to it.
    TalkingRunner armed(snapshot);
    armed.uc().set_breakpoint(address);
    armed.Settle();
    kassert(armed.hits() == 0 && armed.Figure(5) == 1);
    // Others of this core pass there meanwhile.
    copy.Ask(Of(kStep, 3));
    kassert(copy.hits() == 0);
    armed.Ask(Of(kStep, 1));
    kassert(armed.hits() == 1 && armed.Figure(5) == 2);
    kassert(armed.asked()[0]->parent() == snapshot);
    TalkingRunner second(armed.asked()[0]);
    second.Settle();
    kassert(second.Figure(5) == 2);
    for (auto* runner : {&original, &copy, &armed, &second})
      Finish(*runner, 3);
  });
}

void BreakpointsOnAllCores() {
  ReturnsAllFrames([] {
    auto base = Base();
    RunOnAll([&base](unsigned core) {
      TalkingRunner stopped(base), other(base);
      stopped.Settle();
      stopped.uc().set_breakpoint(stopped.Figure(0));
      other.Ask(Of(kStep, 1 + core));
      stopped.Ask(Of(kStep, 1 + core));
      kassert(stopped.hits() == 1 && other.hits() == 0);
      CheckCopy(stopped.asked()[0], 0);
      Finish(stopped, 3);
      Finish(other, 3);
    });
  });
}

bool Busy(UnikernelContext& uc) {
  auto taken = uc.Capture(9, nullptr);
  kbugon(!taken && taken.error() != Errno::kBusy, "error %d instead of busy",
         static_cast<int>(taken.error()));
  return !taken;
}

void RefusedWhileServing() {
  ReturnsAllFrames([] {
    TalkingRunner runner({"witness"});
    runner.Settle();
    // Not read yet, then running, then answered.
    runner.Request(Of(kStep, 300000), 0);
    kassert(Busy(runner.uc()));
    do
      Sleep(kMillisecond / 10);
    while (!runner.uc().serving());
    kassert(Busy(runner.uc()));
    while (runner.uc().serving())
      Sleep(kMillisecond / 10);
    runner.Settle();
    kassert(!Busy(runner.uc()));
    CheckCopy(runner.uc().origin(), 0);
    runner.uc().End(EndKind::kStopped, "enough");
    kassert(Busy(runner.uc()));
    Expect(runner.Wait(), EndKind::kStopped, "enough");
  });
}

// What is written in part must not be written again by copies.
void RefusedHalfway() {
  ReturnsAllFrames([] {
    TalkingRunner runner({"witness"});
    runner.Ask(Of(kFlood));
    Sleep(2 * kMillisecond);
    auto busy = Busy(runner.uc());
    if (!busy) {
      TalkingRunner copy(runner.uc().origin());
      copy.Ask(Of(kDrain));
      Finish(copy, 3);
    }
    runner.Ask(Of(kDrain));
    kassert(!Busy(runner.uc()));
    CheckCopy(runner.uc().origin(), 0);
    Finish(runner, 3);
  });
}

}  // namespace

void AppMain() {
  Case("threads", ThreadsGoOnInCopies);
  Case("threads on all cores", ThreadsGoOnOnAllCores);
  Case("own call", OwnCallIsAnsweredTwice);
  Case("own call refused", OwnCallMayBeRefused);
  Case("breakpoint", BreakpointCaptures);
  Case("breakpoints on all cores", BreakpointsOnAllCores);
  Case("serving", RefusedWhileServing);
  Case("halfway", RefusedHalfway);
  Pass();
}
