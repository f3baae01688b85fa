#include "node/Contexts.h"

#include "arch/Clock.h"
#include "messenger/Frame.h"
#include "uc/SnapshotCodec.h"

namespace {

constexpr std::string_view kProgram = "/bin/python";

}  // namespace

ebbrt::Result<ebbrt::UnikernelContext*> ebbrt::Contexts::Boot() {
  auto uc = std::make_unique<UnikernelContext>(next_id(), limits_, archive_,
                                               observer_);
  const std::string_view arguments[] = {kProgram};
  auto started = uc->Start(kProgram, arguments, {});
  if (!started)
    return started.error();
  auto* booted = uc.get();
  contexts_.Insert(booted->id(), std::move(uc));
  return booted;
}

ebbrt::Result<ebbrt::UnikernelContext*>
ebbrt::Contexts::Deploy(uint32_t snapshot) {
  auto started = clock::Uptime();
  auto* origin = snapshots_.Find(snapshot);
  if (!origin)
    return Errno::kNoEntry;
  if (PageAllocator::UncachedFrames() <= kKernelReserve)
    return Errno::kNoMemory;
  auto uc = std::make_unique<UnikernelContext>(next_id(), limits_, archive_,
                                               observer_, *origin);
  if (!uc->valid())
    return Errno::kNoMemory;
  // No two UCs of a snapshot may draw the same random numbers: the runner
  // renews what it keeps itself when it sees this frame.
  SyncPayload sync = {clock::Wall(), ++counters_.deploys, {}};
  auto& channel = uc->channel();
  channel.BeginFrame(
      FrameHeader::Make(FrameType::kSync, 0, uc->id(), sizeof(sync)));
  if (!channel.AddPayload(std::as_bytes(std::span(&sync, 1))))
    return Errno::kNoMemory;
  channel.EndFrame();
  auto* deployed = uc.get();
  contexts_.Insert(deployed->id(), std::move(uc));
  counters_.last_deploy_ns = clock::Uptime() - started;
  return deployed;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Snapshot>>
ebbrt::Contexts::Capture(UnikernelContext& uc, UcThread* self) {
  auto started = clock::Uptime();
  auto snapshot = uc.Capture(last_snapshot_ + 1, self);
  if (!snapshot)
    return snapshot.error();
  ++last_snapshot_;
  snapshots_.Insert(last_snapshot_, *snapshot);
  ++counters_.captures;
  counters_.last_capture_ns = clock::Uptime() - started;
  return snapshot;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Snapshot>>
ebbrt::Contexts::Import(uint32_t parent, std::span<const std::byte> state,
                        Vector<MemoryImage::Page> pages) {
  RefPtr<Snapshot> below;
  if (parent) {
    auto* found = snapshots_.Find(parent);
    if (!found)
      return Errno::kNoEntry;
    below = *found;
  }
  auto decoded = snapshot_codec::Decode(
      state, archive_, {limits_.tmp_pages, limits_.descriptors});
  if (!decoded)
    return decoded.error();
  auto memory =
      MemoryImage::Build(below ? &below->memory() : nullptr,
                         std::move(decoded->regions), std::move(pages));
  if (!memory)
    return Errno::kNoMemory;
  auto snapshot =
      MakeRef<Snapshot>(++last_snapshot_, std::move(below), std::move(memory),
                        std::move(decoded->state));
  snapshots_.Insert(last_snapshot_, snapshot);
  return snapshot;
}

ebbrt::Snapshot* ebbrt::Contexts::FindSnapshot(uint32_t number) {
  auto* snapshot = snapshots_.Find(number);
  return snapshot ? snapshot->get() : nullptr;
}

ebbrt::UnikernelContext* ebbrt::Contexts::Find(uint32_t id) {
  auto* uc = contexts_.Find(id);
  return uc ? uc->get() : nullptr;
}

void ebbrt::Contexts::Remove(UnikernelContext& uc) {
  contexts_.Erase(uc.id());
}

uint32_t ebbrt::Contexts::next_id() {
  // Numbers are reused only after two thousand million others.
  do
    last_id_ = (last_id_ + 1) & ~kSnapshotContext;
  while (last_id_ == 0 || contexts_.Contains(last_id_));
  return last_id_;
}
