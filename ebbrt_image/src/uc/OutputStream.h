// Standard output or error of a UC: every write is a frame to the host.
#ifndef EBBRT_UC_OUTPUTSTREAM_H_
#define EBBRT_UC_OUTPUTSTREAM_H_

#include "uc/ConsoleDescriptor.h"

namespace ebbrt {

class OutputStream final : public ConsoleDescriptor {
 public:
  OutputStream(UnikernelContext& uc, FrameType type);

  Result<size_t> SendFrom(std::span<const UserBytes> pieces) override;
  ConsoleRole role() const override {
    return type_ == FrameType::kStdout ? ConsoleRole::kOutput
                                       : ConsoleRole::kErrors;
  }
  uint32_t Ready() const override { return abi::kPollOut; }

 private:
  // A longer write is taken in part, as pipes do.
  static constexpr size_t kMaxWrite = 64 << 10;

  FrameType type_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_OUTPUTSTREAM_H_
