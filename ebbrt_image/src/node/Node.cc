#include "node/Node.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "arch/Clock.h"
#include "arch/DebugConsole.h"
#include "boot/BootInfo.h"
#include "entropy/Entropy.h"
#include "files/StateCursor.h"
#include "lib/Assert.h"
#include "lib/Vector.h"
#include "mm/SharedRegion.h"
#include "net/TcpIp.h"
#include "node/Listing.h"
#include "node/Report.h"
#include "uc/SnapshotCodec.h"

namespace {

// A runtime that never comes up is a broken image: no use trying for ever.
constexpr unsigned kMaxFailedStarts = 3;

ebbrt::Node* node;

ebbrt::UcLimits LimitsFromCommandLine() {
  ebbrt::UcLimits limits;
  auto bytes = ebbrt::boot_info::NumberOption("seuss.uc_memory", 0);
  if (bytes)
    limits.frames = bytes / ebbrt::kPageSize;
  return limits;
}

}  // namespace

ebbrt::Node::Node(const Archive& archive)
    : root_(archive, LimitsFromCommandLine()),
      many_(boot_info::Option("seuss.mode") == "node") {
  node = this;
  Contexts::ClassInit(root_);
  if (!many_)
    contexts->set_end_handler(&ReplaceOnlyUc);
}

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
  case FrameType::kBegin:
  case FrameType::kRest:
  case FrameType::kUnload:
    target_ = Target::kUc;
    frame_ = IncomingFrame(header);
    break;
  case FrameType::kImport:
  case FrameType::kBreak:
  case FrameType::kList:
  case FrameType::kAllow:
    begin_bytes();
    break;
  default:
    break;
  }
}

void ebbrt::Node::AddPayload(std::span<const std::byte> bytes) {
  switch (target_) {
  case Target::kSync: {
    auto size = std::min(bytes.size(), sizeof(sync_) - sync_filled_);
    std::memcpy(reinterpret_cast<std::byte*>(&sync_) + sync_filled_,
                bytes.data(), size);
    sync_filled_ += size;
    break;
  }
  case Target::kUc:
    if (!frame_.Add(bytes)) {
      target_ = Target::kNothing;
      report::Error(header_.id, header_.context, "memory-limit",
                    "the node has no memory for the request");
    }
    break;
  case Target::kBytes:
    // The parser gives no more than the header says.
    std::memcpy(bytes_.get() + bytes_filled_, bytes.data(), bytes.size());
    bytes_filled_ += bytes.size();
    break;
  case Target::kNothing:
    break;
  }
}

void ebbrt::Node::EndFrame() {
  auto id = header_.id;
  auto context = header_.context;
  switch (header_.type) {
  case FrameType::kSync:
    if (sync_filled_ == sizeof(sync_) && header_.length == sizeof(sync_))
      synchronise();
    else
      report::Error(id, 0, "bad-request", "SYNC of a wrong size");
    break;
  case FrameType::kOptimise:
  case FrameType::kLoad:
  case FrameType::kInvoke:
  case FrameType::kBegin:
  case FrameType::kRest:
  case FrameType::kUnload:
    if (rights_id_ == id)
      frame_.set_rights(std::move(rights_));
    rights_.reset();
    if (target_ == Target::kUc)
      forward();
    break;
  case FrameType::kStatusRequest:
    report::Status(id, root_, contexts->Find(target_context()));
    break;
  case FrameType::kShutdown:
    kprintf("node: shut down by the host\n");
    power::Off(power::kSuccess);
  case FrameType::kBoot:
    boot();
    break;
  case FrameType::kCapture:
    On(Contexts::CoreOf(context),
       [context, id] { contexts->Capture(context, id); });
    break;
  case FrameType::kDeploy:
    On(Contexts::ChooseCore(root_), [context, id] {
      contexts->DeployIdle(context & ~kSnapshotContext, id);
    });
    break;
  case FrameType::kEnd:
    if (many_)
      On(Contexts::CoreOf(context),
         [context, id] { contexts->End(context, id); });
    else
      report::Error(id, context, "bad-request", "the only context stays");
    break;
  case FrameType::kEvict:
    if (root_.snapshots().Evict(context & ~kSnapshotContext))
      report::Done(id, context);
    else
      report::Error(id, context, "bad-request", "no such snapshot");
    break;
  case FrameType::kExport:
    export_snapshot();
    break;
  case FrameType::kImport:
    if (target_ == Target::kBytes)
      import_snapshot();
    break;
  case FrameType::kBreak:
    if (target_ == Target::kBytes)
      set_breakpoint();
    break;
  case FrameType::kList:
    if (target_ == Target::kBytes)
      list();
    break;
  case FrameType::kAllow:
    if (target_ == Target::kBytes)
      allow();
    break;
  default:
    report::Error(id, 0, "bad-request", "unknown frame type");
  }
  target_ = Target::kNothing;
  bytes_.reset();
}

void ebbrt::Node::ReplaceOnlyUc(uint32_t, bool was_ready, const char* message) {
  node->failed_starts_ = was_ready ? 0 : node->failed_starts_ + 1;
  kbugon(node->failed_starts_ == kMaxFailedStarts,
         "the runtime ended %u times before it was ready: %s", kMaxFailedStarts,
         message);
  node->start_only_uc();
}

void ebbrt::Node::start_only_uc() {
  only_uc_ = contexts->Boot(0);
  kbugon(!only_uc_, "the runtime cannot be started");
}

uint32_t ebbrt::Node::target_context() const {
  return !many_ && header_.context == 0 ? only_uc_ : header_.context;
}

void ebbrt::Node::forward() {
  auto context = target_context();
  if (!context) {
    report::Error(header_.id, 0, "bad-request",
                  many_ ? "name a context or a snapshot"
                        : "no SYNC frame came yet");
    return;
  }
  if (context & kSnapshotContext) {
    On(Contexts::ChooseCore(root_), [snapshot = context & ~kSnapshotContext,
                                     frame = std::move(frame_)]() mutable {
      contexts->Deploy(snapshot, std::move(frame));
    });
    return;
  }
  On(Contexts::CoreOf(context), [context, frame = std::move(frame_)]() mutable {
    contexts->Deliver(context, std::move(frame));
  });
}

void ebbrt::Node::synchronise() {
  clock::Sync(sync_.wall_clock_ns, sync_.generation);
  Entropy::Reseed(sync_.seed);
  // The seed is for the kernel alone.
  std::memset(sync_.seed, 0, sizeof(sync_.seed));
  // A machine with one UC hears this when it was restored. The other sides know
  // nothing of its connections then.
  if (!many_ && TcpIp::Instance())
    TcpIp::Instance()->Forget();
  if (many_)
    return;
  if (!only_uc_) {
    start_only_uc();
    return;
  }
  IncomingFrame frame(header_);
  if (frame.Add(std::as_bytes(std::span(&sync_, 1))))
    contexts->Deliver(only_uc_, std::move(frame));
  else
    report::Error(header_.id, only_uc_, "memory-limit",
                  "the node has no memory for SYNC");
}

void ebbrt::Node::boot() {
  if (!many_)
    report::Error(header_.id, 0, "bad-request",
                  "this node has one context only");
  else if (!contexts->Boot(header_.id))
    report::Error(header_.id, 0, "memory-limit",
                  "the node has no memory for another context");
}

void ebbrt::Node::begin_bytes() {
  bytes_filled_ = 0;
  auto scarce = PageAllocator::UncachedFrames() * kPageSize <
                2 * header_.length + kKernelReserve * kPageSize;
  if (!scarce)
    bytes_.reset(new (std::nothrow) std::byte[header_.length + 1]);
  if (bytes_)
    target_ = Target::kBytes;
  else
    report::Error(header_.id, header_.context, "memory-limit",
                  "the node has no memory for the frame");
}

void ebbrt::Node::export_snapshot() {
  auto snapshot = root_.snapshots().Find(header_.context & ~kSnapshotContext);
  if (snapshot)
    report::Exported(header_.id, header_.context, *snapshot);
  else
    report::Error(header_.id, header_.context, "bad-request",
                  "no such snapshot");
}

void ebbrt::Node::import_snapshot() {
  auto fail = [this](const char* kind, const char* message) {
    report::Error(header_.id, header_.context, kind, message);
  };
  StateCursor in({bytes_.get(), bytes_filled_});
  auto state = in.TakeBytes(in.Take32());
  struct Record {
    uint64_t page;
    uint64_t index;
  };
  auto count = in.ok() ? (bytes_filled_ - sizeof(uint32_t) - state.size()) /
                             sizeof(Record)
                       : 0;
  Vector<MemoryImage::Page> pages;
  pages.Reserve(count);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    auto page = in.Take64();
    auto index = in.Take64();
    auto zero = index == ~uint64_t{0};
    auto pfn = zero ? Pfn::None() : shared_region::At(index);
    in.Expect((zero || pfn.valid()) &&
              page < AddressSpace::kHighest / kPageSize);
    pages.PushBack({page * kPageSize, pfn});
  }
  if (!in.complete()) {
    fail("bad-request", "the snapshot is damaged");
    return;
  }
  RefPtr<Snapshot> parent;
  if (header_.context) {
    parent = root_.snapshots().Find(header_.context & ~kSnapshotContext);
    if (!parent) {
      fail("bad-request", "no such parent snapshot");
      return;
    }
  }
  const auto& limits = root_.limits();
  auto decoded = snapshot_codec::Decode(state, root_.archive(),
                                        {limits.tmp_pages, limits.descriptors});
  if (!decoded) {
    fail("bad-request", decoded.error() == Errno::kInvalid
                            ? "the snapshot is of another image"
                        : decoded.error() == Errno::kNotSupported
                            ? "the snapshot is of another format version"
                            : "the snapshot is damaged");
    return;
  }
  auto memory = MemoryImage::Build(parent ? &parent->memory() : nullptr,
                                   std::move(decoded->regions), pages);
  if (!memory) {
    fail("memory-limit", "no memory for the snapshot, or a page of it lies "
                         "outside its regions");
    return;
  }
  auto snapshot =
      MakeRef<Snapshot>(root_.snapshots().NextNumber(), std::move(parent),
                        std::move(memory), std::move(decoded->state));
  root_.snapshots().Add(snapshot);
  report::Captured(header_.id, header_.context, *snapshot, 0);
}

void ebbrt::Node::set_breakpoint() {
  StateCursor in({bytes_.get(), bytes_filled_});
  auto address = in.Take64();
  auto context = header_.context;
  auto id = header_.id;
  if (!in.complete() || address >= AddressSpace::kHighest)
    report::Error(id, context, "bad-request", "BREAK takes an address of a UC");
  else
    On(Contexts::CoreOf(context),
       [context, id, address] { contexts->Break(context, id, address); });
}

void ebbrt::Node::allow() {
  rights_ = NetworkRights::Parse({bytes_.get(), bytes_filled_});
  rights_id_ = header_.id;
  if (!rights_)
    report::Error(header_.id, 0, "bad-request", "the list of hosts is damaged");
}

void ebbrt::Node::list() {
  StateCursor in({bytes_.get(), bytes_filled_});
  auto id = header_.id;
  Listing::Place from;
  // An empty object asks for the first page.
  if (bytes_filled_ > 2) {
    from.snapshot = in.Take32();
    from.context = in.Take32();
    if (!in.complete()) {
      report::Error(id, 0, "bad-request", "LIST takes {} or two numbers");
      return;
    }
  }
  Listing(root_).Send(id, from);
}
