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
  auto ended = std::move(uc_);
  failed_starts_ = ended->channel().ready() ? 0 : failed_starts_ + 1;
  kbugon(failed_starts_ == kMaxFailedStarts,
         "the runtime ended %u times before it was ready: %s", kMaxFailedStarts,
         ended->end_message());
  // First of all, so that requests that come meanwhile find a UC.
  start_uc();
  auto kind = Name(ended->end_kind());
  auto serving = ended->request() != 0;
  if (serving)
    send_error(ended->request(), ended->id(), kind, ended->end_message());
  ended->channel().ForEachWaiting([&](uint64_t id) {
    send_error(id, ended->id(), kind, ended->end_message());
  });
  if (serving)
    return;
  char buffer[512];
  JsonWriter json(buffer);
  json.BeginObject();
  json.Text("kind", kind);
  json.Text("message", ended->end_message());
  json.EndObject();
  messenger->SendText(FrameType::kEnded, 0, ended->id(), json.view());
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
