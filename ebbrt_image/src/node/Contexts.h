// The UCs of one core. Every operation runs on that core; what the host is to
// hear of it is sent from there.
#ifndef EBBRT_NODE_CONTEXTS_H_
#define EBBRT_NODE_CONTEXTS_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "ebb/EbbRef.h"
#include "ebb/MulticoreEbb.h"
#include "ebb/StaticIds.h"
#include "files/Archive.h"
#include "lib/HashMap.h"
#include "lib/Result.h"
#include "lib/Vector.h"
#include "messenger/IncomingFrame.h"
#include "node/Snapshots.h"
#include "uc/UnikernelContext.h"

namespace ebbrt {

class Contexts;

// What the cores share.
class ContextsRoot : public MulticoreEbbRoot<Contexts> {
 public:
  ContextsRoot(const Archive& archive, const UcLimits& limits)
      : archive_(archive), limits_(limits) {}

  Snapshots& snapshots() { return snapshots_; }
  const UcLimits& limits() const { return limits_; }
  const Archive& archive() const { return archive_; }

  // UCs and requests of a core, a little out of date on others.
  uint32_t load(unsigned core) const { return load_[core]; }
  uint32_t count(unsigned core) const { return count_[core]; }
  uint32_t CountContexts() const;

  std::atomic<uint64_t> deploys{0};
  std::atomic<uint64_t> captures{0};
  std::atomic<uint64_t> last_deploy_ns{0};
  std::atomic<uint64_t> last_capture_ns{0};

 private:
  friend class Contexts;
  const Archive& archive_;
  UcLimits limits_;
  Snapshots snapshots_;
  std::atomic<uint32_t> load_[kMaxCores] = {};
  std::atomic<uint32_t> count_[kMaxCores] = {};
};

// Told on the UC's core when a UC is gone and its requests are answered.
using EndHandler = void (*)(uint32_t context, bool was_ready,
                            const char* message);

class Contexts : public MulticoreEbb<Contexts, ContextsRoot>,
                 public UcObserver {
 public:
  explicit Contexts(ContextsRoot& root) : root_(root) {}

  static void ClassInit(ContextsRoot& root);

  // The core of a UC; its number is part of the id.
  static unsigned CoreOf(uint32_t context) { return context % kMaxCores; }
  // The core that has least to do. What it is chosen for counts among its
  // requests at once: it may be a while until the core hears of it.
  static unsigned ChooseCore(ContextsRoot& root);

  // Called for ends on this core; for the node that keeps one UC.
  void set_end_handler(EndHandler handler) { end_handler_ = handler; }

  // Starts a UC from the program in the archive; 0 if memory is short. Its
  // READY tells the host; if it ends before, ENDED has the id of the request.
  uint32_t Boot(uint64_t id);

  // A UC from a snapshot, on the core chosen for it. With a frame, that is its
  // first request; without one
  // (`id` is then the host's), DEPLOYED is sent.
  void Deploy(uint32_t snapshot, IncomingFrame frame);
  void DeployIdle(uint32_t snapshot, uint64_t id);

  // Gives a frame to a UC.
  void Deliver(uint32_t context, IncomingFrame frame);
  // Reads the UC's captured state out: CAPTURED is sent.
  void Capture(uint32_t context, uint64_t id);
  // DONE is sent when the UC is gone and what it had is free.
  void End(uint32_t context, uint64_t id);
  void Break(uint32_t context, uint64_t id, uint64_t address);

  // Null if there is none on this core.
  UnikernelContext* Find(uint32_t context);

  // visit(uc) for those of this core.
  template <class Visit> void ForEach(Visit visit) {
    contexts_.ForEach([&visit](uint64_t, auto& uc) { visit(*uc); });
  }

  void ContextEnded(UnikernelContext& uc) override;
  void RequestEnded(UnikernelContext& uc) override;
  Result<uint32_t> CaptureAsked(UnikernelContext& uc,
                                UcThread& thread) override;
  void BreakpointHit(UnikernelContext& uc, UcThread& thread) override;

 private:
  Result<UnikernelContext*> deploy(uint32_t snapshot);
  UnikernelContext* deploy_or_report(uint32_t snapshot, uint64_t id);
  UnikernelContext* find_or_report(uint32_t context, uint64_t id);
  Result<RefPtr<Snapshot>> capture(UnikernelContext& uc, UcThread* self);
  uint32_t next_id();
  void report_endings(uint32_t context);

  ContextsRoot& root_;
  // An END whose UC has not ended yet.
  struct Ending {
    uint32_t context;
    uint64_t id;
  };
  HashMap<std::unique_ptr<UnikernelContext>> contexts_;
  Vector<Ending> endings_;
  uint32_t last_sequence_ = 0;
  EndHandler end_handler_ = nullptr;
};

constexpr auto contexts = EbbRef<Contexts>(kContextsId);

}  // namespace ebbrt

#endif  // EBBRT_NODE_CONTEXTS_H_
