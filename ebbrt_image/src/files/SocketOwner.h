// A UC, as its sockets see it: where the other ends inside it are, and who
// leads out of it.
#ifndef EBBRT_FILES_SOCKETOWNER_H_
#define EBBRT_FILES_SOCKETOWNER_H_

#include <memory>
#include <optional>

#include "files/OutwardDatagrams.h"
#include "files/SocketDescriptor.h"

namespace ebbrt {

class DescriptorTable;

class SocketOwner {
 public:
  virtual const DescriptorTable& open_descriptors() const = 0;
  // Not connected yet. kNetworkUnreachable: there is no network.
  virtual Result<RefPtr<SocketDescriptor>> OpenStream() = 0;
  virtual Result<std::unique_ptr<OutwardDatagrams>> OpenDatagrams() = 0;
  // What a server that the kernel plays for the UC answers: the size, 0 for
  // nothing. No value: there is no such server.
  virtual std::optional<std::size_t> Ask(InternetAddress server,
                                         std::span<const std::byte> question,
                                         std::span<std::byte> answer) = 0;

 protected:
  ~SocketOwner() = default;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_SOCKETOWNER_H_
