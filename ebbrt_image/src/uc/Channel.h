// The runner's descriptor 3: frames from the host are read as a byte stream,
// frames to the host are written one per call.
#ifndef EBBRT_UC_CHANNEL_H_
#define EBBRT_UC_CHANNEL_H_

#include <cstdint>
#include <span>

#include "lib/Vector.h"
#include "messenger/IncomingFrame.h"
#include "uc/ConsoleDescriptor.h"

namespace ebbrt {

class Channel final : public ConsoleDescriptor {
 public:
  explicit Channel(UnikernelContext& uc);

  // A whole frame for the UC. On the UC's core.
  void Deliver(IncomingFrame frame);

  // visit(id) for each request that was not begun.
  template <class Visit> void ForEachWaiting(Visit visit) const {
    for (size_t i = begun_ ? 1 : 0; i < messages_.size(); ++i)
      if (messages_[i].header().type != FrameType::kSync)
        visit(messages_[i].header().id);
  }

  // True if some frame was not read to its end.
  bool waiting() const { return !messages_.empty(); }

  // True once the runner has said that it is up.
  bool ready() const { return ready_; }

  // For a copy: was the original up, and in the middle of a request? The answer
  // to that is the original's to give, so the copy's goes nowhere.
  void Inherit(bool ready, bool serving) {
    ready_ = ready;
    answers_original_ = serving;
  }
  bool answers_original() const { return answers_original_; }

  // The pieces must be one whole frame, its header in the first of them: READY
  // once, or the answer to the request that runs, whatever id the UC gives it.
  // Answers kInvalid, and sends nothing, if not.
  Result<size_t> SendFrom(std::span<const UserBytes> pieces) override;
  // Ends with the frame, so that one call never takes from two requests. The
  // next request comes when the one before it is answered.
  Result<size_t> ReceiveTo(uint64_t address, size_t size) override;
  ConsoleRole role() const override { return ConsoleRole::kChannel; }
  uint32_t Ready() const override;

 private:
  bool expected(FrameType type) const;
  void begin(IncomingFrame& message);
  bool readable() const;

  // In the order they came.
  Vector<IncomingFrame> messages_;
  bool ready_ = false;
  bool answers_original_ = false;
  // The request of the first frame has begun, though maybe not a byte of it
  // could be delivered.
  bool begun_ = false;
  size_t read_ = 0;  // bytes of the first frame, its header included
};

}  // namespace ebbrt

#endif  // EBBRT_UC_CHANNEL_H_
