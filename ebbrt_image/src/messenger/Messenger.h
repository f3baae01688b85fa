// Frames to and from the host. Frames leave whole, in the order in which their
// senders got hold of the channel. Any core sends what fits a buffer of the
// device at once; core 0 sends what is longer, or has to wait, for all.
#ifndef EBBRT_MESSENGER_MESSENGER_H_
#define EBBRT_MESSENGER_MESSENGER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "arch/Cpu.h"
#include "arch/SpinLock.h"
#include "ebb/EbbRef.h"
#include "ebb/SharedEbb.h"
#include "ebb/StaticIds.h"
#include "event/WaitQueue.h"
#include "messenger/Frame.h"
#include "messenger/FrameParser.h"
#include "virtio/VirtioConsole.h"

namespace ebbrt {

// Who gets the host's frames.
class FrameReceiver {
 public:
  virtual ~FrameReceiver() = default;
  // A header has come; then its payload, piece by piece; then the end.
  virtual void BeginFrame(const FrameHeader& header) = 0;
  virtual void AddPayload(std::span<const std::byte> bytes) = 0;
  virtual void EndFrame() = 0;
};

class Messenger : public SharedEbb<Messenger> {
 public:
  // False when the machine has no console.
  static bool ClassInit(FrameReceiver& receiver);
  static bool Available();

  // Sends one frame; blocks the event while the host does not read.
  void Send(FrameType type, uint64_t id, uint32_t context,
            std::span<const std::byte> payload);
  void SendText(FrameType type, uint64_t id, uint32_t context,
                std::string_view text);

  // For payloads that are not in one piece: between Begin and End the channel
  // belongs to the caller, who writes exactly `length` bytes.
  void Begin(FrameType type, uint64_t id, uint32_t context, uint32_t length,
             uint32_t time = 0);
  void Write(std::span<const std::byte> bytes);
  void End();

 private:
  // What a core gathers before it sends.
  struct Gathered {
    static constexpr size_t kSize = 16 * kPageSize;

    bool busy = false;
    WaitQueue senders;
    FrameHeader header;
    bool begun = false;  // as a long frame, on core 0
    uint32_t unsent = 0;
    size_t filled = 0;
    std::byte* bytes = nullptr;
  };

  explicit Messenger(FrameReceiver& receiver) : receiver_(receiver) {}
  void receive(std::span<const std::byte> bytes);
  void begin(const FrameHeader& header);
  void end();
  // Sends what was gathered of a whole frame, unless that has to wait.
  bool try_send(const Gathered& gathered);
  // Has core 0 send what this core has gathered; the frame's end if `last`.
  void hand_on(Gathered& gathered, bool last);

  FrameReceiver& receiver_;
  std::unique_ptr<VirtioConsole> console_;
  FrameParser parser_;
  // Held by who offers a short frame, and to change `busy_`.
  SpinLock lock_;
  WaitQueue senders_;
  bool busy_ = false;  // core 0 is in the middle of a long frame
  Gathered gathered_[kMaxCores];
};

constexpr auto messenger = EbbRef<Messenger>(kMessengerId);

}  // namespace ebbrt

#endif  // EBBRT_MESSENGER_MESSENGER_H_
