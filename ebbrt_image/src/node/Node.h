// The node: answers the host. In vm isolation it keeps one UC ready and starts
// a new one when that ends; as a node of many (seuss.mode=node on the command
// line) it boots, deploys and captures UCs as the host says, on all cores. Runs
// on core 0 and hands work to the core it concerns.
#ifndef EBBRT_NODE_NODE_H_
#define EBBRT_NODE_NODE_H_

#include <cstdint>
#include <memory>

#include "files/Archive.h"
#include "messenger/IncomingFrame.h"
#include "messenger/Messenger.h"
#include "node/Contexts.h"

namespace ebbrt {

class Node final : public FrameReceiver {
 public:
  explicit Node(const Archive& archive);

  void BeginFrame(const FrameHeader& header) override;
  void AddPayload(std::span<const std::byte> bytes) override;
  void EndFrame() override;

 private:
  // What becomes of the payload that is coming in.
  enum class Target { kSync, kUc, kBytes, kNothing };

  // In vm isolation: the one UC has ended, a new one comes.
  static void ReplaceOnlyUc(uint32_t context, bool was_ready,
                            const char* message);
  void start_only_uc();

  // Runs function() on a core; on core 0 if there is no such core, where what
  // it looks for will not be found.
  template <class F> static void On(unsigned core, F function) {
    if (core == 0 || core >= cpu::Count())
      function();
    else
      EventManager::SpawnRemote(std::move(function), core);
  }

  uint32_t target_context() const;
  void begin_bytes();
  void forward();
  void synchronise();
  void boot();
  void import_snapshot();
  void export_snapshot();
  void set_breakpoint();
  void list();
  void allow();

  ContextsRoot root_;
  bool many_;
  uint32_t only_uc_ = 0;  // in vm isolation; 0 before the first SYNC
  unsigned failed_starts_ = 0;

  FrameHeader header_;
  Target target_ = Target::kNothing;
  IncomingFrame frame_;
  SyncPayload sync_;
  size_t sync_filled_ = 0;
  // Of the request that follows, and its id.
  std::unique_ptr<NetworkRights> rights_;
  uint64_t rights_id_ = 0;
  // The payload of an IMPORT, BREAK, LIST or ALLOW.
  std::unique_ptr<std::byte[]> bytes_;
  size_t bytes_filled_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NODE_NODE_H_
