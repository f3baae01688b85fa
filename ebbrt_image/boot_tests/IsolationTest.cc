// UCs that try to break out, beside two neighbours, one on the same core and
// one on another: the offender ends or is answered with an error, the
// neighbours answer the same bytes as before, and all frames come back.

#include "Witness.h"

using namespace ebbrt;
using namespace ebbrt::test;
using namespace ebbrt::test::witness;

namespace {

constexpr size_t kReplySize = 1024;
constexpr uint64_t kReplyAt = kReport + 2048;
constexpr uint64_t kQuestions = 3;

// A witness on a core of its choice, and what it said first.
class Neighbour {
 public:
  Neighbour(const SnapshotRef& base, unsigned core) : core_(core) {
    RunOn(core_, [&] {
      runner_ = std::make_unique<TalkingRunner>(base);
      runner_->Ask(Of(kMark, 1 + core_ % 7));
      for (uint64_t i = 0; i < kQuestions; ++i)
        ask(i, said_[i]);
      kassert(std::memcmp(said_[0], said_[1], kReplySize) != 0);
    });
  }
  ~Neighbour() {
    RunOn(core_, [&] {
      Check(*runner_, 1 + core_ % 7);
      Finish(*runner_, 3);
      runner_.reset();
    });
  }

  void MustSayTheSame() {
    RunOn(core_, [&] {
      std::byte now[kReplySize];
      for (uint64_t i = 0; i < kQuestions; ++i) {
        ask(i, now);
        kbugon(std::memcmp(now, said_[i], kReplySize) != 0,
               "the neighbour on core %u answers differently", core_);
      }
    });
  }

  // The kernel's address of a page of its own.
  uint64_t SecretAddress() {
    uint64_t address = 0;
    RunOn(core_, [&] {
      auto visit = [&address](std::span<const std::byte> piece) {
        address = reinterpret_cast<uint64_t>(piece.data());
        return false;
      };
      kassert(runner_->uc().space().ForEachPiece(kReplyAt, 8, visit));
    });
    return address;
  }

 private:
  void ask(uint64_t question, std::byte (&reply)[kReplySize]) {
    runner_->Ask(Of(kReply, question));
    kassert(runner_->uc().space().CopyIn(reply, kReplyAt));
  }

  unsigned core_;
  std::unique_ptr<TalkingRunner> runner_;
  std::byte said_[kQuestions][kReplySize];
};

struct Neighbours {
  explicit Neighbours(const SnapshotRef& base)
      : near(base, 0), far(base, cpu::Count() - 1) {}
  void MustSayTheSame() {
    near.MustSayTheSame();
    far.MustSayTheSame();
  }
  Neighbour near, far;
};

using Arguments = std::initializer_list<std::string_view>;

// Runs an offender between questions to the neighbours.
Outcome Offend(Neighbours& neighbours, Arguments arguments, uint64_t request,
               uint32_t limit_ms, const UcLimits& limits = {}) {
  Outcome outcome;
  ReturnsAllFrames([&] {
    UcRunner offender(arguments, limits);
    offender.Request(request, limit_ms);
    do
      neighbours.MustSayTheSame();
    while (!offender.ended());
    outcome = offender.Wait();
    neighbours.MustSayTheSame();
  });
  return outcome;
}

void OthersMemoryIsOutOfReach(Neighbours& neighbours) {
  auto secret = neighbours.far.SecretAddress();
  ExpectStatus(Offend(neighbours, {"offender", "ask-kernel"}, secret, 0), 0);
  Expect(Offend(neighbours, {"offender", "read"}, secret, 0), EndKind::kFault,
         "read of address 0xffff8");
  Expect(Offend(neighbours, {"offender", "write"}, secret, 0), EndKind::kFault,
         "write of address 0xffff8");
  ExpectStatus(Offend(neighbours, {"offender", "doors"}, 1, 0), 0);
  // Frames that others have used are given out again, as zeroes.
  for (int i = 0; i < 2; ++i) {
    ReturnsAllFrames([] { ExpectStatus(Run({"memory", "private"}), 0); });
    ExpectStatus(Offend(neighbours, {"offender", "scavenge"}, 1, 0), 0);
  }
}

// One of each kind that the other tests know in full.
void EveryKindOfOffence(Neighbours& neighbours) {
  struct {
    Arguments arguments;
    EndKind kind;
    const char* message;
  } const kOffences[] = {
      {{"fault", "read-kernel"}, EndKind::kFault, "read of"},
      {{"fault", "write-kernel"}, EndKind::kFault, "write of"},
      {{"fault", "run-kernel"}, EndKind::kFault, "of address"},
      {{"fault", "write-text"}, EndKind::kFault, "write of"},
      {{"fault", "stack"}, EndKind::kFault, "write of"},
      {{"fault", "wrmsr"}, EndKind::kFault, "protection"},
      {{"fault", "write-cr3"}, EndKind::kFault, "protection"},
      {{"fault", "hlt"}, EndKind::kFault, "protection"},
      {{"fault", "out"}, EndKind::kFault, "protection"},
      {{"fault", "lidt"}, EndKind::kFault, "protection"},
      {{"calls", "pointers"}, EndKind::kExit, "exit status 0"},
      {{"calls", "faults"}, EndKind::kExit, "exit status 0"},
  };
  for (const auto& offence : kOffences)
    Expect(Offend(neighbours, offence.arguments, 1, 0), offence.kind,
           offence.message);
}

void TimeIsShared(Neighbours& neighbours) {
  for (auto* scenario : {"spin", "spin-in-calls", "fault-without-end"})
    Expect(Offend(neighbours, {"offender", scenario}, 1, 30), EndKind::kTimeout,
           "30 ms");
  // In the middle of a call that would take long.
  for (uint64_t request : {1, 2}) {
    auto outcome = Offend(neighbours, {"offender", "long-calls"}, request, 5);
    Expect(outcome, EndKind::kTimeout, "5 ms");
    kassert(outcome.owned_frames < 4096);
  }
  // Several at once, none of which has a limit.
  ReturnsAllFrames([&neighbours] {
    UcRunner first({"offender", "spin"}), second({"offender", "spin-in-calls"});
    first.Request(1, 0);
    second.Request(1, 0);
    neighbours.MustSayTheSame();
    for (auto* offender : {&first, &second}) {
      offender->uc().End(EndKind::kStopped, "enough");
      Expect(offender->Wait(), EndKind::kStopped, "enough");
    }
  });
}

void ThreadsAreBounded(Neighbours& neighbours) {
  Expect(Offend(neighbours, {"offender", "multiply"}, 1, 60), EndKind::kTimeout,
         "60 ms");
  UcLimits limits;
  limits.threads = 5;
  Expect(Offend(neighbours, {"offender", "multiply"}, 1, 60, limits),
         EndKind::kTimeout, "60 ms");
}

void MemoryIsBounded(Neighbours& neighbours) {
  // With a limit, and with all that the node has.
  UcLimits limits;
  limits.frames = 5000;
  Expect(Offend(neighbours, {"memory", "touch"}, 1, 0, limits),
         EndKind::kMemoryLimit, "limit 20000 KiB");
  Expect(Offend(neighbours, {"memory", "touch"}, 1, 0), EndKind::kMemoryLimit,
         "out of memory");
  Expect(Offend(neighbours, {"memory", "sparse"}, 1, 0), EndKind::kMemoryLimit,
         "out of memory");
  // Files and pipes count, too.
  limits.frames = 1000;
  Expect(Offend(neighbours, {"offender", "fill-all"}, 1, 0, limits),
         EndKind::kMemoryLimit, "limit 4000 KiB");
  // One that keeps all it got: the neighbours have what they need.
  ReturnsAllFrames([&neighbours] {
    TalkingRunner offender({"offender", "hoard"});
    offender.Ask(1);
    kprintf("hoarded %lu pages, %lu frames left\n", offender.Figure(0),
            PageAllocator::FreeFrames());
    neighbours.MustSayTheSame();
    offender.Request(2, 0);
    ExpectStatus(offender.Wait(), 0);
  });
}

// Of all the answers it can think of, one ends each of its requests, and none
// another's.
void AnswersAreItsOwn(Neighbours& neighbours) {
  ReturnsAllFrames([&neighbours] {
    TalkingRunner offender({"offender", "forge"});
    offender.Request(7, 0);
    offender.Request(23, 0, FrameType::kLoad);
    offender.Request(39, 0);
    neighbours.MustSayTheSame();
    ExpectStatus(offender.Wait(), 0);
    kbugon(offender.answers() != 3 || offender.answered() != 39,
           "%u requests answered, %lu last", offender.answers(),
           offender.answered());
    neighbours.MustSayTheSame();
  });
}

class WaitingCounter final : public UcRunner {
 public:
  using UcRunner::UcRunner;
  void ContextEnded(UnikernelContext& uc) override {
    uc.channel().ForEachWaiting([this](uint64_t) { ++waiting; });
    UcRunner::ContextEnded(uc);
  }
  unsigned waiting = 0;
};

// A request whose first byte is read to nowhere has begun, once: its time runs
// out, and it is not among those that wait.
void RequestsBeginOnce(Neighbours& neighbours) {
  ReturnsAllFrames([&neighbours] {
    WaitingCounter offender({"offender", "refuse"});
    offender.Request(1, 0);
    offender.Request(2, 60);
    neighbours.MustSayTheSame();
    Expect(offender.Wait(), EndKind::kTimeout, "60 ms");
    kassert(offender.waiting == 0);
  });
}

}  // namespace

void AppMain() {
  auto base = Base();
  {
    Neighbours neighbours(base);
    Case("memory of others", [&] { OthersMemoryIsOutOfReach(neighbours); });
    Case("offences", [&] { EveryKindOfOffence(neighbours); });
    Case("time", [&] { TimeIsShared(neighbours); });
    Case("threads", [&] { ThreadsAreBounded(neighbours); });
    Case("memory", [&] { MemoryIsBounded(neighbours); });
    Case("answers", [&] { AnswersAreItsOwn(neighbours); });
    Case("requests", [&] { RequestsBeginOnce(neighbours); });
  }
  Pass();
}
