// The node: answers the host, keeps a UC ready for its requests, and starts a
// new one when that ends.
#ifndef EBBRT_NODE_NODE_H_
#define EBBRT_NODE_NODE_H_

#include <cstdint>
#include <memory>

#include "files/Archive.h"
#include "messenger/Messenger.h"
#include "uc/UnikernelContext.h"

namespace ebbrt {

class Node final : public FrameReceiver, public UcObserver {
 public:
  explicit Node(const Archive& archive);

  void BeginFrame(const FrameHeader& header) override;
  void AddPayload(std::span<const std::byte> bytes) override;
  void EndFrame() override;
  void ContextEnded(UnikernelContext& uc) override;

 private:
  // What becomes of the payload that is coming in.
  enum class Target { kSync, kUc, kNothing };

  void synchronise();
  void start_uc();
  void send_status(uint64_t id);
  void send_error(uint64_t id, uint32_t context, const char* kind,
                  const char* message);

  const Archive& archive_;
  UcLimits limits_;
  std::unique_ptr<UnikernelContext> uc_;
  uint32_t next_id_ = 1;
  unsigned failed_starts_ = 0;

  FrameHeader header_;
  Target target_ = Target::kNothing;
  SyncPayload sync_;
  size_t sync_filled_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NODE_NODE_H_
