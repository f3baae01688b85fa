#include "node/Node.h"

#include <algorithm>
#include <cstring>

#include "arch/Clock.h"
#include "arch/DebugConsole.h"
#include "boot/BootInfo.h"
#include "entropy/Entropy.h"
#include "files/StateCursor.h"
#include "lib/Assert.h"
#include "lib/String.h"
#include "lib/Vector.h"
#include "mm/SharedRegion.h"
#include "node/Report.h"

namespace {

// A runtime that never comes up is a broken image: no use trying for ever.
constexpr unsigned kMaxFailedStarts = 3;

ebbrt::UcLimits LimitsFromCommandLine() {
  ebbrt::UcLimits limits;
  auto bytes = ebbrt::boot_info::NumberOption("seuss.uc_memory", 0);
  if (bytes)
    limits.frames = bytes / ebbrt::kPageSize;
  return limits;
}

}  // namespace

ebbrt::Node::Node(const Archive& archive)
    : contexts_(archive, LimitsFromCommandLine(), *this),
      many_(boot_info::Option("seuss.mode") == "node") {}

void ebbrt::Node::BeginFrame(const FrameHeader& header) {
  header_ = header;
  target_ = Target::kNothing;
  switch (header.type) {
  case FrameType::kSync:
    target_ = Target::kSync;
    sync_filled_ = 0;
    break;
  case FrameType::kOptimise:
  case FrameType::kLoad:
  case FrameType::kInvoke:
  case FrameType::kUnload:
    if (auto* uc = find_target()) {
      target_ = Target::kUc;
      target_uc_ = uc->id();
      uc->channel().BeginFrame(header);
    }
    break;
  case FrameType::kImport:
  case FrameType::kBreak:
    begin_import();
    break;
  case FrameType::kStatusRequest:
  case FrameType::kShutdown:
  case FrameType::kExport:
  case FrameType::kBoot:
  case FrameType::kCapture:
  case FrameType::kDeploy:
  case FrameType::kEnd:
  case FrameType::kEvict:
  case FrameType::kList:
    break;
  default:
    report::Error(header.id, 0, "bad-request", "unknown frame type");
  }
}

void ebbrt::Node::AddPayload(std::span<const std::byte> bytes) {
  if (target_ == Target::kSync) {
    auto size = std::min(bytes.size(), sizeof(sync_) - sync_filled_);
    std::memcpy(reinterpret_cast<std::byte*>(&sync_) + sync_filled_,
                bytes.data(), size);
    sync_filled_ += size;
  } else if (target_ == Target::kImport) {
    // The parser gives no more than the header says.
    std::memcpy(import_.get() + import_filled_, bytes.data(), bytes.size());
    import_filled_ += bytes.size();
  } else if (target_ == Target::kUc &&
             !contexts_.Find(target_uc_)->channel().AddPayload(bytes)) {
    target_ = Target::kNothing;
    report::Error(header_.id, target_uc_, "memory-limit",
                  "the node has no memory for the request");
    if (target_is_new_)
      contexts_.Find(target_uc_)->Resume();
  }
}

void ebbrt::Node::EndFrame() {
  switch (header_.type) {
  case FrameType::kSync:
    if (sync_filled_ == sizeof(sync_) && header_.length == sizeof(sync_))
      synchronise();
    else
      report::Error(header_.id, 0, "bad-request", "SYNC of a wrong size");
    break;
  case FrameType::kStatusRequest:
    report::Status(header_.id, contexts_,
                   contexts_.Find(many_ ? header_.context : only_uc_));
    break;
  case FrameType::kShutdown:
    kprintf("node: shut down by the host\n");
    power::Off(power::kSuccess);
  case FrameType::kBoot:
    boot();
    break;
  case FrameType::kCapture:
    capture();
    break;
  case FrameType::kDeploy:
    if (auto* uc = deploy(header_.context)) {
      uc->Resume();
      report::Deployed(header_.id, uc->id(),
                       contexts_.counters().last_deploy_ns);
    }
    break;
  case FrameType::kEnd:
    end();
    break;
  case FrameType::kEvict:
    if (contexts_.Evict(header_.context & ~kSnapshotContext))
      report::Done(header_.id, header_.context);
    else
      report::Error(header_.id, header_.context, "bad-request",
                    "no such snapshot");
    break;
  case FrameType::kExport:
    export_snapshot();
    break;
  case FrameType::kImport:
    if (target_ == Target::kImport)
      import_snapshot();
    break;
  case FrameType::kBreak:
    if (target_ == Target::kImport)
      set_breakpoint();
    break;
  case FrameType::kList:
    report::Listed(header_.id, contexts_);
    break;
  default:
    if (target_ == Target::kUc)
      forward();
  }
  target_ = Target::kNothing;
  import_.reset();
}

void ebbrt::Node::ContextEnded(UnikernelContext& uc) {
  auto context = uc.id();
  auto stopped = uc.end_kind() == EndKind::kStopped;
  auto kind = Name(uc.end_kind());
  String message(uc.end_message());
  if (!many_) {
    failed_starts_ = uc.channel().ready() ? 0 : failed_starts_ + 1;
    kbugon(failed_starts_ == kMaxFailedStarts,
           "the runtime ended %u times before it was ready: %s",
           kMaxFailedStarts, uc.end_message());
  }
  Vector<uint64_t> unanswered;
  auto serving = uc.request() != 0;
  if (serving)
    unanswered.PushBack(uc.request());
  uc.channel().ForEachWaiting(
      [&unanswered](uint64_t id) { unanswered.PushBack(id); });
  // The rest of a request that is coming in belongs to nobody now.
  if (target_ == Target::kUc && target_uc_ == context) {
    unanswered.PushBack(header_.id);
    target_ = Target::kNothing;
  }
  // The old one may hold all memory, so it goes before the new one comes; and
  // that comes before anything blocks, so that requests always find a UC.
  contexts_.Remove(uc);
  if (!many_)
    start_only_uc();
  for (auto id : unanswered)
    report::Error(id, context, kind, message.c_str());
  if (!serving && !stopped)
    report::Ended(context, kind, message.c_str());
}

ebbrt::UnikernelContext* ebbrt::Node::find_target() {
  target_is_new_ = (header_.context & kSnapshotContext) != 0;
  if (target_is_new_)
    return deploy(header_.context);
  auto id = header_.context;
  if (!many_ && id == 0)
    id = only_uc_;
  auto* uc = contexts_.Find(id);
  if (!uc)
    report::Error(header_.id, header_.context, "bad-request",
                  many_ || only_uc_ ? "no such context"
                                    : "no SYNC frame came yet");
  return uc;
}

ebbrt::UnikernelContext* ebbrt::Node::deploy(uint32_t snapshot) {
  auto uc = contexts_.Deploy(snapshot & ~kSnapshotContext);
  if (uc)
    return *uc;
  if (uc.error() == Errno::kNoEntry)
    report::Error(header_.id, header_.context, "bad-request",
                  "no such snapshot");
  else
    report::Error(header_.id, header_.context, "memory-limit",
                  "the node has no memory for another context");
  return nullptr;
}

void ebbrt::Node::forward() {
  auto* uc = contexts_.Find(target_uc_);
  uc->channel().EndFrame();
  if (target_is_new_)
    uc->Resume();
}

void ebbrt::Node::synchronise() {
  clock::Sync(sync_.wall_clock_ns, sync_.generation);
  Entropy::Reseed(sync_.seed);
  // The seed is for the kernel alone.
  std::memset(sync_.seed, 0, sizeof(sync_.seed));
  if (many_)
    return;
  auto* uc = contexts_.Find(only_uc_);
  if (!uc) {
    start_only_uc();
    return;
  }
  auto& channel = uc->channel();
  channel.BeginFrame(header_);
  if (channel.AddPayload(std::as_bytes(std::span(&sync_, 1))))
    channel.EndFrame();
  else
    report::Error(header_.id, only_uc_, "memory-limit",
                  "the node has no memory for SYNC");
}

void ebbrt::Node::start_only_uc() {
  auto uc = contexts_.Boot();
  kbugon(!uc, "the runtime cannot be started: error %d",
         static_cast<int>(uc.error()));
  only_uc_ = (*uc)->id();
}

void ebbrt::Node::boot() {
  if (!many_) {
    report::Error(header_.id, 0, "bad-request",
                  "this node has one context only");
    return;
  }
  // Its READY is the answer.
  if (auto uc = contexts_.Boot(); !uc)
    report::Error(header_.id, 0, "memory-limit",
                  "the node has no memory for another context");
}

void ebbrt::Node::capture() {
  auto* uc = contexts_.Find(header_.context);
  if (!uc) {
    report::Error(header_.id, header_.context, "bad-request",
                  "no such context");
    return;
  }
  auto snapshot = contexts_.Capture(*uc);
  if (snapshot)
    report::Captured(header_.id, uc->id(), **snapshot,
                     contexts_.counters().last_capture_ns);
  else if (snapshot.error() == Errno::kBusy)
    report::Error(header_.id, header_.context, "busy",
                  "the context is in the middle of a request");
  else
    report::Error(header_.id, header_.context, "memory-limit",
                  "the node has no memory for a snapshot");
}

void ebbrt::Node::end() {
  auto* uc = contexts_.Find(header_.context);
  if (!uc || !many_) {
    report::Error(header_.id, header_.context, "bad-request",
                  "no such context");
    return;
  }
  uc->End(EndKind::kStopped, "ended by the host");
  report::Done(header_.id, header_.context);
}

ebbrt::Result<uint32_t> ebbrt::Node::CaptureAsked(UnikernelContext& uc,
                                                  UcThread& thread) {
  auto snapshot = contexts_.Capture(uc, &thread);
  if (!snapshot)
    return snapshot.error();
  report::Captured(uc.request(), uc.id(), **snapshot,
                   contexts_.counters().last_capture_ns);
  return (*snapshot)->id();
}

void ebbrt::Node::BreakpointHit(UnikernelContext& uc, UcThread& thread) {
  auto snapshot = contexts_.Capture(uc, &thread);
  if (snapshot)
    report::Captured(uc.request(), uc.id(), **snapshot,
                     contexts_.counters().last_capture_ns);
  else
    report::Error(uc.request(), uc.id(), "memory-limit",
                  "no snapshot could be taken at the breakpoint");
}

void ebbrt::Node::export_snapshot() {
  auto* snapshot = contexts_.FindSnapshot(header_.context & ~kSnapshotContext);
  if (snapshot)
    report::Exported(header_.id, header_.context, *snapshot);
  else
    report::Error(header_.id, header_.context, "bad-request",
                  "no such snapshot");
}

void ebbrt::Node::begin_import() {
  import_filled_ = 0;
  auto scarce = PageAllocator::UncachedFrames() * kPageSize <
                2 * header_.length + kKernelReserve * kPageSize;
  if (!scarce)
    import_.reset(new (std::nothrow) std::byte[header_.length + 1]);
  if (import_)
    target_ = Target::kImport;
  else
    report::Error(header_.id, header_.context, "memory-limit",
                  "the node has no memory for the frame");
}

void ebbrt::Node::import_snapshot() {
  StateCursor in({import_.get(), import_filled_});
  auto state = in.TakeBytes(in.Take32());
  Vector<MemoryImage::Page> pages;
  auto count = in.ok() ? (import_filled_ - state.size()) / 16 : 0;
  pages.Reserve(count);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    auto address = in.Take64() * kPageSize;
    auto index = in.Take64();
    auto pfn = ~index ? shared_region::At(index) : Pfn::None();
    in.Expect(!~index || pfn.valid());
    pages.PushBack({address, pfn});
  }
  Result<RefPtr<Snapshot>> snapshot = Errno::kBadMessage;
  if (in.complete())
    snapshot = contexts_.Import(header_.context & ~kSnapshotContext, state,
                                std::move(pages));
  if (snapshot) {
    report::Captured(header_.id, header_.context, **snapshot, 0);
    return;
  }
  auto error = snapshot.error();
  report::Error(header_.id, header_.context,
                error == Errno::kNoMemory ? "memory-limit" : "bad-request",
                error == Errno::kNoMemory  ? "no memory for the snapshot"
                : error == Errno::kNoEntry ? "no such parent snapshot"
                : error == Errno::kInvalid ? "the snapshot is of another image"
                : error == Errno::kNotSupported
                    ? "the snapshot is of another format version"
                    : "the snapshot is damaged");
}

void ebbrt::Node::set_breakpoint() {
  StateCursor in({import_.get(), import_filled_});
  auto address = in.Take64();
  auto* uc = contexts_.Find(header_.context);
  if (!uc || !in.complete() || address >= AddressSpace::kHighest) {
    report::Error(header_.id, header_.context, "bad-request",
                  "BREAK takes a context and an address of it");
    return;
  }
  uc->set_breakpoint(address);
  report::Done(header_.id, header_.context);
}
