// Descriptors that lead to the host: standard output and error, and the channel
// of the runner. Writing may block, so it is not done through Write.
#ifndef EBBRT_UC_CONSOLEDESCRIPTOR_H_
#define EBBRT_UC_CONSOLEDESCRIPTOR_H_

#include "files/Descriptor.h"
#include "messenger/Frame.h"

namespace ebbrt {

class UnikernelContext;

class ConsoleDescriptor : public Descriptor {
 public:
  // Sends bytes of the UC's memory; blocks while the host does not read.
  virtual Result<size_t> SendFrom(uint64_t address, size_t size) = 0;
  // Fills the UC's memory with what the host sent; kAgain if there is nothing.
  virtual Result<size_t> ReceiveTo(uint64_t address, size_t size);

  Result<void> GetStat(abi::Stat& stat) const override;

 protected:
  ConsoleDescriptor(UnikernelContext& uc, int flags)
      : Descriptor(Kind::kConsole, flags), uc_(uc) {}

  // Sends `size` bytes of the UC's memory as the payload of one frame. Bytes
  // that the UC took away meanwhile go out as zeroes.
  void send(FrameType type, uint64_t id, uint64_t address, uint32_t size);

  UnikernelContext& uc_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_CONSOLEDESCRIPTOR_H_
