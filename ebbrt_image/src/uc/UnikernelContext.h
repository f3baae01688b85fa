// A unikernel context (UC): one interpreter with its memory, files and threads.
// It lives on one core, and whatever it does wrong ends it alone.
#ifndef EBBRT_UC_UNIKERNELCONTEXT_H_
#define EBBRT_UC_UNIKERNELCONTEXT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "event/Timer.h"
#include "event/WaitQueue.h"
#include "lib/IntrusiveList.h"
#include "lib/RefCounted.h"
#include "messenger/Frame.h"
#include "uc/AddressSpace.h"
#include "uc/Channel.h"
#include "uc/FutexTable.h"
#include "uc/SignalActions.h"
#include "uc/Snapshot.h"
#include "uc/UcFiles.h"
#include "uc/UcNetwork.h"
#include "uc/UcThread.h"

namespace ebbrt {

struct UcLimits {
  uint64_t frames = ~uint64_t{0};  // of memory, files in /tmp among them
  uint64_t tmp_pages = 16384;
  uint32_t threads = 64;
  uint32_t descriptors = 256;
};

// Why a UC ended; the names are the error kinds of the wire format.
enum class EndKind {
  kExit,
  kFault,
  kBadCall,
  kMemoryLimit,
  kTimeout,
  kStopped,  // by the host
};
const char* Name(EndKind kind);

// Its owner, who is told of the end and then deletes it.
class UcObserver {
 public:
  virtual ~UcObserver() = default;
  virtual void ContextEnded(UnikernelContext& uc) = 0;
  // The request that runs is answered.
  virtual void RequestEnded(UnikernelContext&) {}
  // The running thread asks for a snapshot of its UC: the snapshot's number.
  virtual Result<uint32_t> CaptureAsked(UnikernelContext&, UcThread&) {
    return Errno::kNotSupported;
  }
  // The running thread is at the breakpoint, which is disarmed.
  virtual void BreakpointHit(UnikernelContext&, UcThread&) {}
};

class UnikernelContext {
 public:
  UnikernelContext(uint32_t id, const UcLimits& limits, const Archive& archive,
                   UcObserver& observer);
  // A copy of the captured UC: it borrows all pages and has everything else of
  // its own. Check valid(); Resume starts its threads.
  UnikernelContext(uint32_t id, const UcLimits& limits, const Archive& archive,
                   UcObserver& observer, RefPtr<Snapshot> origin);
  // False if memory is too short to make a copy.
  static bool HasRoomFor(const Snapshot& snapshot);
  // Its threads have all ended.
  virtual ~UnikernelContext();

  // Loads a static ELF program from the archive and starts its first thread.
  Result<void> Start(std::string_view path,
                     std::span<const std::string_view> arguments,
                     std::span<const std::string_view> environment);

  bool valid() const { return space_.valid(); }
  void Resume();

  // A snapshot of this UC, which goes on unharmed and borrows from it. To be
  // called on its core: from an event that is not of this UC (`self` is null),
  // or by the thread that asks for it. kBusy while a request runs and nobody
  // of the UC asks, or while a transfer is half done; kNoMemory; kNoSpace when
  // the UC has asked too often.
  Result<RefPtr<Snapshot>> Capture(uint32_t snapshot_id, UcThread* self);
  // What it was deployed from or captured as last; null if neither.
  const RefPtr<Snapshot>& origin() const { return origin_; }

  // The next execution of the instruction at `address` is reported once.
  uint64_t breakpoint() const { return breakpoint_; }
  void set_breakpoint(uint64_t address) { breakpoint_ = address; }
  void HandleBreakpoint();

  uint32_t id() const { return id_; }
  UcObserver& observer() { return observer_; }
  const UcLimits& limits() const { return limits_; }
  AddressSpace& space() { return space_; }
  UcFiles& files() { return files_; }
  DescriptorTable& descriptors() { return files_.descriptors(); }
  FutexTable& futexes() { return futexes_; }
  Channel& channel() { return *channel_; }
  UcNetwork& network() { return network_; }

  // Where threads wait until some descriptor of this UC may be ready.
  WaitQueue& io() { return io_; }
  // Bytes came or went, or some descriptor was closed.
  void DescriptorsChanged();
  // Where threads wait for nothing but time.
  WaitQueue& sleepers() { return sleepers_; }

  // Heap top, for brk.
  uint64_t break_start() const { return break_start_; }
  uint64_t break_end() const { return break_end_; }
  void set_break_end(uint64_t address) { break_end_ = address; }

  // Threads. A new one is not started yet; null beyond the limit.
  UcThread* AddThread();
  void RemoveThread(UcThread& thread);
  uint32_t thread_count() const { return thread_count_; }

  // Requests: while one runs, output belongs to it and its time is bounded.
  // What it may reach counts until the next one begins.
  void BeginRequest(const FrameHeader& header,
                    std::unique_ptr<NetworkRights> rights);
  void EndRequest();
  bool serving() const { return serving_; }
  // Of the request that runs; the id is 0 if none does.
  uint64_t request() const { return serving_ ? request_.id : 0; }
  FrameType request_type() const { return request_.type; }

  // True for a copy of a snapshot.
  bool deployed() const { return deployed_; }
  // The request that had it booted; 0 if none did.
  void set_boot_request(uint64_t id) { boot_request_ = id; }
  uint64_t boot_request() const { return boot_request_; }
  // What the deploy took, told once; 0 for other UCs.
  void set_deploy_ns(uint64_t nanoseconds) { deploy_ns_ = nanoseconds; }
  // Gets ahead what requests of UCs like this one write.
  void OwnAhead() {
    if (origin_)
      space_.OwnAhead(origin_->Writes());
  }
  uint64_t TakeDeployNs() { return std::exchange(deploy_ns_, 0); }

  // Ends all threads as they come by. Only the first reason counts.
  void End(EndKind kind, const char* format, ...)
      __attribute__((format(printf, 3, 4)));
  void EndByFault(const TrapFrame& frame, const char* what, uint64_t address);
  void EndByMemory();
  bool ended() const { return ended_; }
  EndKind end_kind() const { return end_kind_; }
  const char* end_message() const { return end_message_; }

  const SignalActions& signals() const;
  void SetSignal(unsigned signal, const SignalAction& action);

  // True once per call number, for the log.
  bool FirstRefusal(uint64_t number);

 private:
  class RunTimer final : public Timer::Hook {
   public:
    explicit RunTimer(UnikernelContext& uc) : uc_(uc) {}
    void Fire() override;

   private:
    UnikernelContext& uc_;
  };

  // Binds the consoles of a prototype to this UC.
  class Consoles final : public ConsoleFactory {
   public:
    explicit Consoles(UnikernelContext& uc) : uc_(uc) {}
    RefPtr<Descriptor> CloneConsole(const Descriptor& source) override;
    SocketOwner* socket_owner() override { return &uc_.network_; }

   private:
    UnikernelContext& uc_;
  };

  // Notes for its like what the first request wrote, once that is done with.
  void learn_writes();

  static constexpr uint64_t kRefusalWords = 8;
  static constexpr uint32_t kMaxSelfCaptures = 8;

  uint32_t id_;
  UcLimits limits_;
  const Archive& archive_;
  UcObserver& observer_;
  RefPtr<Snapshot> origin_;
  AddressSpace space_;
  Consoles consoles_;
  RefPtr<Channel> channel_;
  UcNetwork network_;
  UcFiles files_;
  FutexTable futexes_;
  WaitQueue io_;
  WaitQueue sleepers_;
  IntrusiveList<UcThread, UcThread> threads_;
  uint32_t thread_count_ = 0;
  uint32_t next_thread_id_ = 1;
  uint64_t breakpoint_ = 0;
  uint64_t break_start_ = 0;
  uint64_t break_end_ = 0;
  FrameHeader request_;
  bool serving_ = false;
  bool deployed_ = false;
  // Requests that were answered since it began to borrow from `origin_`.
  uint32_t answered_ = 0;
  uint64_t deploy_ns_ = 0;
  uint64_t boot_request_ = 0;
  RunTimer run_timer_;
  uint32_t self_captures_ = 0;
  bool resumed_ = false;
  bool ended_ = false;
  EndKind end_kind_ = EndKind::kExit;
  char end_message_[200] = {};
  // Null while they are those of `origin_`, or all the default.
  std::unique_ptr<SignalActions> signals_;
  uint64_t refused_[kRefusalWords] = {};
};

}  // namespace ebbrt

#endif  // EBBRT_UC_UNIKERNELCONTEXT_H_
