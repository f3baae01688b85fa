#include "node/Contexts.h"

#include "arch/Clock.h"
#include "lib/String.h"
#include "node/Report.h"

uint32_t ebbrt::ContextsRoot::CountContexts() const {
  uint32_t count = 0;
  for (unsigned core = 0; core < cpu::Count(); ++core)
    count += count_[core];
  return count;
}

void ebbrt::Contexts::ClassInit(ContextsRoot& root) {
  Create(&root, kContextsId);
}

unsigned ebbrt::Contexts::ChooseCore(ContextsRoot& root) {
  unsigned best = 0;
  for (unsigned core = 1; core < cpu::Count(); ++core) {
    auto lighter = root.load(core) < root.load(best);
    auto fewer = root.load(core) == root.load(best) &&
                 root.count(core) < root.count(best);
    if (lighter || fewer)
      best = core;
  }
  ++root.load_[best];
  return best;
}

uint32_t ebbrt::Contexts::Boot(uint64_t request) {
  auto uc = std::make_unique<UnikernelContext>(next_id(), root_.limits(),
                                               root_.archive(), *this);
  const std::string_view arguments[] = {ebbrt::UcFiles::kProgram};
  if (!uc->Start(ebbrt::UcFiles::kProgram, arguments, {}))
    return 0;
  uc->set_boot_request(request);
  auto id = uc->id();
  contexts_.Insert(id, std::move(uc));
  ++root_.count_[cpu::Index()];
  return id;
}

void ebbrt::Contexts::Deploy(uint32_t snapshot, IncomingFrame frame) {
  auto* uc = deploy_or_report(snapshot, frame.header().id);
  if (!uc) {
    --root_.load_[cpu::Index()];
    return;
  }
  uc->channel().Deliver(std::move(frame));
  uc->OwnAhead();
  uc->Resume();
}

void ebbrt::Contexts::DeployIdle(uint32_t snapshot, uint64_t id) {
  auto* uc = deploy_or_report(snapshot, id);
  --root_.load_[cpu::Index()];
  if (!uc)
    return;
  // Before anything that it does: it may end at once.
  report::Deployed(id, uc->id(), uc->TakeDeployNs());
  uc->Resume();
}

void ebbrt::Contexts::Deliver(uint32_t context, IncomingFrame frame) {
  auto* uc = find_or_report(context, frame.header().id);
  if (!uc)
    return;
  if (frame.header().type != FrameType::kSync)
    ++root_.load_[cpu::Index()];
  uc->channel().Deliver(std::move(frame));
}

void ebbrt::Contexts::Capture(uint32_t context, uint64_t id) {
  auto* uc = find_or_report(context, id);
  if (!uc)
    return;
  auto snapshot = capture(*uc, nullptr);
  if (snapshot) {
    // The request that comes next is to be quick as well.
    uc->OwnAhead();
    report::Captured(id, context, **snapshot, root_.last_capture_ns);
  } else if (snapshot.error() == Errno::kBusy)
    report::Error(id, context, "busy",
                  "the context is in the middle of a request");
  else
    report::Error(id, context, "memory-limit",
                  "the node has no memory for a snapshot");
}

void ebbrt::Contexts::End(uint32_t context, uint64_t id) {
  auto* uc = find_or_report(context, id);
  if (!uc)
    return;
  uc->End(EndKind::kStopped, "ended by the host");
  endings_.PushBack({context, id});
}

void ebbrt::Contexts::Break(uint32_t context, uint64_t id, uint64_t address) {
  auto* uc = find_or_report(context, id);
  if (!uc)
    return;
  uc->set_breakpoint(address);
  report::Done(id, context);
}

ebbrt::UnikernelContext* ebbrt::Contexts::Find(uint32_t context) {
  auto* uc = contexts_.Find(context);
  return uc ? uc->get() : nullptr;
}

void ebbrt::Contexts::ContextEnded(UnikernelContext& uc) {
  auto context = uc.id();
  auto stopped = uc.end_kind() == EndKind::kStopped;
  auto was_ready = uc.channel().ready();
  auto boot_request = was_ready ? 0 : uc.boot_request();
  auto kind = Name(uc.end_kind());
  String message(uc.end_message());
  Vector<uint64_t> unanswered;
  auto serving = uc.serving();
  if (serving)
    unanswered.PushBack(uc.request());
  uc.channel().ForEachWaiting(
      [&unanswered](uint64_t id) { unanswered.PushBack(id); });
  root_.load_[cpu::Index()] -= static_cast<uint32_t>(unanswered.size());
  --root_.count_[cpu::Index()];
  // The old one may hold all memory, so it goes before a new one comes; and
  // that comes before anything blocks, so that requests always find a UC.
  contexts_.Erase(context);
  if (end_handler_)
    end_handler_(context, was_ready, message.c_str());
  for (auto id : unanswered)
    report::Error(id, context, kind, message.c_str());
  if (!serving && !stopped)
    report::Ended(boot_request, context, kind, message.c_str());
  report_endings(context);
}

void ebbrt::Contexts::report_endings(uint32_t context) {
  // Reporting blocks, and meanwhile others come and go.
  Vector<uint64_t> ids;
  for (size_t i = endings_.size(); i-- > 0;) {
    if (endings_[i].context != context)
      continue;
    ids.PushBack(endings_[i].id);
    endings_.EraseUnordered(i);
  }
  for (auto id : ids)
    report::Done(id, context);
}

void ebbrt::Contexts::RequestEnded(UnikernelContext&) {
  --root_.load_[cpu::Index()];
}

ebbrt::Result<uint32_t> ebbrt::Contexts::CaptureAsked(UnikernelContext& uc,
                                                      UcThread& thread) {
  // The only context is captured from outside, with the machine.
  if (end_handler_)
    return Errno::kNotSupported;
  auto snapshot = capture(uc, &thread);
  if (!snapshot)
    return snapshot.error();
  report::Captured(uc.request(), uc.id(), **snapshot, root_.last_capture_ns);
  return (*snapshot)->id();
}

void ebbrt::Contexts::BreakpointHit(UnikernelContext& uc, UcThread& thread) {
  auto snapshot = capture(uc, &thread);
  if (snapshot)
    report::Captured(uc.request(), uc.id(), **snapshot, root_.last_capture_ns);
  else
    report::Error(uc.request(), uc.id(), "memory-limit",
                  "no snapshot could be taken at the breakpoint");
}

ebbrt::Result<ebbrt::UnikernelContext*>
ebbrt::Contexts::deploy(uint32_t snapshot) {
  auto started = clock::Uptime();
  auto origin = root_.snapshots().Find(snapshot);
  if (!origin)
    return Errno::kNoEntry;
  if (!UnikernelContext::HasRoomFor(*origin))
    return Errno::kNoMemory;
  auto uc = std::make_unique<UnikernelContext>(
      next_id(), root_.limits(), root_.archive(), *this, std::move(origin));
  if (!uc->valid())
    return Errno::kNoMemory;
  // No two UCs of a snapshot may draw the same random numbers: the runner
  // renews what it keeps itself when it sees this frame.
  SyncPayload sync = {clock::Wall(), ++root_.deploys, {}};
  IncomingFrame frame(
      FrameHeader::Make(FrameType::kSync, 0, uc->id(), sizeof(sync)));
  if (!frame.Add(std::as_bytes(std::span(&sync, 1))))
    return Errno::kNoMemory;
  uc->channel().Deliver(std::move(frame));
  auto* deployed = uc.get();
  contexts_.Insert(deployed->id(), std::move(uc));
  ++root_.count_[cpu::Index()];
  auto took = clock::Uptime() - started;
  root_.last_deploy_ns = took;
  deployed->set_deploy_ns(took);
  return deployed;
}

ebbrt::UnikernelContext* ebbrt::Contexts::deploy_or_report(uint32_t snapshot,
                                                           uint64_t id) {
  auto uc = deploy(snapshot);
  if (uc)
    return *uc;
  auto unknown = uc.error() == Errno::kNoEntry;
  report::Error(id, kSnapshotContext | snapshot,
                unknown ? "bad-request" : "memory-limit",
                unknown ? "no such snapshot"
                        : "the node has no memory for another context");
  return nullptr;
}

ebbrt::UnikernelContext* ebbrt::Contexts::find_or_report(uint32_t context,
                                                         uint64_t id) {
  auto* uc = Find(context);
  if (!uc)
    report::Error(id, context, "bad-request", "no such context");
  return uc;
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Snapshot>>
ebbrt::Contexts::capture(UnikernelContext& uc, UcThread* self) {
  auto started = clock::Uptime();
  auto snapshot = uc.Capture(root_.snapshots().NextNumber(), self);
  if (!snapshot)
    return snapshot.error();
  root_.snapshots().Add(*snapshot);
  ++root_.captures;
  root_.last_capture_ns = clock::Uptime() - started;
  return snapshot;
}

uint32_t ebbrt::Contexts::next_id() {
  uint32_t id;
  do {
    ++last_sequence_;
    id = (last_sequence_ * kMaxCores + cpu::Index()) & ~kSnapshotContext;
  } while (id < kMaxCores || contexts_.Contains(id));
  return id;
}
