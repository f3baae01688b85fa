// Descriptors that lead to the host: standard output and error, and the channel
// of the runner. Writing may block, so it is not done through Write.
#ifndef EBBRT_UC_CONSOLEDESCRIPTOR_H_
#define EBBRT_UC_CONSOLEDESCRIPTOR_H_

#include <span>

#include "files/Descriptor.h"
#include "messenger/Frame.h"
#include "uc/ConsoleRole.h"

namespace ebbrt {

class UnikernelContext;

// Bytes in a UC's memory.
struct UserBytes {
  uint64_t address;
  uint64_t size;
};

class ConsoleDescriptor : public Descriptor {
 public:
  // Sends bytes of the UC's memory; blocks while the host does not read.
  virtual Result<size_t> SendFrom(std::span<const UserBytes> pieces) = 0;
  // Fills the UC's memory with what the host sent; kAgain if there is nothing.
  virtual Result<size_t> ReceiveTo(uint64_t address, size_t size);

  virtual ConsoleRole role() const = 0;

  Result<void> GetStat(abi::Stat& stat) const override;

 protected:
  ConsoleDescriptor(UnikernelContext& uc, int flags)
      : Descriptor(Kind::kConsole, flags), uc_(uc) {}

  // How many bytes from the start of the pieces on, up to `limit`, the UC may
  // read itself.
  uint64_t count_readable(std::span<const UserBytes> pieces, uint64_t limit);

  // Sends `size` bytes, those that lie behind the first `skip` of the pieces,
  // as the payload of one frame. Bytes that the UC took away meanwhile go out
  // as zeroes.
  void send(FrameType type, uint64_t id, std::span<const UserBytes> pieces,
            uint64_t skip, uint32_t size, uint32_t time = 0);

  UnikernelContext& uc_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_CONSOLEDESCRIPTOR_H_
