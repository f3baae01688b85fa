#include "node/Report.h"

#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "lib/JsonWriter.h"
#include "messenger/Messenger.h"
#include "mm/PageAllocator.h"
#include "net/NetworkStack.h"
#include "uc/SnapshotCodec.h"

namespace {

constexpr size_t kSmall = 512;
constexpr size_t kStatus = 1024;
// Half a frame for a snapshot's state, half for its pages.
constexpr uint64_t kMaxExported = ebbrt::FrameHeader::kMaxPayload / 2 - 64;

class MessengerSink final : public ebbrt::StateSink {
 public:
  void Write(std::span<const std::byte> bytes) override {
    ebbrt::messenger->Write(bytes);
  }
};

// Sends one object, whose members fill() writes.
template <size_t size, class Fill>
void Send(ebbrt::FrameType type, uint64_t id, uint32_t context, Fill fill) {
  char buffer[size];
  ebbrt::JsonWriter json(buffer);
  json.BeginObject();
  fill(json);
  json.EndObject();
  ebbrt::messenger->SendText(type, id, context, json.view());
}

}  // namespace

void ebbrt::report::WriteContext(JsonWriter& json, UnikernelContext& uc) {
  const auto& counters = uc.space().counters();
  json.BeginObject();
  json.Unsigned("id", uc.id());
  json.Unsigned("snapshot", uc.origin() ? uc.origin()->id() : 0);
  json.Unsigned("threads", uc.thread_count());
  json.Boolean("busy", uc.serving());
  json.Unsigned("owned_frames", uc.space().owned_frames());
  json.Unsigned("tables", uc.space().owned_tables());
  json.Unsigned("peak_frames", uc.space().peak_frames());
  json.Unsigned("demand_zero", counters.demand_zero);
  json.Unsigned("file_fill", counters.file_fill);
  json.Unsigned("native_copy", counters.native_copy);
  json.Unsigned("snapshot_copy", counters.snapshot_copy);
  json.Unsigned("ownership", counters.ownership);
  json.Unsigned("protection", counters.protection);
  json.Unsigned("ahead", counters.ahead);
  json.EndObject();
}

void ebbrt::report::WriteSnapshot(JsonWriter& json, Snapshot& snapshot) {
  json.BeginObject();
  json.Unsigned("id", snapshot.id());
  json.Unsigned("parent", snapshot.parent() ? snapshot.parent()->id() : 0);
  json.Unsigned("pages", snapshot.memory().own_pages());
  json.EndObject();
}

void ebbrt::report::Error(uint64_t id, uint32_t context, const char* kind,
                          const char* message) {
  Send<kSmall>(FrameType::kError, id, context, [&](JsonWriter& json) {
    json.Text("kind", kind);
    json.Text("message", message);
    json.Null("traceback");
  });
}

void ebbrt::report::Done(uint64_t id, uint32_t context) {
  Send<kSmall>(FrameType::kDone, id, context, [](JsonWriter&) {});
}

void ebbrt::report::Ended(uint64_t id, uint32_t context, const char* kind,
                          const char* message) {
  Send<kSmall>(FrameType::kEnded, id, context, [&](JsonWriter& json) {
    json.Text("kind", kind);
    json.Text("message", message);
  });
}

void ebbrt::report::Captured(uint64_t id, uint32_t context, Snapshot& snapshot,
                             uint64_t nanoseconds) {
  Send<kSmall>(FrameType::kCaptured, id, context, [&](JsonWriter& json) {
    json.Unsigned("snapshot", snapshot.id());
    json.Unsigned("parent", snapshot.parent() ? snapshot.parent()->id() : 0);
    json.Unsigned("pages", snapshot.memory().own_pages());
    json.Unsigned("ns", nanoseconds);
  });
}

void ebbrt::report::Deployed(uint64_t id, uint32_t context,
                             uint64_t nanoseconds) {
  Send<kSmall>(FrameType::kDeployed, id, context, [&](JsonWriter& json) {
    json.Unsigned("context", context);
    json.Unsigned("ns", nanoseconds);
  });
}

void ebbrt::report::Exported(uint64_t id, uint32_t context,
                             Snapshot& snapshot) {
  // Held, so that it lives on if it is evicted while this blocks.
  RefPtr<Snapshot> held(&snapshot);
  auto* parent = snapshot.parent() ? &snapshot.parent()->memory() : nullptr;
  uint64_t pages = 0;
  snapshot.memory().ForEachDifference(
      parent, [&pages](const MemoryImage::Page&) { ++pages; });
  struct Record {
    uint64_t page;
    uint64_t frame;
  };
  auto state = snapshot_codec::EncodedSize(snapshot, kMaxExported);
  if (!state || pages * sizeof(Record) > kMaxExported) {
    Error(id, context, "result-too-large",
          "the snapshot has too many pages or files for one frame");
    return;
  }
  auto size = static_cast<uint32_t>(*state);
  messenger->Begin(
      FrameType::kExported, id, context,
      static_cast<uint32_t>(sizeof(size) + size + pages * sizeof(Record)));
  messenger->Write(std::as_bytes(std::span(&size, 1)));
  MessengerSink sink;
  snapshot_codec::Encode(snapshot, sink);
  snapshot.memory().ForEachDifference(
      parent, [](const MemoryImage::Page& page) {
        Record record{page.address / kPageSize,
                      page.pfn.valid() ? page.pfn.number() : ~uint64_t{0}};
        messenger->Write(std::as_bytes(std::span(&record, 1)));
      });
  messenger->End();
}

void ebbrt::report::Status(uint64_t id, ContextsRoot& root,
                           UnikernelContext* uc) {
  Send<kStatus>(FrameType::kStatus, id, 0, [&](JsonWriter& json) {
    json.Text("kernel", "ebbrt");
    json.Unsigned("cores", cpu::Count());
    json.Unsigned("uptime_ns", clock::Uptime());
    json.Unsigned("wall_ns", clock::Wall());
    json.Unsigned("free_frames", PageAllocator::FreeFrames());
    json.Unsigned("total_frames", PageAllocator::TotalFrames());
    json.Unsigned("contexts", root.CountContexts());
    json.Unsigned("snapshots", root.snapshots().count());
    json.Unsigned("deploys", root.deploys);
    json.Unsigned("captures", root.captures);
    json.Unsigned("last_deploy_ns", root.last_deploy_ns);
    json.Unsigned("last_capture_ns", root.last_capture_ns);
    if (auto* stack = TcpIp::Instance()) {
      json.Unsigned("connections", stack->connections());
      json.Unsigned("frames_sent", NetworkStack::Sent());
      json.Unsigned("frames_received", NetworkStack::Received());
    }
    if (uc) {
      json.Key("uc");
      WriteContext(json, *uc);
    }
  });
}
