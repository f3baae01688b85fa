#include "node/Node.h"

#include <algorithm>
#include <cstring>

#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "arch/DebugConsole.h"
#include "boot/BootInfo.h"
#include "entropy/Entropy.h"
#include "lib/Assert.h"
#include "lib/JsonWriter.h"
#include "lib/String.h"
#include "lib/Vector.h"
#include "mm/PageAllocator.h"

namespace {

constexpr std::string_view kProgram = "/bin/python";
// A runtime that never comes up is a broken image: no use trying for ever.
constexpr unsigned kMaxFailedStarts = 3;

}  // namespace

ebbrt::Node::Node(const Archive& archive) : archive_(archive) {
  auto bytes = boot_info::NumberOption("seuss.uc_memory", 0);
  if (bytes)
    limits_.frames = bytes / kPageSize;
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
  case FrameType::kUnload:
    if (!uc_) {
      send_error(header.id, 0, "bad-request", "no SYNC frame came yet");
    } else if (header.context != 0 && header.context != uc_->id()) {
      send_error(header.id, header.context, "bad-request", "no such context");
    } else {
      target_ = Target::kUc;
      uc_->channel().BeginFrame(header);
    }
    break;
  case FrameType::kStatusRequest:
  case FrameType::kShutdown:
    break;
  default:
    send_error(header.id, 0, "bad-request", "unknown frame type");
  }
}

void ebbrt::Node::AddPayload(std::span<const std::byte> bytes) {
  if (target_ == Target::kSync) {
    auto size = std::min(bytes.size(), sizeof(sync_) - sync_filled_);
    std::memcpy(reinterpret_cast<std::byte*>(&sync_) + sync_filled_,
                bytes.data(), size);
    sync_filled_ += size;
  } else if (target_ == Target::kUc && !uc_->channel().AddPayload(bytes)) {
    target_ = Target::kNothing;
    send_error(header_.id, uc_->id(), "memory-limit",
               "the node has no memory for the request");
  }
}

void ebbrt::Node::EndFrame() {
  switch (header_.type) {
  case FrameType::kSync:
    if (sync_filled_ == sizeof(sync_) && header_.length == sizeof(sync_))
      synchronise();
    else
      send_error(header_.id, 0, "bad-request", "SYNC of a wrong size");
    break;
  case FrameType::kStatusRequest:
    send_status(header_.id);
    break;
  case FrameType::kShutdown:
    kprintf("node: shut down by the host\n");
    power::Off(power::kSuccess);
  default:
    if (target_ == Target::kUc)
      uc_->channel().EndFrame();
  }
  target_ = Target::kNothing;
}

void ebbrt::Node::ContextEnded(UnikernelContext& uc) {
  kassert(&uc == uc_.get());
  failed_starts_ = uc.channel().ready() ? 0 : failed_starts_ + 1;
  kbugon(failed_starts_ == kMaxFailedStarts,
         "the runtime ended %u times before it was ready: %s", kMaxFailedStarts,
         uc.end_message());
  auto context = uc.id();
  auto kind = Name(uc.end_kind());
  String message(uc.end_message());
  Vector<uint64_t> unanswered;
  auto serving = uc.request() != 0;
  if (serving)
    unanswered.PushBack(uc.request());
  uc.channel().ForEachWaiting(
      [&unanswered](uint64_t id) { unanswered.PushBack(id); });
  // The rest of a request that is coming in belongs to nobody now.
  if (target_ == Target::kUc) {
    unanswered.PushBack(header_.id);
    target_ = Target::kNothing;
  }
  // The old one may hold all memory, so it goes before the new one comes; and
  // that comes before anything blocks, so that requests always find a UC.
  uc_.reset();
  start_uc();
  for (auto id : unanswered)
    send_error(id, context, kind, message.c_str());
  if (serving)
    return;
  char buffer[512];
  JsonWriter json(buffer);
  json.BeginObject();
  json.Text("kind", kind);
  json.Text("message", message.view());
  json.EndObject();
  messenger->SendText(FrameType::kEnded, 0, context, json.view());
}

void ebbrt::Node::synchronise() {
  clock::Sync(sync_.wall_clock_ns, sync_.generation);
  Entropy::Reseed(sync_.seed);
  // The seed is for the kernel alone.
  std::memset(sync_.seed, 0, sizeof(sync_.seed));
  if (!uc_) {
    start_uc();
    return;
  }
  auto& channel = uc_->channel();
  channel.BeginFrame(header_);
  if (channel.AddPayload(std::as_bytes(std::span(&sync_, 1))))
    channel.EndFrame();
  else
    send_error(header_.id, uc_->id(), "memory-limit",
               "the node has no memory for SYNC");
}

void ebbrt::Node::start_uc() {
  uc_ =
      std::make_unique<UnikernelContext>(next_id_++, limits_, archive_, *this);
  const std::string_view arguments[] = {kProgram};
  auto started = uc_->Start(kProgram, arguments, {});
  kbugon(!started, "%.*s cannot be started: error %d",
         static_cast<int>(kProgram.size()), kProgram.data(),
         static_cast<int>(started.error()));
}

void ebbrt::Node::send_status(uint64_t id) {
  char buffer[1024];
  JsonWriter json(buffer);
  json.BeginObject();
  json.Text("kernel", "ebbrt");
  json.Unsigned("cores", cpu::Count());
  json.Unsigned("uptime_ns", clock::Uptime());
  json.Unsigned("wall_ns", clock::Wall());
  json.Unsigned("free_frames", PageAllocator::FreeFrames());
  json.Unsigned("total_frames", PageAllocator::TotalFrames());
  if (uc_) {
    const auto& counters = uc_->space().counters();
    json.Key("uc");
    json.BeginObject();
    json.Unsigned("id", uc_->id());
    json.Unsigned("threads", uc_->thread_count());
    json.Unsigned("owned_frames", uc_->space().owned_frames());
    json.Unsigned("demand_zero", counters.demand_zero);
    json.Unsigned("file_fill", counters.file_fill);
    json.Unsigned("native_copy", counters.native_copy);
    json.Unsigned("snapshot_copy", counters.snapshot_copy);
    json.EndObject();
  }
  json.EndObject();
  messenger->SendText(FrameType::kStatus, id, 0, json.view());
}

void ebbrt::Node::send_error(uint64_t id, uint32_t context, const char* kind,
                             const char* message) {
  char buffer[512];
  JsonWriter json(buffer);
  json.BeginObject();
  json.Text("kind", kind);
  json.Text("message", message);
  json.Null("traceback");
  json.EndObject();
  messenger->SendText(FrameType::kError, id, context, json.view());
}
