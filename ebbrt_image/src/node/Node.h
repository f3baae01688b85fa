// The node: answers the host. In vm isolation it keeps one UC ready and starts
// a new one when that ends; as a node of many (seuss.mode=node on the command
// line) it boots, deploys and captures UCs as the host says.
#ifndef EBBRT_NODE_NODE_H_
#define EBBRT_NODE_NODE_H_

#include <cstdint>
#include <memory>

#include "files/Archive.h"
#include "messenger/Messenger.h"
#include "node/Contexts.h"

namespace ebbrt {

class Node final : public FrameReceiver, public UcObserver {
 public:
  explicit Node(const Archive& archive);

  void BeginFrame(const FrameHeader& header) override;
  void AddPayload(std::span<const std::byte> bytes) override;
  void EndFrame() override;
  void ContextEnded(UnikernelContext& uc) override;
  Result<uint32_t> CaptureAsked(UnikernelContext& uc,
                                UcThread& thread) override;
  void BreakpointHit(UnikernelContext& uc, UcThread& thread) override;

 private:
  // What becomes of the payload that is coming in.
  enum class Target { kSync, kUc, kImport, kNothing };

  // The UC that a frame is for, deployed if need be; null if that was answered
  // with an error.
  UnikernelContext* find_target();
  UnikernelContext* deploy(uint32_t snapshot);
  void forward();
  void synchronise();
  void start_only_uc();
  void boot();
  void capture();
  void end();
  void export_snapshot();
  void begin_import();
  void import_snapshot();
  void set_breakpoint();

  Contexts contexts_;
  bool many_;
  uint32_t only_uc_ = 0;  // in vm isolation; 0 before the first SYNC
  unsigned failed_starts_ = 0;

  FrameHeader header_;
  Target target_ = Target::kNothing;
  uint32_t target_uc_ = 0;
  bool target_is_new_ = false;
  SyncPayload sync_;
  size_t sync_filled_ = 0;
  // The payload of an IMPORT or BREAK that is coming in.
  std::unique_ptr<std::byte[]> import_;
  size_t import_filled_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NODE_NODE_H_
